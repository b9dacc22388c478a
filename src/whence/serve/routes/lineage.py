"""The routes of lineage: what an id was made of, what was made of it, and that of a trace."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query

from whence.model.query import TraceQuery
from whence.query.engines.engine import Engine
from whence.query.lineage_answer import found_lineage_id, lineage_answer
from whence.query.plain import plain
from whence.serve.asked import plain_text
from whence.serve.asked_traces import TraceId, trace_id_of
from whence.serve.json import Json
from whence.serve.parts import Parts
from whence.serve.routing import Routes
from whence.serve.shapes import LineageShape, PageOf, page

__all__ = ["add_lineage"]

Way = Annotated[Literal["up", "down"], Query(description="To its ancestors, or its descendants.")]
Depth = Annotated[int, Query(ge=1, le=1_000, description="How many links away at most.")]
Nodes = Annotated[int, Query(ge=1, le=5_000, description="How many ids at most.")]
MOST_EVENTS = 1_000  # of a trace, whose lineage ids are looked for
MOST_IDS = 10


def add_lineage(routes: Routes, parts: Parts) -> None:
    """The routes of lineage."""
    asking = parts.asking

    async def get_lineage(
        lineage_id: Annotated[
            str,
            Path(max_length=64, description="The id in decimal, or its last digits."),
        ],
        direction: Way = "up",
        depth: Depth = 100,
        limit: Nodes = 200,
    ) -> Json:
        """All that an id was made of, or all that was made of it, the nearest first, with what is
        known of each. `cut` says which limit ended the walk; links that lead in a circle are
        marked.
        """
        plain_text(lineage_id, "lineage_id")

        def ask(engine: Engine) -> Any:
            found = found_lineage_id(engine, lineage_id)
            return lineage_answer(
                engine, found, direction, most_depth=depth, most_ids=limit, source_words=None
            )

        return Json(await asking.ask(ask))

    async def get_trace_lineage(
        id: TraceId, direction: Way = "up", depth: Depth = 100, limit: Nodes = 200
    ) -> Json:
        """The lineage of the first ids that events of the trace have."""
        name = trace_id_of(id)

        def ask(engine: Engine) -> list[Any]:
            query = TraceQuery(trace_id=name)
            events = engine.select(query, order="oldest", limit=MOST_EVENTS).events
            ids = list(dict.fromkeys(event.lineage_id for event in events if event.lineage_id))
            return [
                plain(
                    lineage_answer(
                        engine, each, direction, most_depth=depth, most_ids=limit, source_words=None
                    )
                )
                for each in ids[:MOST_IDS]
            ]

        found = await asking.ask(ask)
        return Json(page(found, MOST_IDS, number=1))

    known = {404: "There is no such id; `nearest` are spelled alike.", 409: "Several end so."}
    path = "/lineage/{lineage_id}"
    routes.add("GET", path, get_lineage, tag="why", shape=LineageShape, problems=known)
    path, shape = "/traces/{id}/lineage", PageOf[LineageShape]
    missing = {404: "That is no trace id."}
    routes.add("GET", path, get_trace_lineage, tag="why", shape=shape, problems=missing)
