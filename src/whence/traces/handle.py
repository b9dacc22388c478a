"""A trace that is open for the length of a block: `with traces.trace(...) as t`."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from whence import _native
from whence._native import Context
from whence.model.result import Error, Result
from whence.model.trace import Event, EventLevel, Trace, TraceStatus

if TYPE_CHECKING:
    from whence.traces.service import TraceService

__all__ = ["OpenTrace"]


class OpenTrace:
    """Begins a trace when it is entered and ends it when it is left. One block, one thread or task.

    If it could not begin, the block runs all the same: `error` says why, and events answer it.
    """

    def __init__(self, service: TraceService, name: str, **arguments: Any) -> None:
        self._service = service
        self._arguments: Mapping[str, Any] = {"name": name, **arguments}
        self._entered: Context | None = None
        self._ended = False
        self.trace: Trace | None = None
        self.error: Error | None = None

    @property
    def trace_id(self) -> str:
        """The trace's id; empty before the block and if the trace could not begin."""
        return self.trace.trace_id if self.trace else ""

    def event(
        self,
        event_type: str,
        /,
        *,
        level: EventLevel | str = EventLevel.INFO,
        message: str | None = None,
        duration_ms: float | None = None,
        parent_event_id: str = "",
        **data: Any,
    ) -> Result[Event]:
        """Records an event of this trace; what is named otherwise is its data."""
        if self.trace is None:
            return Result.err(self._not_there())
        return self._service.record_event(
            self.trace.trace_id,
            event_type,
            level,
            message,
            data,
            None,
            duration_ms,
            parent_event_id=parent_event_id,
        )

    def fail(self, reason: str = "") -> Result[Trace]:
        """Ends the trace with an error before the block does."""
        return self._end(TraceStatus.FAILED, reason)

    def cancel(self, reason: str = "") -> Result[Trace]:
        """Ends the trace because somebody wished so."""
        return self._end(TraceStatus.CANCELLED, reason)

    def complete(self) -> Result[Trace]:
        """Ends the trace well, before the block does."""
        return self._end(TraceStatus.COMPLETED, "")

    def create(self) -> Result[Trace]:
        """Creates the trace, as entering the block does first."""
        return self._service.create_trace(**self._arguments)

    def begin(self, made: Result[Trace]) -> None:
        """Makes the trace the ambient one here, as entering does then."""
        if made.is_error():
            self.error = made.error
            return
        self.trace = made.value()
        around = _native.current()
        same = around.request_id if around else ""
        self._entered = _native.enter(Context(same, trace_id=self.trace.trace_id))

    def leave(self) -> None:
        """Makes it ambient no more, as leaving the block does first."""
        if self._entered is not None:
            _native.leave(self._entered)
            self._entered = None

    def finish(self, error: BaseException | None) -> None:
        """Ends the trace unless it has ended, as leaving does then."""
        if self.trace is None or self._ended:
            return
        if error is None:
            self._end(TraceStatus.COMPLETED, "")
        else:
            text = f"{type(error).__name__}: {error}".removesuffix(": ")
            self._end(TraceStatus.FAILED, text.encode(errors="replace").decode())

    def __enter__(self) -> Self:
        """Begins the trace, and makes it the ambient one."""
        self.begin(self.create())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the trace, unless the block has."""
        self.leave()
        self.finish(error)

    def _end(self, status: TraceStatus, reason: str) -> Result[Trace]:
        if self.trace is None:
            return Result.err(self._not_there())
        self._ended = True
        if status is TraceStatus.COMPLETED:
            return self._service.complete(self.trace.trace_id)
        end = self._service.fail if status is TraceStatus.FAILED else self._service.cancel
        return end(self.trace.trace_id, reason)

    def _not_there(self) -> Error:
        from whence.model.result import ErrorCode

        return self.error or Error(ErrorCode.Conflict, "the trace begins with its block")
