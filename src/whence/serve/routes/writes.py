"""The routes that write traces: begin, record, end; answered once it is on the disk."""

from __future__ import annotations

from typing import Any

from whence.model.result import Result
from whence.model.trace import Event
from whence.serve.asked_traces import TraceId, trace_id_of
from whence.serve.json import Json
from whence.serve.parts import Parts
from whence.serve.problem import Problem
from whence.serve.routing import PREFIX, Routes
from whence.serve.trace_shapes import StepShape
from whence.serve.written import (
    Batch,
    NewEvent,
    NewTrace,
    Reason,
    Recorded,
    TraceHead,
    plain_head,
    plain_new_step,
)
from whence.traces.service import TraceService

__all__ = ["add_writes"]


def add_writes(routes: Routes, parts: Parts) -> None:
    """The routes that write."""
    writing = parts.need_writing

    async def create_trace(new: NewTrace) -> Json:
        """Begins a trace. It is active until it is completed, failed or cancelled, or expires."""
        given = new.model_dump()
        trace = await writing().ask(lambda service: service.create_trace(**given))
        return Json(plain_head(trace), 201, {"Location": f"{PREFIX}/traces/{trace.trace_id}"})

    async def record_event(id: TraceId, new: NewEvent) -> Json:
        """Records an event of an active trace."""
        name, given = trace_id_of(id), new.model_dump()
        event = await writing().ask(lambda service: service.record_event(name, **given))
        return Json(plain_new_step(event), 201)

    async def record_events(id: TraceId, new: Batch) -> Json:
        """Records several events of an active trace, in their order. Where one cannot be recorded,
        those before it stay recorded: `recorded` counts them.
        """
        name = trace_id_of(id)

        def record(service: TraceService) -> Result[list[Event]]:
            done: list[Event] = []
            for each in new.events:
                result = service.record_event(name, **each.model_dump())
                if result.is_error():
                    if not done:
                        return Result.err(result.error)
                    service.flush()
                    said = f"event {len(done) + 1}: {result.error.message}"
                    advice = "send the others again without it"
                    more = {"recorded": len(done)}
                    raise Problem(400, "recorded_in_part", said, advice, more=more)
                done.append(result.value())
            return Result.ok(done)

        events = await writing().ask(record)
        ids = [event.event_id for event in events]
        return Json({"recorded": len(ids), "event_ids": ids}, 201)

    async def complete_trace(id: TraceId) -> Json:
        """Ends a trace well."""
        name = trace_id_of(id)
        return Json(plain_head(await writing().ask(lambda service: service.complete(name))))

    async def fail_trace(id: TraceId, why: Reason | None = None) -> Json:
        """Ends a trace with an error."""
        name, reason = trace_id_of(id), why.reason if why else ""
        return Json(plain_head(await writing().ask(lambda service: service.fail(name, reason))))

    async def cancel_trace(id: TraceId, why: Reason | None = None) -> Json:
        """Ends a trace because somebody wished so."""
        name, reason = trace_id_of(id), why.reason if why else ""
        return Json(plain_head(await writing().ask(lambda service: service.cancel(name, reason))))

    missing = {404: "There is no such trace."}
    ended = missing | {409: "It has ended already."}
    large = {413: "The body is too large.", 415: "The body's encoding or type is another."}
    usual: dict[str, Any] = {"tag": "traces", "scope": "ingest", "writes": True}
    add = routes.add
    add("POST", "/traces", create_trace, shape=TraceHead, status=201, problems=large, **usual)
    path = "/traces/{id}/events"
    add("POST", path, record_event, shape=StepShape, status=201, problems=ended | large, **usual)
    path = "/traces/{id}/events/batch"
    add("POST", path, record_events, shape=Recorded, status=201, problems=ended | large, **usual)
    for verb, endpoint in (
        ("complete", complete_trace),
        ("fail", fail_trace),
        ("cancel", cancel_trace),
    ):
        path = f"/traces/{{id}}/{verb}"
        add("POST", path, endpoint, shape=TraceHead, problems=ended | large, **usual)
