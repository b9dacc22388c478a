"""The questions: why, chains, pages of events, and the ledger of what was recorded."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Query

from whence.model.errors import IdNotFound
from whence.model.recording import Recording
from whence.query.chain import find_chain
from whence.query.engines.engine import Engine
from whence.query.engines.shapes import Aggregate, Page, PageKey
from whence.query.index import Index
from whence.query.plain import plain, plain_event
from whence.query.reach import around, around_newest_wrong
from whence.query.why import Answer, why
from whence.serve.asked import Cursor, EventFilters, Limit, plain_text
from whence.serve.json import Json
from whence.serve.parts import Parts
from whence.serve.problem import Problem
from whence.serve.routing import Routes
from whence.serve.shapes import (
    AnswerShape,
    ChainShape,
    EventShape,
    LedgerShape,
    PageOf,
    SessionShape,
    page,
)

__all__ = ["add_questions", "chain_found"]

Id = Annotated[
    str,
    Path(
        max_length=1_000,
        description="The id of a request, a decision chain, a trace or an event, its beginning or "
        "its end.",
        examples=["req-0007"],
    ),
]
Order = Literal["oldest", "newest", "longest"]
_NONE = {404: "Nothing is called so; `nearest` are spelled alike."}
_ONE = _NONE | {
    409: "Several things are called so: `candidates`.",
    422: "It is larger than a question may be.",
}


def add_questions(routes: Routes, parts: Parts) -> None:
    """The routes that only ask."""
    asking, rows = parts.asking, parts.limits.question_rows

    async def get_decision(id: Id) -> Json:
        """Why it went as it did: the verdict, where its time went, its story with the options that
        were not taken, its contract, and what is known of its gaps. `newest` explains the newest
        decision that went wrong.
        """
        plain_text(id, "id")
        return Json(await asking.ask(lambda engine: _why(engine, id, parts)))

    async def list_events(
        filters: Annotated[EventFilters, Depends()],
        order: Order = "newest",
        limit: Limit = 100,
        cursor: Cursor = None,
        with_total: Annotated[bool, Query(description="Count all that match, too.")] = False,
    ) -> Json:
        """Events that pass all filters, a page at a time. The cursor of a page stays good while
        new events arrive: none comes twice, and none is passed over.
        """
        after = None if cursor is None else PageKey.parse(cursor)
        query, budget = filters.query, asking.budget()

        def ask(engine: Engine) -> tuple[Page, int | None]:
            found = engine.select(query, order=order, limit=limit, after=after, budget=budget)
            if not with_total:
                return found, None
            counted = engine.aggregate(Aggregate(measures=("count",)), query, budget)
            return found, sum(row.rows for row in counted)

        found, total = await asking.ask(ask)
        items = [
            {**plain_event(event), "wall_ns": wall_ns}
            for event, wall_ns in zip(found.events, found.wall_ns, strict=True)
        ]
        return Json(page(items, limit, found.next, total=total))

    async def get_event(id: Id) -> Json:
        """One event."""
        plain_text(id, "id")

        def ask(engine: Engine) -> Any:
            event = engine.event(id)
            if event is None:
                raise IdNotFound(f"no event is called {id!r}", engine.nearest(id))
            known = Recording(sessions=tuple(engine.sessions()))
            return {**plain_event(event), "wall_ns": known.wall_ns(event)}

        return Json(await asking.ask(ask))

    async def get_trace_chain(id: Id) -> Json:
        """All events of its chain, in order."""
        plain_text(id, "id")
        return Json(await asking.ask(lambda engine: chain_found(engine, id, rows)))

    async def list_sessions() -> Json:
        """The processes that recorded into the store, the newest first."""
        found = await asking.ask(lambda engine: list(engine.sessions()))
        found.sort(key=lambda each: (-each.started_wall_ns, each.name))
        items = [plain(each) for each in found]
        return Json(page(items, max(1, len(items)), total=len(items), number=1))

    async def get_ledger() -> Json:
        """What was recorded, what can be read and what was lost, ring by ring."""
        rings = await asking.ask(lambda engine: list(engine.ledger()))
        sums = {
            name: sum(getattr(ring, name) for ring in rings)
            for name in ("recorded", "readable", "lost")
        }
        return Json({**sums, "rings": rings})

    add = routes.add
    add("GET", "/decisions/{id}", get_decision, tag="why", shape=AnswerShape, problems=_ONE)
    add("GET", "/traces/{id}/chain", get_trace_chain, tag="why", shape=ChainShape, problems=_ONE)
    costly = {422: "It would cost more than a question may."}
    add("GET", "/events", list_events, tag="events", shape=PageOf[EventShape], problems=costly)
    add("GET", "/events/{id}", get_event, tag="events", shape=EventShape, problems=_NONE)
    add("GET", "/sessions", list_sessions, tag="store", shape=PageOf[SessionShape])
    add("GET", "/ledger", get_ledger, tag="store", shape=LedgerShape)


def chain_found(engine: Engine, text: str, most_rows: int) -> dict[str, Any]:
    """The chain that an id means, as it is answered. Raises what around() does."""
    recording, name = around(engine, text, most_rows=most_rows)
    found = find_chain(Index(recording), name)
    events = [{**plain_event(event), "wall_ns": recording.wall_ns(event)} for event in found.events]
    return {
        "name": found.name,
        "request_id": found.request_id,
        "decision_chain_id": found.chain_id,
        "events": events,
    }


def _why(engine: Engine, text: str, parts: Parts) -> Answer:
    from whence.model.query import TraceQuery

    most = parts.limits.question_rows
    if text != "newest":
        recording, name = around(engine, text, most_rows=most)
        return why(recording, name, parts.contracts, source_words=None)
    recording, chosen = around_newest_wrong(engine, TraceQuery(), most_rows=most)
    if not recording.events:
        raise Problem(404, "not_found", "nothing is stored here", "record something")
    key = chosen.order_key, chosen.event_id
    return why(
        recording,
        None,
        parts.contracts,
        source_words=None,
        among=lambda event: (event.order_key, event.event_id) == key,
    )
