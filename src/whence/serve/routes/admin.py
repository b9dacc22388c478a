"""The routes that delete traces, and the one that gives them out as a file."""

from __future__ import annotations

import contextlib
from typing import Any

from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from whence.serve.asked_traces import TraceId, trace_id_of
from whence.serve.json import Json
from whence.serve.parts import Parts
from whence.serve.problem import Problem
from whence.serve.routes.trace_figures import understood
from whence.serve.routing import Routes
from whence.serve.written import AskedExport, Cleanup, Deleted
from whence.traces.asked import filter_of

__all__ = ["MOST_EXPORTED", "add_admin"]

MOST_EXPORTED = 1_000  # some 10 to 30 ms each, and an answer has a minute


def add_admin(routes: Routes, parts: Parts) -> None:
    """The routes that delete, and /exports."""

    async def delete_trace(id: TraceId) -> Json:
        """Hides a trace from every question at once and for good; its bytes go later."""
        name = trace_id_of(id)
        await parts.need_writing().ask(lambda service: service.delete_trace(name), settles=False)
        return Json({"deleted_count": 1})

    async def clean_up_traces(asked: Cleanup) -> Json:
        """Deletes all traces that ended before that many days ago; those that are active stay."""
        days = asked.older_than_days
        count = await parts.need_writing().ask(lambda service: service.cleanup(days), settles=False)
        return Json({"deleted_count": count})

    async def export_traces(asked: AskedExport) -> Response:
        """The traces that match as a file, with their events and figures if wished."""
        writing = parts.need_writing()
        wanted = understood(lambda: filter_of(asked.filter, writing.now_ns()))
        found = await parts.asking.ask(lambda engine: engine.traces(wanted, limit=1))
        if found.total > MOST_EXPORTED:
            detail = f"{found.total} traces match, more than {MOST_EXPORTED}"
            raise Problem(422, "budget_exceeded", detail, "a shorter time narrows it")
        given = asked.model_dump()
        made = await writing.ask(lambda service: service.export_traces(**given), settles=False)

        def forget() -> None:
            with contextlib.suppress(OSError):
                made.path.unlink()

        headers = {"X-Whence-Traces": str(made.traces), "X-Whence-Events": str(made.events)}
        return FileResponse(
            made.path,
            media_type="application/octet-stream",
            filename=made.path.name,
            headers=headers,
            background=BackgroundTask(forget),
        )

    large = {413: "The body is too large.", 415: "The body's encoding or type is another."}
    missing = {404: "There is no such trace."}
    admin: dict[str, Any] = {"tag": "traces", "scope": "admin", "writes": True, "shape": Deleted}
    routes.add("DELETE", "/traces/{id}", delete_trace, problems=missing, **admin)
    routes.add("POST", "/traces/cleanup", clean_up_traces, problems=large, **admin)
    routes.add(
        "POST",
        "/exports",
        export_traces,
        tag="traces",
        shape=None,
        writes=True,
        problems=large | {422: "There are more traces than one file may have."},
        media_type="application/octet-stream",
    )
