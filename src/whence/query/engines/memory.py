"""Answers questions over events held in memory: rings and export files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from math import inf
from typing import TypeVar

from whence.model.condition import number_in
from whence.model.errors import BudgetExceeded
from whence.model.event import TraceEvent
from whence.model.query import TraceQuery, is_error
from whence.model.recording import Recording, RingLedger, SessionInfo
from whence.model.span import is_span_id
from whence.query.chain import nearest_ids
from whence.query.engines.asked_lineage import AsksLineage, LineageSource
from whence.query.engines.figures import Member, group_rows
from whence.query.engines.folded_traces import paged, picked, traces_of
from whence.query.engines.memory_lineage import RecordedLineage
from whence.query.engines.shapes import (
    GROUPS,
    UNLIMITED,
    Aggregate,
    Budget,
    Found,
    GroupRow,
    Order,
    Page,
    PageKey,
    check_key,
)
from whence.query.engines.traces import (
    TRACE_GROUPS,
    TraceFilter,
    TraceKey,
    TraceRow,
    TraceSort,
    TracesPage,
    check_groups,
    check_page,
    halves,
)
from whence.query.index import Index, Names, as_index
from whence.query.outcome import went_wrong
from whence.query.plain import attribute_text
from whence.query.select import select

__all__ = ["InMemory", "group_value", "measured_value"]

T = TypeVar("T")


class InMemory(AsksLineage):
    """An engine over one recording. Threads may share it."""

    def __init__(self, source: Recording | Index) -> None:
        self._index = as_index(source)
        self._recording = self._index.recording

    def select(
        self,
        query: TraceQuery,
        *,
        order: Order = "oldest",
        limit: int = 100,
        after: PageKey | None = None,
        budget: Budget = UNLIMITED,
    ) -> Page:
        """A page of events, by sorting all that match."""
        check_key(after, order)
        keyed = [(self._key(event, order), event) for event in select(self._index, query)]
        keyed.sort(key=lambda pair: pair[0][1:], reverse=order != "oldest")
        if after is not None:
            backwards = order != "oldest"
            keyed = [pair for pair in keyed if pair[0] != after and (pair[0] > after) != backwards]
        page = keyed[:limit]
        _check_rows(budget, len(page))
        walls = tuple(self._recording.wall_ns(event) for _, event in page)
        return Page(
            tuple(event for _, event in page),
            walls,
            page[-1][0] if page and len(keyed) > limit else None,
        )

    def aggregate(
        self, question: Aggregate, query: TraceQuery, budget: Budget = UNLIMITED
    ) -> list[GroupRow]:
        """The figures of each group, over the values of its events."""
        members = (self._member(question, event) for event in select(self._index, query))
        rows = group_rows(question, members, query.from_wall_ns, query.until_wall_ns)
        _check_rows(budget, len(rows))
        return rows

    def traces(
        self,
        asked: TraceFilter,
        *,
        sort: TraceSort = "newest",
        limit: int = 100,
        page: int | None = None,
        after: TraceKey | None = None,
        budget: Budget = UNLIMITED,
    ) -> TracesPage:
        """A page of traces, by folding all that there are, once."""
        check_page(sort, limit, page, after)
        _check_rows(budget, limit)
        rows = [row for row, own in self._folded if picked(asked, row, own)]
        items, key = paged(rows, sort, limit, page, after)
        return TracesPage(items, len(rows), limit, page, key)

    def trace_figures(
        self, question: Aggregate, asked: TraceFilter, budget: Budget = UNLIMITED
    ) -> list[GroupRow]:
        """The figures of each group of traces."""
        check_groups(question)
        members = (
            _trace_member(question, row) for row, own in self._folded if picked(asked, row, own)
        )
        rows = group_rows(question, members, asked.started_after_ns, asked.started_before_ns)
        _check_rows(budget, len(rows))
        return rows

    def recording(self, query: TraceQuery, budget: Budget = UNLIMITED) -> Recording:
        """The recording with its matching events alone."""
        events = select(self._index, query)
        _check_rows(budget, len(events))
        return replace(self._recording, events=events)

    def whole_chains(self, query: TraceQuery) -> list[Recording]:
        """The recording: it is held as it is."""
        return [self._recording]

    def find(self, text: str, limit: int = 10) -> list[Found]:
        """What the text may mean, by the tables of the index."""
        return list(islice(self._meanings(text), limit))

    def event(self, event_id: str) -> TraceEvent | None:
        """The event of that id."""
        names = self._index.event_spellings.get(event_id.lower())
        return self._index.events[self._index.event_ids[names[0]]] if names else None

    def nearest(self, text: str, limit: int = 3) -> tuple[str, ...]:
        """Ids spelled much like the text."""
        return nearest_ids(self._index, text, limit)

    def effects(self, names: Sequence[str], limit: int = 1_000) -> Recording:
        """The first events that name one of these as their cause, and what is known besides."""
        wanted = {name for name in names if name}
        found = sorted((e for e in self._index.events if e.caused_by in wanted), key=self._place)
        return replace(self._recording, events=tuple(found[:limit]))

    def newest_wrong(self, query: TraceQuery, budget: Budget = UNLIMITED) -> TraceEvent | None:
        """The event to explain when nothing is named."""
        matching = sorted(select(self._index, query), key=self._place, reverse=True)
        is_decision = self._index.is_decision
        for wanted in (
            lambda e: went_wrong(e) and (is_decision(e) or any(self._index.chain_key(e))),
            is_decision,
            went_wrong,
            lambda event: True,
        ):
            for event in matching:
                if wanted(event):
                    return event
        return None

    def newest_wall_ns(self) -> int | None:
        """When the newest event happened, on the clock of its session."""
        walls = map(self._recording.wall_ns, self._recording.events)
        return max((wall for wall in walls if wall is not None), default=None)

    def sessions(self) -> Sequence[SessionInfo]:
        """The processes that recorded."""
        return self._recording.sessions

    def ledger(self) -> Sequence[RingLedger]:
        """The counts of their rings."""
        return self._recording.rings

    def close(self) -> None:
        """Nothing is held."""

    def _of_lineage(self, ask: Callable[[LineageSource], T]) -> T:
        return ask(self._lineage)

    @cached_property
    def _lineage(self) -> RecordedLineage:
        return RecordedLineage(self._recording, self._place)

    def _meanings(self, text: str) -> Iterator[Found]:
        if not text:
            return
        index, folded = self._index, text.lower()
        if text in index.requests:
            yield Found("request", text)
        elif text in self._chains:
            yield Found("chain", text)
        elif folded in self._traces.all:
            yield Found("trace", folded)
        elif found := index.event_spellings.get(folded):
            yield from (Found("event", name) for name in found)
        elif is_span_id(folded) and (at := index.spans.get(int(folded, 16))):
            yield Found("event", index.events[at[0]].event_id)
        elif names := sorted(index.request_names.matching(text)):
            yield from (Found("request", name) for name in names)
        elif names := sorted(Names(self._chains).matching(text)):
            yield from (Found("chain", name) for name in names)
        elif names := sorted(self._traces.matching(folded)):
            yield from (Found("trace", name) for name in names)
        else:
            for name in sorted(index.event_names.matching(folded)):
                yield from (Found("event", each) for each in index.event_spellings[name])

    def _key(self, event: TraceEvent, order: Order) -> PageKey:
        duration_ns = event.duration.nanos if order == "longest" else 0
        return PageKey(order, duration_ns, *self._place(event))

    def _place(self, event: TraceEvent) -> tuple[int, int, int, int]:
        """What the event is ordered by; one that has no place of its own has that in the source."""
        key = self._keys.get(event.session, 0)
        ticket = event.ticket if event.ring >= 0 else self._positions[id(event)]
        return self._time_ns(event), key, event.ring, ticket

    def _time_ns(self, event: TraceEvent) -> int:
        wall_ns = self._recording.wall_ns(event)
        return event.timestamp.value_ns if wall_ns is None else wall_ns

    def _member(self, question: Aggregate, event: TraceEvent) -> Member:
        keys = tuple(group_value(event, name) for name in question.group_by)
        value = measured_value(event, question.of)
        place = self._place(event) if "last" in question.measures else ()
        return Member(keys, self._time_ns(event), event.weight, value, is_error(event), place)

    @cached_property
    def _folded(self) -> list[tuple[TraceRow, list[TraceEvent]]]:
        return list(traces_of(self._index.events, self._time_ns, self._place))

    @cached_property
    def _chains(self) -> frozenset[str]:
        events = self._recording.events
        return frozenset(e.decision_chain_id for e in events if e.decision_chain_id != e.request_id)

    @cached_property
    def _traces(self) -> Names:
        return Names(dict.fromkeys(e.trace_id for e in self._recording.events if e.trace_id))

    @cached_property
    def _keys(self) -> dict[str, int]:
        return {info.name: info.key for info in self._recording.sessions}

    @cached_property
    def _positions(self) -> dict[int, int]:
        return {id(event): at for at, event in enumerate(self._recording.events)}


def group_value(event: TraceEvent, name: str) -> str:
    """What an event is grouped under: a column's text, or an attribute's; "" for none."""
    if column := GROUPS.get(name):
        value = getattr(event, column)
        return value.name if column == "severity" else str(value)
    return attribute_text(event.attributes.get(name, ""))


def _trace_member(question: Aggregate, row: TraceRow) -> Member:
    keys = tuple(_trace_key(getattr(row, TRACE_GROUPS[name])) for name in question.group_by)
    value = getattr(row, question.of)
    place = (row.started_wall_ns, *halves(row.trace_id))
    return Member(keys, row.started_wall_ns, row.weight, value, row.has_errors, place)


def _trace_key(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def measured_value(event: TraceEvent, of: str) -> float | None:
    """The number that is measured of an event; None if there is none."""
    if of == "duration_ns":
        return event.duration.nanos if event.span or event.duration.nanos else None
    value = event.attributes.get(of)
    number = None if value is None else number_in(value)
    try:
        return None if number is None else float(number)
    except OverflowError:
        return None


def _check_rows(budget: Budget, rows: int) -> None:
    if rows > (inf if budget.rows is None else budget.rows):
        raise BudgetExceeded(
            f"the answer has more than {budget.rows} rows: narrow the question, or allow more"
        )
