"""The routes that read traces: lists, one with its events, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Query

from whence.model.errors import IdNotFound
from whence.model.event import TraceEvent
from whence.model.names import TRACE_ENDED, TRACE_STARTED
from whence.model.nested import whole
from whence.model.query import TraceQuery
from whence.query.engines.engine import Engine
from whence.query.engines.folded_traces import folded
from whence.query.engines.shapes import Page, PageKey
from whence.query.engines.traces import TraceFilter, TraceKey, TraceRow, TracesPage
from whence.serve.asked import MOST, Cursor, Limit
from whence.serve.asked_traces import Sort, TraceFilters, TraceId, trace_id_of
from whence.serve.json import Json
from whence.serve.parts import Parts
from whence.serve.problem import Problem
from whence.serve.routing import Routes
from whence.serve.shapes import PageOf, page
from whence.serve.trace_shapes import StepShape, TraceRowShape, TraceShape, plain_row, plain_step

__all__ = ["add_traces"]

Number = Annotated[
    int | None,
    Query(ge=1, le=1_000_000, description="The number of the page, from 1; or give a cursor."),
]
_ENDS = (TRACE_STARTED, TRACE_ENDED)
_METADATA = "metadata."
FEW = 200  # events that are read to see whether there are more


def add_traces(routes: Routes, parts: Parts) -> None:
    """The routes that read traces."""
    asking = parts.asking

    async def listed(
        asked: TraceFilter, sort: Sort, limit: int, number: int | None, cursor: str | None
    ) -> Json:
        after = None if cursor is None else TraceKey.parse(cursor)
        if number is None and after is None:
            number = 1
        budget = asking.budget()

        def ask(engine: Engine) -> TracesPage:
            return engine.traces(
                asked, sort=sort, limit=limit, page=number, after=after, budget=budget
            )

        found = await asking.ask(ask)
        items = [plain_row(row) for row in found.items]
        return Json(page(items, limit, found.next, total=found.total, number=found.page))

    async def list_traces(
        filters: Annotated[TraceFilters, Depends()],
        sort: Sort = "newest",
        limit: Limit = 100,
        page: Number = None,
        cursor: Cursor = None,
    ) -> Json:
        """Traces that pass all filters, a page at a time: by number, or by the cursor of the page
        before, which neither repeats nor leaves out while others are recorded.
        """
        return await listed(filters.filter, sort, limit, page, cursor)

    async def search_traces(
        q: Annotated[str, Query(max_length=1_000, description="What to look for.")] = "",
        sort: Sort = "newest",
        limit: Limit = 100,
        page: Number = None,
        cursor: Cursor = None,
    ) -> Json:
        """Traces whose name, description or events' rationales have this text in them."""
        if not q.strip() or "\0" in q:
            raise Problem(400, "empty_search", "nothing to look for", "give it as ?q=TEXT")
        return await listed(TraceFilter(text=q), sort, limit, page, cursor)

    async def list_traces_with_errors(
        filters: Annotated[TraceFilters, Depends()],
        sort: Sort = "newest",
        limit: Limit = 100,
        page: Number = None,
        cursor: Cursor = None,
    ) -> Json:
        """Traces that failed or have an event that is an error."""
        asked = replace(filters.filter, has_errors=True)
        return await listed(asked, sort, limit, page, cursor)

    async def get_trace(
        id: TraceId,
        events: Annotated[int, Query(ge=0, le=MOST, description="How many at most.")] = 100,
    ) -> Json:
        """One trace with its first events."""
        name = trace_id_of(id)
        return Json(await asking.ask(lambda engine: _trace(engine, name, events)))

    async def list_trace_events(id: TraceId, limit: Limit = 100, cursor: Cursor = None) -> Json:
        """The events of a trace, the oldest first, a page at a time."""
        name = trace_id_of(id)
        after = None if cursor is None else PageKey.parse(cursor)

        def ask(engine: Engine) -> dict[str, Any]:
            row = _row(engine, name)
            return _steps(row, _events(engine, name, limit, after), limit)

        return Json(await asking.ask(ask))

    missing = {404: "There is no such trace."}
    rows = PageOf[TraceRowShape]
    costly = {422: "It would cost more than a question may."}
    add = routes.add
    add("GET", "/traces", list_traces, tag="traces", shape=rows, problems=costly)
    add("GET", "/traces/search", search_traces, tag="traces", shape=rows, problems=costly)
    add("GET", "/traces/errors", list_traces_with_errors, tag="traces", shape=rows, problems=costly)
    add("GET", "/traces/{id}", get_trace, tag="traces", shape=TraceShape, problems=missing)
    steps = PageOf[StepShape]
    path = "/traces/{id}/events"
    add("GET", path, list_trace_events, tag="traces", shape=steps, problems=missing)


def _trace(engine: Engine, trace_id: str, events: int) -> dict[str, Any]:
    whole_of_it = _small(engine, trace_id, events)
    if whole_of_it is not None:
        return whole_of_it
    row = _row(engine, trace_id)
    both = TraceQuery(trace_id=trace_id, event_type=_ENDS)
    told = {each.event_type: each for each in reversed(engine.select(both, limit=10).events)}
    if events:
        steps = _steps(row, _events(engine, trace_id, events, None), events)
    else:
        steps = page([], 1, None, total=row.events)
    return _answer(row, told, steps)


def _small(engine: Engine, trace_id: str, events: int) -> dict[str, Any] | None:
    """A trace of few events by one question, rather than three; None of one that has more."""
    found = engine.select(TraceQuery(trace_id=trace_id), order="oldest", limit=max(events, FEW) + 2)
    own = tuple(each for each in found.events if each.event_type not in _ENDS)
    if not found.events or found.next is not None or len(own) > events:
        return None
    walls = {id(e): wall or 0 for e, wall in zip(found.events, found.wall_ns, strict=True)}
    row = folded(found.events, lambda event: walls[id(event)])
    told = {each.event_type: each for each in reversed(found.events) if each.event_type in _ENDS}
    shown = Page(own, tuple(walls[id(each)] for each in own))
    return _answer(row, told, _steps(row, shown, max(1, events)))


def _answer(row: TraceRow, told: Mapping[str, TraceEvent], steps: dict[str, Any]) -> dict[str, Any]:
    said = whole(told[TRACE_STARTED].attributes) if TRACE_STARTED in told else {}
    return {
        **plain_row(row),
        "metadata": {
            name.removeprefix(_METADATA): value
            for name, value in said.items()
            if name.startswith(_METADATA)
        },
        "reason": told[TRACE_ENDED].rationale if TRACE_ENDED in told else "",
        "steps": steps,
    }


def _row(engine: Engine, trace_id: str) -> TraceRow:
    found = engine.traces(TraceFilter(trace_ids=(trace_id,)), limit=1)
    for row in found.items:
        return row
    raise IdNotFound(f"no trace is called {trace_id}", engine.nearest(trace_id))


def _events(engine: Engine, trace_id: str, limit: int, after: PageKey | None) -> Page:
    """The next events of a trace; those that begin and end it are not told among them."""
    found = engine.select(TraceQuery(trace_id=trace_id), order="oldest", limit=limit, after=after)
    kept = [
        (event, wall)
        for event, wall in zip(found.events, found.wall_ns, strict=True)
        if event.event_type not in _ENDS
    ]
    return Page(tuple(e for e, _ in kept), tuple(w for _, w in kept), found.next)


def _steps(row: TraceRow, found: Page, limit: int) -> dict[str, Any]:
    items = [
        plain_step(event, wall) for event, wall in zip(found.events, found.wall_ns, strict=True)
    ]
    return page(items, limit, found.next, total=row.events)
