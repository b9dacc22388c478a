"""Finds what was done unguarded in a chain, or after an event that closed it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from whence.model.condition import Comparison, field_value, parse_condition
from whence.model.event import TraceEvent
from whence.model.names import canonical
from whence.query.contracts.causes import TEXT_LOST, UNSURE, Cause, Causes
from whence.query.contracts.contract import End, Guard, as_text, matching
from whence.query.contracts.finding import Finding
from whence.query.index import Index
from whence.query.words import count_text, listed

__all__ = ["Rules"]


class Rules:
    """The rules of a contract about the order of a chain's events, which are in order."""

    def __init__(
        self, events: Sequence[TraceEvent], times: Sequence[int], index: Index, causes: Causes
    ) -> None:
        self._events, self._times, self._index, self._causes = events, times, index, causes
        self._types = [canonical(event.event_type) for event in events]

    def unguarded(self, guard: Guard, *, open_end: bool) -> Iterator[Finding]:
        """Events that nothing guards: those that surely were, and those that may only look so.

        `open_end` says that the chain has not ended, so that a guard may still be to come.
        """
        first_ns = self._first_guards(guard)
        certain: list[int] = []
        unsure: dict[int, tuple[Cause, ...]] = {}
        why: tuple[Cause, ...] = ()
        for place in self._guarded(guard):
            at_ns = first_ns.get(self._values(place, guard))
            if at_ns is not None and (guard.anywhere or at_ns <= self._times[place]):
                continue
            causes = self._absence(guard, place, open_end)
            if any(cause.kind in UNSURE for cause in causes):
                unsure[place] = causes
            else:
                certain.append(place)
                why = why or causes
        if certain:
            yield self._finding(guard, certain, why)
        if unsure:
            yield self._finding(guard, list(unsure), next(iter(unsure.values())))
        yield from self._undecided(guard)

    def after_closing(self, closing: Iterable[tuple[End, int]]) -> Iterator[Finding]:
        """The events that came after the first that closed the chain to them.

        `closing` are the ends, each with the place of the event that was it.
        """
        told: set[str] = set()
        for end, place in sorted(closing, key=lambda found: found[1]):
            late: defaultdict[str, list[int]] = defaultdict(list)
            for at, name in enumerate(self._types):
                if self._times[at] > self._times[place] and matching(end.closes)(name):
                    late[name].append(at)
            for name in [name for name in late if name not in told]:
                times = f" ({count_text(len(late[name]))} times)" if len(late[name]) > 1 else ""
                yield Finding(
                    kind="after the end",
                    member=name,
                    sentence=f"{name} after {end.type}{times}",
                    event_ids=self._ids([place, *late[name]]),
                )
            told |= late.keys()

    def _guarded(self, guard: Guard) -> Iterator[int]:
        """Where the events stand that need a guard, as far as is known."""
        wanted = matching((guard.type,))
        for place, event in enumerate(self._events):
            if wanted(self._types[place]) and self._holds(guard, event):
                yield place

    def _holds(self, guard: Guard, event: TraceEvent) -> bool | None:
        if not guard.where:
            return True
        return parse_condition(guard.where).holds(event, frozenset(self._types))

    def _first_guards(self, guard: Guard) -> dict[tuple[str, ...], int]:
        """When the first guard came, by the values that it must share with what it guards."""
        wanted = matching(guard.by)
        found: dict[tuple[str, ...], int] = {}
        for place, name in enumerate(self._types):
            if wanted(name):
                found.setdefault(self._values(place, guard), self._times[place])
        return found

    def _values(self, place: int, guard: Guard) -> tuple[str, ...]:
        values = (field_value(self._events[place], name) for name in guard.same)
        return tuple("" if value is None else as_text(value) for value in values)

    def _absence(self, guard: Guard, place: int, open_end: bool) -> tuple[Cause, ...]:
        return self._causes.of_absence(
            self._index.known_spellings(guard.by),
            self._events,
            earliest_ns=None,
            latest_ns=None if guard.anywhere else self._times[place],
            tail=guard.anywhere and open_end,
        )

    def _undecided(self, guard: Guard) -> Iterator[Finding]:
        """Events of which the text is lost that would say whether they need a guard."""
        wanted = matching((guard.type,))
        places = [
            place
            for place, event in enumerate(self._events)
            if event.text_lost and wanted(self._types[place]) and self._holds(guard, event) is None
        ]
        if places:
            yield Finding(
                kind="undecided",
                member=self._types[places[0]],
                sentence=f"cannot tell whether {guard.type} needs {listed(guard.by, 'or')}",
                causes=(Cause(kind=TEXT_LOST),),
                event_ids=self._ids(places),
            )

    def _finding(self, guard: Guard, places: Sequence[int], causes: tuple[Cause, ...]) -> Finding:
        name = self._types[places[0]]
        times = f" ({count_text(len(places))} times)" if len(places) > 1 else ""
        before = "" if guard.anywhere else " before it"
        same = f" with the same {listed(guard.same)}" if guard.same else ""
        return Finding(
            kind="unguarded",
            member=name,
            sentence=(
                f"{name}{self._said(guard, places[0])} without"
                f" {listed(guard.by, 'or')}{same}{before}{times}"
            ),
            causes=causes,
            event_ids=self._ids(places),
        )

    def _said(self, guard: Guard, place: int) -> str:
        """What the event says of itself for which it needs a guard."""
        if not guard.where:
            return ""
        fields = dict.fromkeys(
            clause.field
            for clause in parse_condition(guard.where).clauses
            if isinstance(clause, Comparison)
        )
        read = ((name, field_value(self._events[place], name)) for name in fields)
        said = [f"{name} {as_text(value)[:60]}" for name, value in read if value is not None]
        return f" ({', '.join(said)})" if said else ""

    def _ids(self, places: Sequence[int]) -> tuple[str, ...]:
        return tuple(self._events[place].event_id for place in places)
