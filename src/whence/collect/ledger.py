"""The ledger of a ring: every recorded event is readable, lost, cleared or in flight."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from whence._native import RingReader
from whence.model.recording import (
    MOST_INT64,
    REMOVED_RINGS,
    KindCounts,
    KindInfo,
    OpenSpan,
    RingLedger,
)
from whence.ring import layout

__all__ = ["Counted", "kind_counts", "named_ledgers", "recorded_of", "removed_rings", "ring_ledger"]

# (span id, parent id, start, number of the kind, request id, trace id)
OpenRow = tuple[int, int, int, int, str, str]
# A ring's ledger whose kinds are still to be named, and their counts by the kind's number.
Counted = tuple[RingLedger, Sequence[tuple[int, tuple[int, ...]]]]


def named_ledgers(counted: Iterable[Counted], kinds: Sequence[KindInfo]) -> list[RingLedger]:
    """The ledgers with the counts of each kind under its name.

    `kinds` are those known after all the rings were drained: a kind is declared before the first
    event of it.
    """
    names = {kind.id: kind for kind in kinds}
    return [
        replace(
            ledger,
            per_kind=tuple(kind_counts(kind, row, names) for kind, row in counts),
            open_spans=tuple(_named_span(span, names) for span in ledger.open_spans),
        )
        for ledger, counts in counted
    ]


def recorded_of(reader: RingReader) -> int:
    """How many events the ring's header counts by now; the cursor stays where it is."""
    return _int64(sum(row[0] for _, row in reader.counts()))


def ring_ledger(
    session: str,
    reader: RingReader,
    times: tuple[int, int] | None,
    open_spans: Sequence[OpenRow] = (),
) -> Counted:
    """The ledger of a ring that has just been drained for the first time.

    `times` are those of the oldest and newest event drained. The counts are read after the
    events, and a writer counts before it writes, so they are never behind the cursor: what they
    are ahead by is in flight, at most one event where nobody is writing any more.
    """
    counts = [(kind, tuple(_int64(n) for n in row)) for kind, row in reader.counts()]
    recorded = _int64(sum(row[0] for _, row in counts))
    ledger = RingLedger(
        session=session,
        ring=reader.ring,
        capacity=reader.capacity,
        owners=tuple(str(thread_id) for thread_id, _ in reader.owners()),
        recorded=recorded,
        readable=reader.delivered,
        lost=_int64(reader.lost),
        cleared=_int64(reader.watermark),
        text_lost=reader.text_lost,
        truncated=_int64(reader.truncated),
        in_flight=recorded - _int64(reader.next_ticket),
        oldest_ns=times[0] if times else None,
        newest_ns=times[1] if times else None,
        open_spans=tuple(_open_span(session, reader.ring, row) for row in open_spans),
        open_spans_unseen=_int64(reader.open_spans_unseen),
    )
    return ledger, counts


def removed_rings(session: str, rings: int, events: int) -> RingLedger:
    """The ledger of the rings that made room for newer ones: all of their events are lost."""
    plural = "" if rings == 1 else "s"
    return RingLedger(
        session=session,
        ring=REMOVED_RINGS,
        capacity=0,
        owners=(f"{rings} ended collector{plural}",),
        recorded=_int64(events),
        lost=_int64(events),
    )


def _open_span(session: str, ring: int, row: OpenRow) -> OpenSpan:
    span_id, parent_id, start_ns, kind, request_id, trace_id = row
    return OpenSpan(
        name=str(kind),  # until the kinds are known
        component="unknown",
        span_id=span_id,
        parent_span_id=parent_id,
        start_ns=start_ns,
        request_id=request_id,
        trace_id=trace_id,
        session=session,
        ring=ring,
    )


def _named_span(span: OpenSpan, names: dict[int, KindInfo]) -> OpenSpan:
    known = names.get(int(span.name))
    if known is None:
        return replace(span, name=f"unknown-kind-{span.name}")
    return replace(span, name=known.name, component=known.component)


def _int64(count: int) -> int:
    """A count as exports can hold it; only a damaged file has a larger one."""
    return min(count, MOST_INT64)


def kind_counts(kind: int, row: tuple[int, ...], names: dict[int, KindInfo]) -> KindCounts:
    """A counter row under its kind's name, or under one that says why it has none."""
    known = names.get(kind)
    if known is not None:
        return KindCounts(known.name, known.component, *row)
    if kind == 0:
        return KindCounts("(refused before its type was known)", "-", *row)
    name = "(other kinds)" if kind == layout.OTHER_KINDS else f"unknown-kind-{kind}"
    return KindCounts(name, "-", *row)
