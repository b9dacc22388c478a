"""A backend without a model: it waits, then succeeds, or fails when it was told to."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Never, TypeVar

from whence.model.result import Error, ErrorCode, Result
from whence.model.time import Duration, Timestamp
from whence.runtime.backend import (
    NO_BATCH_LIMIT,
    BackendCapabilities,
    InspectableBackend,
    WarmupMixin,
)
from whence.runtime.inputs import what_is_wrong_with
from whence.runtime.lending import Lending
from whence.runtime.lifetimes import TensorLifetime, peak_bytes
from whence.runtime.requests import ExecutionRequest, ExecutionResult
from whence.runtime.tensors import DType, Tensor, TensorSpec

__all__ = ["MockBackend"]

T = TypeVar("T")


def _really_sleep(duration: Duration) -> None:
    time.sleep(duration.nanos / 1_000_000_000)


class MockBackend(WarmupMixin, InspectableBackend):
    """Executes nothing in a time that is known, and remembers what it was asked.

    Any file that exists counts as a model. Without `input_specs` all inputs are accepted; outputs
    are zeros of `output_specs`. Give a fake `clock` and `sleep` to let no time pass. Calls are
    counted whatever becomes of them. Threads may share it.
    """

    def __init__(
        self,
        fixed_latency: Duration = Duration.from_millis(10),  # noqa: B008
        *,
        clock: Callable[[], Timestamp] = Timestamp.now,
        sleep: Callable[[Duration], None] = _really_sleep,
        input_specs: Sequence[TensorSpec] | None = None,
        output_specs: Sequence[TensorSpec] = (),
        lifetimes: Sequence[TensorLifetime] = (),
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._input_specs = None if input_specs is None else tuple(input_specs)
        self._output_specs = tuple(output_specs)
        self._lifetimes = tuple(lifetimes)
        self._models: Lending[Path] = Lending()
        self._lock = threading.Lock()
        self._history: list[ExecutionRequest] = []
        self._failing_calls: set[int] = set()
        self._always_fails = False
        self.set_latency(fixed_latency)

    # --- what tests tell it -----------------------------------------------------------------

    def set_latency(self, latency: Duration) -> None:
        """Take exactly this long from now on; ValueError if it is negative."""
        if latency < Duration(0):
            raise ValueError(f"no execution ends before it begins: {latency}")
        self._next_latency: Callable[[], Duration] = lambda: latency

    def set_random_latency(self, mean: Duration, stddev: Duration, seed: int) -> None:
        """Take a normally distributed time, never below zero; the seed decides the series."""
        if stddev < Duration(0):
            raise ValueError(f"a standard deviation is not negative: {stddev}")
        generator = random.Random(seed)
        self._next_latency = lambda: Duration(
            max(0, round(generator.gauss(mean.nanos, stddev.nanos)))
        )

    def inject_error_on_call(self, n: int) -> None:
        """Let the n-th execution from now fail: 1 is the next one. Adds to earlier injections."""
        if n < 1:
            raise ValueError(f"calls are counted from 1, not {n}")
        with self._lock:
            self._failing_calls.add(len(self._history) + n)

    def inject_error_always(self) -> None:
        """Let every execution fail from now on."""
        self._always_fails = True

    def clear_error_injection(self) -> None:
        """Let executions succeed again."""
        with self._lock:
            self._always_fails = False
            self._failing_calls.clear()

    def reset(self) -> None:
        """Forget calls and injections; the model and the latency stay."""
        self.clear_error_injection()
        with self._lock:
            self._history.clear()

    # --- what tests ask it ------------------------------------------------------------------

    def call_count(self) -> int:
        """How often execute was called."""
        return len(self._history)

    def last_request(self) -> ExecutionRequest | None:
        """The newest request, None before the first."""
        with self._lock:
            return self._history[-1] if self._history else None

    def execution_history(self) -> list[ExecutionRequest]:
        """All requests, oldest first."""
        with self._lock:
            return list(self._history)

    # --- the backend ------------------------------------------------------------------------

    def load(self, model_path: str | PathLike[str]) -> Result[None]:
        path = Path(model_path)
        if not path.is_file():
            return _failed("load", ErrorCode.NotFound, f"there is no model file {str(path)!r}")
        self._models.offer(path)
        return Result.ok()

    def unload(self) -> Result[None]:
        self._models.withdraw()
        return Result.ok()

    def execute(self, request: ExecutionRequest) -> Result[ExecutionResult]:
        with self._models.borrowed() as model:
            with self._lock:
                self._history.append(request)
                told_to_fail = self._always_fails or len(self._history) in self._failing_calls
                latency = self._next_latency()
            if model is None:
                return _failed("execute", ErrorCode.NotLoaded, "no model is loaded")
            if told_to_fail:
                return _failed("execute", ErrorCode.BackendError, "injected error")
            if self._input_specs is not None:
                wrong = what_is_wrong_with(request.input_tensors, self._input_specs)
                if wrong:
                    return _failed("execute", ErrorCode.InvalidArgument, wrong)
            self._sleep(latency)
            outputs = [Tensor(spec, bytes(spec.size_bytes())) for spec in self._output_specs]
            return Result.ok(ExecutionResult.finished(request, outputs, at=self._clock()))

    def capabilities(self) -> BackendCapabilities:
        return BackendCapabilities("mock", NO_BATCH_LIMIT, frozenset(DType), False, False)

    def is_loaded(self) -> bool:
        return self._models.on_offer() is not None

    def estimate_memory(self) -> Result[int]:
        return self._if_loaded("estimate_memory", peak_bytes(self._lifetimes))

    def estimate_lifetimes(self) -> Result[list[TensorLifetime]]:
        return self._if_loaded("estimate_lifetimes", list(self._lifetimes))

    def input_specs(self) -> Result[tuple[TensorSpec, ...]]:
        return self._if_loaded("input_specs", self._input_specs or ())

    def output_specs(self) -> Result[tuple[TensorSpec, ...]]:
        return self._if_loaded("output_specs", self._output_specs)

    def _if_loaded(self, method: str, answer: T) -> Result[T]:
        if self.is_loaded():
            return Result.ok(answer)
        return _failed(method, ErrorCode.NotLoaded, "no model is loaded")


def _failed(method: str, code: ErrorCode, message: str) -> Result[Never]:
    return Result.err(Error(code, message, f"MockBackend.{method}"))
