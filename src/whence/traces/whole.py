"""Whole traces, many at a time: pages of rows, then one question for the events of many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from whence.model.errors import BudgetExceeded
from whence.model.event import TraceEvent
from whence.model.names import TRACE_ENDED, TRACE_STARTED
from whence.model.query import TraceQuery
from whence.model.trace import Trace
from whence.query.engines.engine import Engine
from whence.query.engines.shapes import PageKey
from whence.query.engines.traces import TraceFilter, TraceKey, TraceRow, TracesPage
from whence.traces.values import trace_of

__all__ = ["Asking", "rows_of", "whole_trace", "whole_traces"]

T = TypeVar("T")

ROWS_AT_ONCE = 5_000
TRACES_AT_ONCE = 500
EVENTS_AT_ONCE = 20_000  # one trace alone may have more
MOST_TRACES = 1_000_000
_ENDS = (TRACE_STARTED, TRACE_ENDED)


class Asking(Protocol):
    """Asks a question of an engine that is free, and gives it back."""

    def __call__(self, question: Callable[[Engine], T], /) -> T:
        """The answer."""


def whole_trace(engine: Engine, row: TraceRow, most_events: int) -> Trace:
    """The row's trace with its events. BudgetExceeded for one that has more events than that."""
    _check(row, most_events)
    return _made(row, _events(engine, [row], ends_only=False).get(row.trace_id, []))


def whole_traces(
    ask: Asking, rows: Iterable[TraceRow], most_events: int, *, events: bool = True
) -> Iterator[Trace]:
    """The traces of these rows in their order; without `events` they have none.

    Asks for some hundred at a time, and holds no more than these. One that was deleted meanwhile is
    left out. Raises BudgetExceeded for one of more events than that, and what the engine does.
    """
    for some in _portions(rows, most_events, events):

        def read(engine: Engine, some: Sequence[TraceRow] = some) -> list[Trace]:
            found = _events(engine, some, ends_only=not events)
            return [_made(row, found[row.trace_id]) for row in some if row.trace_id in found]

        yield from ask(read)


def rows_of(
    ask: Asking, asked: TraceFilter, counted: Callable[[int], object] | None = None
) -> Iterator[TraceRow]:
    """All traces that match, the oldest first, some thousand held at once.

    `counted` is told first how many there are. Raises BudgetExceeded where there are too many.
    """
    after: TraceKey | None = None
    while True:

        def read(
            engine: Engine, asked: TraceFilter = asked, after: TraceKey | None = after
        ) -> TracesPage:
            return engine.traces(asked, sort="oldest", limit=ROWS_AT_ONCE, after=after)

        page = ask(read)
        if page.total > MOST_TRACES:
            raise BudgetExceeded(
                f"{page.total} traces match, more than {MOST_TRACES}: narrow the time"
            )
        if after is None and counted is not None:
            counted(page.total)
        yield from page.items
        if page.next is None:
            return
        after = page.next  # none that started before is looked at again
        asked = replace(asked, started_after_ns=after.started_wall_ns)


def _portions(
    rows: Iterable[TraceRow], most_events: int, events: bool
) -> Iterator[Sequence[TraceRow]]:
    """Rows of so many traces, or events, as are read at once."""
    held: list[TraceRow] = []
    count = 0
    for row in rows:
        if events:
            _check(row, most_events)
        size = row.events if events else 0
        if held and (len(held) >= TRACES_AT_ONCE or count + size > EVENTS_AT_ONCE):
            yield held
            held, count = [], 0
        held.append(row)
        count += size
    if held:
        yield held


def _events(
    engine: Engine, rows: Sequence[TraceRow], *, ends_only: bool
) -> dict[str, list[tuple[TraceEvent, int | None]]]:
    """The events of each of these traces with their wall times, the oldest first."""
    ids = tuple(row.trace_id for row in rows)
    query = TraceQuery(trace_id=ids, event_type=_ENDS if ends_only else None)
    limit = max(1_000, 4 * len(rows) + (0 if ends_only else sum(row.events for row in rows)))
    found: dict[str, list[tuple[TraceEvent, int | None]]] = {}
    after: PageKey | None = None
    while True:
        page = engine.select(query, order="oldest", limit=limit, after=after)
        for event, wall_ns in zip(page.events, page.wall_ns, strict=True):
            found.setdefault(event.trace_id, []).append((event, wall_ns))
        if page.next is None:
            return found
        after = page.next


def _made(row: TraceRow, stored: Sequence[tuple[TraceEvent, int | None]]) -> Trace:
    walls = {id(event): wall_ns for event, wall_ns in stored}
    return trace_of(row, [event for event, _ in stored], lambda event: walls[id(event)])


def _check(row: TraceRow, most_events: int) -> None:
    if row.events > most_events:
        raise BudgetExceeded(
            f"the trace {row.trace_id} has {row.events} events, more than {most_events}: "
            "allow more by the option max_events"
        )
