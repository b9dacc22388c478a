"""Writes traces for a server: in a few threads, answered once it is durable."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from whence.model.result import Error, ErrorCode, Result
from whence.serve.problem import Problem
from whence.traces.service import TraceService

__all__ = ["Writing"]

T = TypeVar("T")
_THREADS = 16  # they wait for the disk together: one commit is for all of them
_STATUS = {
    ErrorCode.InvalidArgument: (400, "bad_request", "GET /api/v1/openapi.json says what fits"),
    ErrorCode.NotFound: (404, "not_found", "GET /api/v1/traces lists those there are"),
    ErrorCode.Conflict: (409, "conflict", "a trace that has ended stays as it is: begin another"),
    ErrorCode.BudgetExceeded: (422, "budget_exceeded", "a shorter time or a type narrows it"),
    ErrorCode.Unavailable: (503, "not_stored", "send it again later"),
    ErrorCode.Timeout: (503, "too_slow", "send it again later"),
}


class Writing:
    """Calls of a TraceService from one event loop. Close it before the service.

    `full` says why there is no room for more, "" where there is.
    """

    def __init__(
        self,
        service: TraceService,
        most_waiting: int = 256,
        *,
        full: Callable[[], str] = lambda: "",
    ) -> None:
        self._service = service
        self._most = most_waiting
        self._full = full
        self._threads = ThreadPoolExecutor(_THREADS, "whence-write")
        self.waiting = 0
        self.done = 0

    async def ask(self, call: Callable[[TraceService], Result[T]], *, settles: bool = True) -> T:
        """The value that the call answers with; with `settles` once all of it is on the disk.

        Problem for what it could not do, and where too many wait.
        """
        if settles and (why := self._full()):
            advice = "send it again later: it goes on by itself once there is room"
            raise Problem(503, "disk_full", why, advice, headers={"Retry-After": "5"})
        if self.waiting >= self._most:
            headers = {"Retry-After": "1"}
            detail = "too many writes wait for the disk"
            raise Problem(503, "busy", detail, "send it again later", headers=headers)
        self.waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._answer, call, settles)
        finally:
            self.waiting -= 1
            self.done += 1

    def now_ns(self) -> int:
        """The wall time that `last 1h` counts from."""
        return time.time_ns()

    def close(self) -> None:
        """Waits for what was begun."""
        self._threads.shutdown(cancel_futures=True)

    def _answer(self, call: Callable[[TraceService], Result[T]], settles: bool) -> T:
        value = _value(call(self._service))
        if settles:
            _value(self._service.flush())
        return value


def _value(result: Result[T]) -> T:
    if result.is_ok():
        return result.value()
    raise _problem(result.error)


def _problem(error: Error) -> Problem:
    status, code, advice = _STATUS.get(error.code, (500, "failed", "the server's log says more"))
    headers = {"Retry-After": "1"} if status == 503 else {}
    return Problem(status, code, error.message, advice, headers=headers)
