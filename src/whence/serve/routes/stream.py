"""The stream of new events, as server-sent events that can be resumed."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from whence.serve.asked import EventFilters
from whence.serve.door import token_of
from whence.serve.parts import Parts
from whence.serve.problem import Problem
from whence.serve.routing import Routes

__all__ = ["add_stream"]

LONGEST_TOKEN = 16_000


def add_stream(routes: Routes, parts: Parts) -> None:
    """/events/stream."""

    async def stream_events(
        request: Request,
        filters: Annotated[EventFilters, Depends()],
        last_event_id: Annotated[
            str, Header(max_length=LONGEST_TOKEN, description="As EventSource sends it.")
        ] = "",
        after: Annotated[
            str,
            Query(
                max_length=LONGEST_TOKEN,
                description="An id of the stream, `beginning` for all that is stored, or the "
                "cursor of a page of the oldest first; by default what is stored from now on.",
            ),
        ] = "",
    ) -> Response:
        """New events that pass all filters, as they are stored: server-sent events whose `data` are
        events as GET /events has them. Give the last `id` as Last-Event-ID to go on behind it;
        what was not told as a whole piece is then told again, and nothing is left out.
        """
        streams = parts.streams
        if streams is None:
            raise Problem(404, "no_such_route", "this server tells of no new events", "ask again")
        token = token_of(request.scope)

        def allowed() -> bool:
            return token is not None and parts.tokens.still_counts(token)

        pieces = await streams.open(filters.query, last_event_id or after, allowed)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(pieces, media_type="text/event-stream", headers=headers)

    routes.add(
        "GET",
        "/events/stream",
        stream_events,
        tag="events",
        shape=None,
        media_type="text/event-stream",
    )
