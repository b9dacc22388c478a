"""Says what is known of why a member of a chain is not there, and never more than that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from whence.model.event import TraceEvent
from whence.model.ids import parse_event_id
from whence.model.recording import REMOVED_RINGS, RingLedger, SessionInfo
from whence.query.gate_history import GateEra, GateHistory
from whence.query.index import Index
from whence.query.words import clock_text, count_text, duration_text, events_text, listed

__all__ = [
    "CRASHED",
    "DAMAGED",
    "EXPIRED",
    "FILTERED",
    "GONE",
    "LOST",
    "NOT_RECORDED",
    "OFF",
    "OPEN",
    "REFUSED",
    "SAMPLED",
    "SAMPLED_OUT",
    "TEXT_LOST",
    "UNSURE",
    "WEAK",
    "Cause",
    "Causes",
]

LOST = "possibly lost"
GONE = "lost"  # of an event whose place is known
DAMAGED = "damaged"
EXPIRED = "expired"
OFF = "off"
SAMPLED = "possibly sampled out"
SAMPLED_OUT = "sampled out"
WEAK = "possibly below minimum"
REFUSED = "possibly refused"
FILTERED = "possibly filtered"
TEXT_LOST = "text lost"
OPEN = "still open"
CRASHED = "crashed"
NOT_RECORDED = "not recorded"

# What is absent for one of these may well have happened.
UNSURE = frozenset(
    {LOST, GONE, DAMAGED, EXPIRED, OFF, SAMPLED, SAMPLED_OUT, WEAK, REFUSED, FILTERED, TEXT_LOST}
    | {OPEN}
)


# How long before its first event that is here a chain may have begun, if it took no longer since.
CUT_NS = 3_600_000_000_000
_VERBS = {
    SAMPLED: "left out by sampling or a limit",
    WEAK: "left out below the minimum",
    REFUSED: "refused when recorded",
}

# Files whose loss takes no event and no word of an event.
_WITHOUT_EVENTS = frozenset({"gates", "control"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why something may be absent: the kind of cause, a sentence, and where it was seen.

    `count` is how many events the cause took in all. `start_ns` and `end_ns` bound the interval
    in which it did, on the recording's common clock, where they are known.
    """

    kind: str
    sentence: str = ""
    session: str = ""
    ring: int = -1
    count: int = 0
    start_ns: int | None = None
    end_ns: int | None = None

    @property
    def text(self) -> str:
        """The kind and the sentence as one."""
        return f"{self.kind}: {self.sentence}" if self.sentence else self.kind


class _Taker(NamedTuple):
    """A ring that lost events: from when to when, and how many of the types asked for."""

    ring: RingLedger
    since_ns: int | None
    until_ns: int | None
    known: Mapping[str, int]


class Causes:
    """What one recording tells about events that are not in it. Threads may share it.

    With `ended`, nothing more is to come of processes that still run.
    """

    def __init__(self, index: Index, *, ended: bool = False) -> None:
        self._index = index
        self._ended = ended
        self._gates = GateHistory(index)
        self._took: dict[tuple[str, ...] | None, Sequence[_Taker]] = {}
        self._untouched: dict[tuple[str, ...], bool] = {}

    def of_absence(
        self,
        types: Collection[str],
        chain: Sequence[TraceEvent],
        *,
        earliest_ns: int | None,
        latest_ns: int | None,
        tail: bool,
    ) -> tuple[Cause, ...]:
        """Why no event of these types is seen between two moments; at least one cause.

        None stands for an open end of the interval. `tail` says that the chain has not ended and
        nothing that must come later is there, so that the event may still be to come.
        Cost: the rings that may have lost such events, and the gate changes of these types.
        """
        found: list[Cause] = []
        if not self._nothing_took(tuple(types)):
            start_ns = self._index.time_ns(chain[0])
            found = [
                *self._filtered(),
                *self.of_damage(chain),
                *self._expired(chain, earliest_ns),
                *self._off(types, earliest_ns, latest_ns, start_ns),
                *self._sampled(types, chain, earliest_ns, latest_ns, start_ns),
                *self._lost(tuple(types), earliest_ns, latest_ns, start_ns),
                *self._left_out(types, chain),
            ]
        if tail:
            found.extend(self._unfinished(chain))
        return tuple(found) or (Cause(kind=NOT_RECORDED),)

    def of_losses_since(self, chain: Sequence[TraceEvent]) -> tuple[Cause, ...]:
        """What may have taken events of the chain later than its first, of whatever type."""
        begun_ns = self._index.time_ns(chain[0])
        lost = self._lost(None, begun_ns, None, begun_ns)
        cut = self._expired(chain, None)
        return (*self._filtered(), *self.of_damage(chain), *cut, *lost)

    def of_lost_span(self, inside: Sequence[TraceEvent]) -> tuple[Cause, ...]:
        """Why a span that these events lie in is not seen, though it was neither off nor left out.

        Spans that are off or sampled out are nobody's parent.
        """
        first = inside[0]
        found = [*self.of_losses_since(inside)]
        rings = self._index.recording.rings
        if any(ring.open_spans_unseen for ring in rings if ring.session == first.session):
            sentence = "more spans were open at a time than can be shown"
            found.append(Cause(kind=OPEN, sentence=sentence, session=first.session))
        session = self._index.recording.session(first.session)
        if (
            session is not None
            and not session.live
            and any(ring.in_flight for ring in rings if ring.session == session.name)
        ):
            found.append(Cause(kind=CRASHED, sentence=self._last_words(session)))
        elsewhere = "it may be another process's, which is not part of this recording"
        return tuple(found) or (Cause(kind=NOT_RECORDED, sentence=elsewhere),)

    def of_lost_event(self, event_id: str, chain: Sequence[TraceEvent]) -> tuple[Cause, ...]:
        """Why the event of that id, which one of the chain names, is not seen.

        An id that was derived from the event's place says where it stood, and whether newer events
        have overwritten it since.
        """
        found = [*self._filtered(), *self.of_damage(chain)]
        place = parse_event_id(event_id)
        sessions = [s for s in self._index.recording.sessions if place and s.key == place[0]]
        if place is None or not sessions:
            elsewhere = "it may be another process's, which is not part of this recording"
            return tuple(found) or (Cause(kind=NOT_RECORDED, sentence=elsewhere),)
        _, number, ticket = place
        for ring in self._leaking:
            if (ring.session, ring.ring) == (sessions[0].name, number):
                held = self._index.first_ticket(ring.session, number)
                if held is None or ticket < held:
                    sentence = f"ring {number} overwrote it, and {events_text(ring.lost)} in all"
                    lost = Cause(
                        kind=GONE,
                        sentence=sentence,
                        session=ring.session,
                        ring=number,
                        count=ring.lost,
                        end_ns=self._until_ns(ring),
                    )
                    return (lost,)
        return tuple(found) or (Cause(kind=NOT_RECORDED),)

    def of_damage(self, chain: Sequence[TraceEvent]) -> Iterator[Cause]:
        """The files that could not be read of the sessions in which the chain was recorded."""
        if not self._index.recording.damage:
            return
        sessions = {event.session for event in chain}
        for damage in self._index.recording.damage:
            if damage.session in sessions and damage.file not in _WITHOUT_EVENTS:
                sentence = f"{damage.file} cannot be read: {damage.problem}"
                yield Cause(kind=DAMAGED, sentence=sentence, session=damage.session)

    def _expired(self, chain: Sequence[TraceEvent], earliest_ns: int | None) -> Iterator[Cause]:
        """What the store has cut by its limits: this chain, or maybe, as it reaches back so far."""
        recording = self._index.recording
        if recording.cut_ids and any(
            recording.cut_ids & {each.request_id, each.decision_chain_id, each.trace_id}
            for each in chain
        ):
            until = clock_text(recording.dropped_before_ns or 0)
            sentence = f"the store has dropped its beginning, up to {until}"
            yield Cause(kind=EXPIRED, sentence=sentence)
            return
        before_ns = recording.cut_before_ns
        if before_ns is None:
            return
        first_ns, last_ns = self._index.time_ns(chain[0]), self._index.time_ns(chain[-1])
        since_ns = earliest_ns
        if since_ns is None:
            since_ns = first_ns - max(CUT_NS, last_ns - first_ns)
        wall_ns = self._index.wall_ns(chain[0].session, since_ns)
        if wall_ns is not None and wall_ns < before_ns:
            sentence = f"the store has dropped what is older than {clock_text(before_ns)}"
            yield Cause(kind=EXPIRED, sentence=sentence)

    def _filtered(self) -> Iterator[Cause]:
        for session in self._index.recording.sessions:
            if session.state == "filtered":
                sentence = "this file was exported with a filter"
                yield Cause(kind=FILTERED, sentence=sentence, session=session.name)
                return

    def _off(
        self, types: Collection[str], earliest_ns: int | None, latest_ns: int | None, start_ns: int
    ) -> Iterator[Cause]:
        for name in sorted(types):
            for era in self._gates.off(name):
                if era.touches(earliest_ns, latest_ns):
                    sentence = f"{name} was switched off {_span_text(era, start_ns)}"
                    yield _cause(OFF, sentence, era)

    def _sampled(
        self,
        types: Collection[str],
        chain: Sequence[TraceEvent],
        earliest_ns: int | None,
        latest_ns: int | None,
        start_ns: int,
    ) -> Iterator[Cause]:
        value = self._gates.sample_value(chain)
        for name in sorted(types):
            proved = value is not None and self._gates.proves_left_out(
                name, value, earliest_ns, latest_ns
            )
            for era in self._gates.restricted(name):
                if not era.touches(earliest_ns, latest_ns):
                    continue
                when = _span_text(era, start_ns)
                if era.rate < 1 and (value is None or era.leaves_out(value)):
                    sentence = f"{name} was sampled at {100 * era.rate:.4g} % {when}"
                    if value is not None:
                        sentence += ", and this request is none of those that are kept"
                    yield _cause(SAMPLED_OUT if proved else SAMPLED, sentence, era)
                if era.minimum is not None:
                    sentence = f"{name} was left out below strength {era.minimum:.4g} {when}"
                    yield _cause(WEAK, sentence, era)

    def _lost(
        self,
        types: tuple[str, ...] | None,
        earliest_ns: int | None,
        latest_ns: int | None,
        start_ns: int,
    ) -> Iterator[Cause]:
        for ring, since_ns, until_ns, known in self._takers(types):
            if _precedes(until_ns, earliest_ns):
                continue  # all that this ring wrote since then is still there
            if _precedes(latest_ns, since_ns):
                continue  # the process began later
            where = f"ring {ring.ring} overwrote"
            if ring.ring == REMOVED_RINGS:
                where = f"the rings of {listed(ring.owners)} were removed with"
            sentence = f"{where} {events_text(ring.lost)}"
            if known:
                sentence += (
                    f", among them {listed(f'{count_text(n)} {name}' for name, n in known.items())}"
                )
            if until_ns is not None:
                sentence += f", up to {_offset(until_ns - start_ns)}"
            yield Cause(
                kind=LOST,
                sentence=sentence,
                session=ring.session,
                ring=ring.ring,
                count=ring.lost,
                start_ns=earliest_ns,
                end_ns=until_ns,
            )

    def _takers(self, types: tuple[str, ...] | None) -> Sequence[_Taker]:
        """The rings that may have lost events of these types, of any type for None."""
        found = self._took.get(types)
        if found is None:
            found = self._took[types] = list(self._find_takers(types))
        return found

    def _find_takers(self, types: tuple[str, ...] | None) -> Iterator[_Taker]:
        for ring in self._leaking:
            gone = {name: self._overwritten(ring, name) for name in types or ()}
            known = {name: count for name, count in gone.items() if count}
            if not types or known or None in gone.values():
                yield _Taker(
                    ring, self._index.started_ns(ring.session), self._until_ns(ring), known
                )

    def _nothing_took(self, types: tuple[str, ...]) -> bool:
        """Whether nothing at all speaks of events of these types that are not here."""
        found = self._untouched.get(types)
        if found is None:
            recording = self._index.recording
            found = self._untouched[types] = not (
                recording.damage
                or recording.cut_before_ns is not None
                or recording.cut_ids
                or any(self._filtered())
                or self._takers(types)
                or any(self._gates.off(name) or self._gates.restricted(name) for name in types)
                or any(self._counts_left_out.get((kind, name)) for kind in _VERBS for name in types)
            )
        return found

    def _left_out(self, types: Collection[str], chain: Sequence[TraceEvent]) -> Iterator[Cause]:
        """What the counts say of types of which the log of gates says nothing."""
        value = self._gates.sample_value(chain)
        for kind, verb in _VERBS.items():
            for name in sorted(types):
                count = self._counts_left_out.get((kind, name), 0)
                told = kind != REFUSED and any(self._gates.restricted(name))
                kept = kind == SAMPLED and value is not None and self._gates.keeps(name, value)
                if count and not told and not kept:
                    were = "was" if count == 1 else "were"
                    sentence = f"{count_text(count)} {name} {were} {verb}"
                    yield Cause(kind=kind, sentence=sentence, count=count)

    @cached_property
    def _counts_left_out(self) -> Mapping[tuple[str, str], int]:
        """By kind of cause and event type: how many calls recorded nothing for it."""
        counts: defaultdict[tuple[str, str], int] = defaultdict(int)
        for ring in self._index.recording.rings:
            for row in ring.per_kind:
                counts[SAMPLED, row.kind] += row.sampled_out + row.throttled
                counts[WEAK, row.kind] += row.below_minimum
                counts[REFUSED, row.kind] += row.rejected + row.nested
        return dict(counts)

    def _unfinished(self, chain: Sequence[TraceEvent]) -> Iterator[Cause]:
        names = dict.fromkeys(event.session for event in chain)
        sessions = [info for name in names if (info := self._index.recording.session(name))]
        if any(session.live for session in sessions):
            if self._ended:
                return
            newest_ns = self._index.newest_ns
            start_ns = self._index.time_ns(chain[0])
            sentence = f"for {duration_text(newest_ns - start_ns)}" if newest_ns else ""
            yield Cause(kind=OPEN, sentence=sentence)
            return
        for session in sessions[-1:]:
            yield Cause(kind=CRASHED, sentence=self._last_words(session), session=session.name)

    def _last_words(self, session: SessionInfo) -> str:
        sentence = f"pid {session.pid} ended while this was open"
        rings = self._index.recording.rings
        in_flight = sum(ring.in_flight for ring in rings if ring.session == session.name)
        if in_flight:
            sentence += f", {events_text(in_flight)} half written"
        return sentence

    def _overwritten(self, ring: RingLedger, name: str) -> int | None:
        """How many events of a type the ring lost; None where its counts do not say."""
        if not ring.per_kind:
            return None
        recorded = sum(counts.recorded for counts in ring.per_kind if counts.kind == name)
        seen = self._index.seen(ring.session, ring.ring, name)
        return min(max(0, recorded - seen), ring.lost)

    def _until_ns(self, ring: RingLedger) -> int | None:
        """Before which moment, on the common clock, the ring's lost events were recorded."""
        until_ns = ring.newest_ns if ring.scattered else ring.oldest_ns
        return None if until_ns is None else self._index.moment_ns(ring.session, until_ns)

    @cached_property
    def _leaking(self) -> tuple[RingLedger, ...]:
        return tuple(ring for ring in self._index.recording.rings if ring.lost)


def _cause(kind: str, sentence: str, era: GateEra) -> Cause:
    return Cause(
        kind=kind,
        sentence=sentence,
        session=era.session,
        start_ns=era.start_ns,
        end_ns=era.end_ns,
    )


def _span_text(era: GateEra, start_ns: int) -> str:
    since = "the start" if era.start_ns is None else _offset(era.start_ns - start_ns)
    until = "" if era.end_ns is None else f" until {_offset(era.end_ns - start_ns)}"
    return f"from {since}{until}"


def _precedes(end_ns: int | None, start_ns: int | None) -> bool:
    return end_ns is not None and start_ns is not None and end_ns < start_ns


def _offset(ns: int) -> str:
    return f"{'-' if ns < 0 else '+'}{duration_text(abs(ns))}"
