"""Executes a request and judges it: time and deadline are the caller's to measure."""

from __future__ import annotations

from collections.abc import Callable

from whence.model.result import Error, ErrorCode, Result
from whence.model.time import Timestamp
from whence.runtime.backend import RuntimeBackend
from whence.runtime.requests import ExecutionRequest, ExecutionResult

__all__ = ["execute_timed"]

_CONTEXT = "execute_timed"


def execute_timed(
    backend: RuntimeBackend,
    request: ExecutionRequest,
    clock: Callable[[], Timestamp] = Timestamp.now,
) -> Result[ExecutionResult]:
    """Execute the request and measure its latency and deadline by `clock`, read at the end.

    Whatever the backend says of time is replaced. A late result is a good one with `deadline_met`
    False. The backend's errors are passed on; if it raises, or answers a request it was not
    asked, that comes back as a BackendError. Costs one clock reading.
    """
    try:
        outcome = backend.execute(request)
    except Exception as failure:
        return _refused(f"the backend raised {type(failure).__name__}: {failure}")
    ended = clock()
    if outcome.is_error():
        return outcome
    result = outcome.value()
    if (result.model_id, result.request_id) != (request.model_id, request.request_id):
        return _refused(f"the backend answered {result.model_id} {result.request_id} instead")
    return Result.ok(ExecutionResult.finished(request, result.output_tensors, at=ended))


def _refused(message: str) -> Result[ExecutionResult]:
    return Result.err(Error(ErrorCode.BackendError, message, _CONTEXT))
