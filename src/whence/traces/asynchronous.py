"""AsyncTraceService: the same calls, awaited; none holds up the loop."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from whence.model.result import Result
from whence.model.trace import Event, Trace, TraceType
from whence.traces.handle import OpenTrace
from whence.traces.service import TraceService

__all__ = ["AsyncOpenTrace", "AsyncTraceService"]

P = ParamSpec("P")
T = TypeVar("T")


def _awaited(
    call: Callable[Concatenate[TraceService, P], T],
) -> Callable[Concatenate[AsyncTraceService, P], Awaitable[T]]:
    """The call in a thread of the loop's pool, in the context of who awaits it."""

    @functools.wraps(call)
    async def run(self: AsyncTraceService, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(call, self.service, *args, **kwargs)

    return run


class AsyncTraceService:
    """A TraceService for asyncio: `await traces.create_trace(...)`, `async with traces.trace(...)`.

    Every call runs in a thread of the loop's pool (asyncio.to_thread), since each may wait for a
    disk: about 100 us on top. A call that is cancelled goes on in its thread: what it records is
    recorded. Takes what TraceService takes, or one that there is already as `service`.
    """

    def __init__(
        self,
        data_source: str | os.PathLike[str] = "./traces",
        *,
        service: TraceService | None = None,
        **options: Any,
    ) -> None:
        self.service = service or TraceService(data_source, **options)

    create_trace = _awaited(TraceService.create_trace)
    record_event = _awaited(TraceService.record_event)
    complete = _awaited(TraceService.complete)
    fail = _awaited(TraceService.fail)
    cancel = _awaited(TraceService.cancel)
    expire_overdue = _awaited(TraceService.expire_overdue)
    get_trace_by_id = _awaited(TraceService.get_trace_by_id)
    query_traces = _awaited(TraceService.query_traces)
    search = _awaited(TraceService.search)
    statistics = _awaited(TraceService.statistics)
    errors = _awaited(TraceService.errors)
    performance = _awaited(TraceService.performance)
    chain = _awaited(TraceService.chain)
    why = _awaited(TraceService.why)
    delete_trace = _awaited(TraceService.delete_trace)
    cleanup = _awaited(TraceService.cleanup)
    export_traces = _awaited(TraceService.export_traces)
    get_metrics = _awaited(TraceService.get_metrics)
    get_dashboard_data = _awaited(TraceService.get_dashboard_data)
    add_event_listener = _awaited(TraceService.add_event_listener)
    remove_event_listener = _awaited(TraceService.remove_event_listener)
    flush = _awaited(TraceService.flush)
    close = _awaited(TraceService.close)

    def trace(
        self,
        name: str = "",
        *,
        type: TraceType | str = TraceType.CUSTOM,
        context_id: str = "",
        **more: Any,
    ) -> AsyncOpenTrace:
        """`async with traces.trace("work") as t: await t.event("step")`; else as TraceService."""
        return AsyncOpenTrace(self.service.trace(name, type=type, context_id=context_id, **more))

    async def __aenter__(self) -> Self:
        """The service itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes."""
        await self.close()


class AsyncOpenTrace:
    """An OpenTrace whose calls are awaited; it is the ambient trace of the task that enters it."""

    def __init__(self, inside: OpenTrace) -> None:
        self.inside = inside

    @property
    def trace_id(self) -> str:
        """The trace's id; empty if it could not begin."""
        return self.inside.trace_id

    async def event(self, event_type: str, /, **more: Any) -> Result[Event]:
        """Records an event of this trace, as OpenTrace.event()."""
        return await asyncio.to_thread(self.inside.event, event_type, **more)

    async def complete(self) -> Result[Trace]:
        """Ends the trace well before the block does."""
        return await asyncio.to_thread(self.inside.complete)

    async def fail(self, reason: str = "") -> Result[Trace]:
        """Ends the trace with an error."""
        return await asyncio.to_thread(self.inside.fail, reason)

    async def cancel(self, reason: str = "") -> Result[Trace]:
        """Ends the trace because somebody wished so."""
        return await asyncio.to_thread(self.inside.cancel, reason)

    async def __aenter__(self) -> Self:
        """Begins the trace, and makes it the ambient one of this task."""
        self.inside.begin(await asyncio.to_thread(self.inside.create))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the trace, unless the block has."""
        self.inside.leave()
        await asyncio.to_thread(self.inside.finish, error)
