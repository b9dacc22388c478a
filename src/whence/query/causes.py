"""Says what is known of why a member of a chain is not there, and never more than that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from whence.model.event import TraceEvent
from whence.model.recording import REMOVED_RINGS, GateChange, RingLedger, SessionInfo
from whence.query.index import Index
from whence.query.words import count_text, duration_text, events_text, listed

__all__ = [
    "CRASHED",
    "DAMAGED",
    "FILTERED",
    "LOST",
    "NOT_RECORDED",
    "OFF",
    "OPEN",
    "REFUSED",
    "SAMPLED",
    "TEXT_LOST",
    "UNSURE",
    "Cause",
    "Causes",
]

LOST = "possibly lost"
DAMAGED = "damaged"
OFF = "off"
SAMPLED = "possibly sampled out"
REFUSED = "possibly refused"
FILTERED = "possibly filtered"
TEXT_LOST = "text lost"
OPEN = "still open"
CRASHED = "crashed"
NOT_RECORDED = "not recorded"

# What is absent for one of these may well have happened.
UNSURE = frozenset({LOST, DAMAGED, OFF, SAMPLED, REFUSED, FILTERED, TEXT_LOST, OPEN})


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


class Causes:
    """What one recording tells about events that are not in it. Threads may share it."""

    def __init__(self, index: Index) -> None:
        self._index = index

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
        Cost: the rings that lost events, and the gate changes of these types.
        """
        start_ns = self._index.time_ns(chain[0])
        found = [
            *self._filtered(),
            *self.of_damage(chain),
            *self._off(types, earliest_ns, latest_ns, start_ns),
            *self._lost(types, earliest_ns, start_ns),
            *self._left_out(types),
        ]
        if tail:
            found.extend(self._unfinished(chain))
        return tuple(found) or (Cause(kind=NOT_RECORDED),)

    def of_losses_since(self, chain: Sequence[TraceEvent]) -> tuple[Cause, ...]:
        """What may have taken events of the chain later than its first, of whatever type."""
        begun_ns = self._index.time_ns(chain[0])
        lost = self._lost(None, begun_ns, begun_ns)
        return (*self._filtered(), *self.of_damage(chain), *lost)

    def of_damage(self, chain: Sequence[TraceEvent]) -> Iterator[Cause]:
        """The files that could not be read of the sessions in which the chain was recorded."""
        if not self._index.recording.damage:
            return
        sessions = {event.session for event in chain}
        for damage in self._index.recording.damage:
            if damage.session in sessions and damage.file not in _WITHOUT_EVENTS:
                sentence = f"{damage.file} cannot be read: {damage.problem}"
                yield Cause(kind=DAMAGED, sentence=sentence, session=damage.session)

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
            for session, off_ns, on_ns in self._off_intervals.get(name, ()):
                if not (_precedes(latest_ns, off_ns) or _precedes(on_ns, earliest_ns)):
                    since = "the start" if off_ns is None else _offset(off_ns - start_ns)
                    until = "" if on_ns is None else f" until {_offset(on_ns - start_ns)}"
                    yield Cause(
                        kind=OFF,
                        sentence=f"{name} was switched off from {since}{until}",
                        session=session,
                        start_ns=off_ns,
                        end_ns=on_ns,
                    )

    def _lost(
        self, types: Collection[str] | None, earliest_ns: int | None, start_ns: int
    ) -> Iterator[Cause]:
        for ring in self._leaking:
            until_ns = ring.oldest_ns
            if until_ns is not None:
                until_ns = self._index.moment_ns(ring.session, until_ns)
                if _precedes(until_ns, earliest_ns):
                    continue  # all that this ring wrote since then is still there
            gone = {name: self._overwritten(ring, name) for name in types or ()}
            known = {name: count for name, count in gone.items() if count}
            if types and not known and None not in gone.values():
                continue
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

    def _left_out(self, types: Collection[str]) -> Iterator[Cause]:
        left_out: defaultdict[str, int] = defaultdict(int)
        refused: defaultdict[str, int] = defaultdict(int)
        for ring in self._index.recording.rings:
            for counts in ring.per_kind:
                if counts.kind in types:
                    left_out[counts.kind] += (
                        counts.sampled_out + counts.throttled + counts.below_minimum
                    )
                    refused[counts.kind] += counts.rejected + counts.nested
        for kind, by_name, verb in (
            (SAMPLED, left_out, "left out by sampling or a limit"),
            (REFUSED, refused, "refused when they were recorded"),
        ):
            for name, count in by_name.items():
                if count:
                    sentence = f"{count_text(count)} {name} were {verb}"
                    yield Cause(kind=kind, sentence=sentence, count=count)

    def _unfinished(self, chain: Sequence[TraceEvent]) -> Iterator[Cause]:
        names = dict.fromkeys(event.session for event in chain)
        sessions = [info for name in names if (info := self._index.recording.session(name))]
        if any(session.live for session in sessions):
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

    @cached_property
    def _leaking(self) -> tuple[RingLedger, ...]:
        return tuple(ring for ring in self._index.recording.rings if ring.lost)

    @cached_property
    def _off_intervals(self) -> dict[str, list[tuple[str, int | None, int | None]]]:
        """By type: (session, from, until) on the common clock, None for open ends."""
        found: defaultdict[str, list[tuple[str, int | None, int | None]]] = defaultdict(list)
        off_since: dict[tuple[str, str], int | None] = {}
        known: set[tuple[str, str]] = set()
        changes = sorted(self._index.recording.gate_changes, key=lambda change: change.monotonic_ns)
        for change in changes:
            key = change.session, change.kind
            moment_ns = self._index.moment_ns(change.session, change.monotonic_ns)
            if not change.on:
                off_since.setdefault(key, moment_ns)
            elif key in off_since or (key not in known and _is_wholly_on(change)):
                # switched on first of all: it was off from the session's start
                found[change.kind].append((change.session, off_since.pop(key, None), moment_ns))
            known.add(key)
        for (session, kind), since_ns in off_since.items():
            found[kind].append((session, since_ns, None))
        return dict(found)


def _is_wholly_on(change: GateChange) -> bool:
    return change.on and change.rate == 1 and change.minimum is None


def _precedes(end_ns: int | None, start_ns: int | None) -> bool:
    return end_ns is not None and start_ns is not None and end_ns < start_ns


def _offset(ns: int) -> str:
    return f"{'-' if ns < 0 else '+'}{duration_text(abs(ns))}"
