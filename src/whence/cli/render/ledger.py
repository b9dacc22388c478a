"""Prints the ledger: per ring and per kind what was recorded and what became of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.text import Text

from whence.cli.render.page import clock_text, line, page_cells, table
from whence.cli.render.safe import clip, safe
from whence.model.event import TraceEvent
from whence.model.recording import (
    REMOVED_RINGS,
    Damage,
    GateChange,
    KindCounts,
    OpenSpan,
    Recording,
    RingLedger,
    SessionInfo,
)
from whence.query.spans import open_spans, open_state
from whence.query.words import count_text, duration_text, files_text

__all__ = [
    "KindTotals",
    "damage_lines",
    "gate_text",
    "kind_totals",
    "ledger_lines",
    "missing_lines",
    "open_span_lines",
    "ring_lines",
    "sum_line",
]

_MOST_OPEN = 20  # open spans that are listed
_PASSING_NS = 10_000_000
_OUTCOMES = ("recorded", "sampled_out", "throttled", "below_minimum", "rejected", "nested")


@dataclass(frozen=True, slots=True, kw_only=True)
class KindTotals:
    """What became of the calls of one kind, over all rings: called is the sum of the others.

    `estimated` is how many events those stand for that are readable: the sum of their weights.
    Not among the counts that add up, and None where no event was sampled.
    """

    event_type: str
    component: str
    called: int
    recorded: int
    sampled_out: int
    throttled: int
    below_minimum: int
    rejected: int
    nested: int
    estimated: float | None = None


def kind_totals(
    rings: Sequence[RingLedger], events: Sequence[TraceEvent] = ()
) -> tuple[KindTotals, ...]:
    """The counts of each kind summed over the rings, the most called first.

    `events` are those that are readable, for the estimates.
    """
    sampled = {(e.event_type, e.component) for e in events if e.weight != 1}
    estimates: defaultdict[tuple[str, str], float] = defaultdict(float)
    for event in events if sampled else ():
        estimates[event.event_type, event.component] += event.weight
    counts: defaultdict[tuple[str, str], list[KindCounts]] = defaultdict(list)
    for ring in rings:
        for kind in ring.per_kind:
            counts[kind.kind, kind.component].append(kind)
    totals = [
        KindTotals(
            event_type=name,
            component=component,
            called=sum(kind.called for kind in kinds),
            estimated=estimates[name, component] if (name, component) in sampled else None,
            **{outcome: sum(getattr(k, outcome) for k in kinds) for outcome in _OUTCOMES},
        )
        for (name, component), kinds in counts.items()
    ]
    return tuple(sorted(totals, key=lambda kind: (-kind.called, kind.event_type)))


def ledger_lines(recording: Recording, monotonic_ns: int = 0) -> Iterator[Text]:
    """Sessions with their rings, the sum that must close, the kinds, the gate changes.

    `monotonic_ns` is now, for how long spans are open; 0 where that is not known.
    """
    by_session: defaultdict[str, list[RingLedger]] = defaultdict(list)
    for ring in recording.rings:
        by_session[ring.session].append(ring)
    for name, rings in by_session.items():
        yield line((_process(name, recording.session(name)), "bold"))
        yield from ring_lines(rings)
        yield from missing_lines(recording.session(name))
        yield line()
    for session in recording.sessions:
        if session.name not in by_session and not session.is_copy:
            declared = sum(kind.session == session.name for kind in recording.kinds)
            types = f"{declared} event type{'' if declared == 1 else 's'}"
            yield line((_process(session.name, session), "bold"), f": declared {types}, no events")
            yield from missing_lines(session)
            yield line()
    yield sum_line(recording.rings, recording.damage)
    yield from damage_lines(recording.damage)
    yield from open_span_lines(recording, monotonic_ns)
    kinds = kind_totals(recording.rings, recording.events)
    if kinds:
        yield line()
        yield from _kind_lines(kinds)
    if changes := list(_telling(recording.gate_changes)):
        yield line()
        yield from _gate_lines(recording, changes)


def ring_lines(rings: Sequence[RingLedger]) -> list[Text]:
    """One row per ring."""
    header = ("ring", "thread", "capacity", *_ring_counts(rings), "text lost", "truncated")
    rows = [
        (
            "removed" if ring.ring == REMOVED_RINGS else str(ring.ring),
            ring.owners[-1] if ring.owners else "",
            count_text(ring.capacity),
            *(count_text(getattr(ring, name)) for name in _ring_counts(rings).values()),
            count_text(ring.text_lost),
            count_text(ring.truncated),
        )
        for ring in rings
    ]
    return table(header, rows, left=(1,))


def missing_lines(session: SessionInfo | None) -> Iterator[Text]:
    """What a session could keep no name or no file for."""
    if session is None:
        return
    if kinds := session.unnamed_kinds:
        plural = "" if kinds == 1 else "s"
        told = f"{count_text(kinds)} kind{plural} without a name: their events are unknown-kind-N"
        yield line((told, "yellow"))
    if rings := session.memory_rings:
        told = f"{count_text(rings)} ring{'' if rings == 1 else 's'} in memory only"
        if not session.is_copy:
            ends = "end with the process" if session.live else "are gone"
            told += f": their events {ends}"
        yield line((told, "yellow"))


def _ring_counts(rings: Sequence[RingLedger]) -> dict[str, str]:
    """The counts that make up the sum, by their column; cleared only where something was."""
    cleared = {"cleared": "cleared"} if any(ring.cleared for ring in rings) else {}
    first = {"recorded": "recorded", "readable": "readable", "lost": "lost"}
    return first | cleared | {"in flight": "in_flight"}


def sum_line(rings: Sequence[RingLedger], damage: Sequence[Damage] = ()) -> Text:
    """recorded = readable + lost + in flight, and whether that is so in every ring."""
    (first, recorded), *parts = (
        (column, sum(getattr(ring, name) for ring in rings))
        for column, name in _ring_counts(rings).items()
    )
    off_by = recorded - sum(count for _, count in parts)
    summed = " + ".join(f"{count_text(count)} {column}" for column, count in parts)
    text = f"{count_text(recorded)} {first} = {summed}"
    if damage:
        return line(text, (f"  without {files_text(len(damage))} that cannot be read", "bold red"))
    if all(ring.closes for ring in rings):
        return line(text, ("  closes", "green"))
    return line(text, (f"  does not close: {count_text(off_by)} unaccounted for", "bold red"))


def damage_lines(damage: Sequence[Damage]) -> Iterator[Text]:
    """One line for each file that cannot be read."""
    for found in damage:
        text = f"Cannot be read: {found.session}/{found.file}: {found.problem}"
        yield line((safe(text), "red"))


def open_span_lines(recording: Recording, monotonic_ns: int = 0) -> Iterator[Text]:
    """The spans that have begun and not ended, the oldest first."""
    found = sorted(open_spans(recording).values(), key=lambda span: span.start_ns)
    if found:
        yield line()
        header = ("open span", "component", "request", "since", "")
        rows = [_open_row(recording, span, monotonic_ns) for span in found[:_MOST_OPEN]]
        yield from table(header, rows, left=(0, 1, 2, 4))
    unseen = sum(ring.open_spans_unseen for ring in recording.rings)
    if unseen or len(found) > _MOST_OPEN:
        more = (
            f"{count_text(len(found) - _MOST_OPEN)} more: --json. "
            if len(found) > _MOST_OPEN
            else ""
        )
        told = f"{count_text(unseen)} found the table of open spans full." if unseen else ""
        yield line((f"{more}{told}".strip(), "dim"))


def _open_row(recording: Recording, span: OpenSpan, monotonic_ns: int) -> tuple[str, ...]:
    session = recording.session(span.session)
    live = session is not None and session.state == "recording"
    age_ns = monotonic_ns - span.start_ns
    age = duration_text(age_ns) if live and monotonic_ns and age_ns >= 0 else ""
    wall_ns = session.wall_ns(span.start_ns) if session else None
    state = f"open for {age}" if age else open_state(session)
    return (
        clip(span.name, 40),
        clip(span.component, 24),
        clip(span.request_id, 24),
        clock_text(wall_ns),
        state,
    )


def _process(name: str, session: SessionInfo | None) -> str:
    if session is None:
        return clip(f"session {name}", page_cells()) if name else "no session named"
    return f"{clip(session.service or name, 60)}, pid {session.pid}, {session.state}"


def _kind_lines(kinds: Sequence[KindTotals]) -> list[Text]:
    # columns that are zero everywhere say nothing
    shown = [
        name for name in _OUTCOMES if name == "recorded" or any(getattr(k, name) for k in kinds)
    ]
    weighted = any(kind.estimated is not None for kind in kinds)
    header = ("event type", "component", "called", *(name.replace("_", " ") for name in shown))
    header += ("readable stand for",) if weighted else ()
    rows = [
        (
            kind.event_type,
            kind.component,
            count_text(kind.called),
            *(count_text(getattr(kind, name)) for name in shown),
            *([_estimate_text(kind.estimated)] if weighted else []),
        )
        for kind in kinds
    ]
    return table(header, rows, left=(0, 1))


def _estimate_text(estimated: float | None) -> str:
    return "" if estimated is None else f"about {count_text(round(estimated))}"


def _telling(changes: Sequence[GateChange]) -> Iterator[GateChange]:
    """The changes after which a type was not as before: what lasted under 10 ms tells nothing.

    As at the start, where types that are off by default are declared and then configured.
    """
    by_type: defaultdict[tuple[str, str], list[GateChange]] = defaultdict(list)
    for change in changes:
        by_type[change.session, change.kind].append(change)
    kept = []
    for several in by_type.values():
        several.sort(key=lambda change: change.monotonic_ns)
        state: tuple[bool, float, float | None] = (True, 1.0, None)  # without a record it is on
        if (several[0].on, several[0].rate, several[0].minimum) == state:
            state = (False, 1.0, None)  # so it was off before that
        for change, later in zip_longest(several, several[1:]):
            passing = later and later.monotonic_ns - change.monotonic_ns < _PASSING_NS
            if not passing and (change.on, change.rate, change.minimum) != state:
                state = change.on, change.rate, change.minimum
                kept.append(change)
    order = {id(change): place for place, change in enumerate(changes)}
    yield from sorted(kept, key=lambda change: order[id(change)])


def _gate_lines(recording: Recording, changes: Sequence[GateChange]) -> list[Text]:
    rows = []
    for change in changes:
        session = recording.session(change.session)
        wall_ns = session.wall_ns(change.monotonic_ns) if session else None
        when = clock_text(wall_ns) or f"{change.monotonic_ns} ns"
        rows.append((when, change.kind, gate_text(change.on, change.rate, change.minimum)))
    return table(("switched", "event type", "to"), rows, left=(0, 1, 2))


def gate_text(on: bool, rate: float, minimum: float | None) -> str:
    """What a gate lets pass: off, on, 10 %, 10 % from strength 0.3."""
    if not on:
        return "off"
    share = "on" if rate == 1 else f"{100 * rate:.4g} %"
    return share if minimum is None else f"{share} from strength {minimum:.4g}"
