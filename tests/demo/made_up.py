"""Made-up models, tasks, requests and clocks for tests of the demo's runtime."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from whence.demo.jobs import FollowUp, ModelProfile, Request
from whence.model.result import Error, ErrorCode, Result
from whence.model.time import Duration
from whence.runtime.budget import ResourceBudget

MS = 1_000_000
_RUN = uuid.uuid4().hex[:6]
_numbers = itertools.count(1)


def profile(
    model: str, wcet_ms: int, *, memory_bytes: int = 1 << 20, streams: int = 8
) -> ModelProfile:
    """A model that takes that long and may use that much."""
    return ModelProfile(
        model, ResourceBudget(memory_bytes, streams, Duration.from_millis(wcet_ms)), wcet_ms * MS
    )


def new_id() -> str:
    """A request id that no other test of this process, and no other run, has."""
    return f"t{_RUN}-{next(_numbers):05d}"


@dataclass
class MadeUpTask:
    """A task that does nothing, and notes what was done to it."""

    model: str
    follow_ups: Sequence[FollowUp] = ()
    error: Exception | None = None
    needs_model: bool = True
    input_shape: tuple[int, ...] = (1, 4)
    input_dtype: str = "float32"
    output_bytes: int = 16
    notes: list[str] = field(default_factory=list)

    def prepare(self, into: Any) -> bool:
        self.notes.append("prepare")
        into.fill(0)
        if self.error:
            raise self.error
        return self.needs_model

    def finish(self, output: Any) -> Sequence[FollowUp]:
        self.notes.append("finish" if output is not None else "finish without the model")
        return self.follow_ups

    def answer(self) -> str:
        return "done"

    def give_up(self) -> None:
        self.notes.append("given up")


class MadeUpRunner:
    """Runs any model by handing the input back, or fails; ticks a clock meanwhile."""

    def __init__(self, clock: Clock, cost_ms: int = 0, error: str = "") -> None:
        self.clock = clock
        self.cost_ms = cost_ms
        self.error = error

    def run(
        self, model: str, array: Any, request_id: str, released_ns: int, deadline_ns: int
    ) -> Result[Any]:
        self.clock.advance(self.cost_ms)
        if self.error:
            return Result.err(Error(ErrorCode.BackendError, self.error, "MadeUpRunner.run"))
        return Result.ok(array)


class Clock:
    """A monotonic clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now_ns = 1_000 * MS

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, ms: float) -> None:
        self.now_ns += round(ms * MS)


def request(
    model: str = "small",
    *,
    now_ns: int = 1_000 * MS,
    deadline_ms: float = 100,
    period_ms: float = 1_000,
    stream: str = "",
    need_bytes: int = 100,
    started_ms_ago: float | None = None,
    task: MadeUpTask | None = None,
    caused_by: str = "",
) -> Request:
    """A request released now, of a stream of its own unless one is named."""
    name = new_id()
    asked = Request(
        id=name,
        task=task or MadeUpTask(model),
        stream=stream or name,
        period_ns=round(period_ms * MS),
        released_ns=now_ns,
        deadline_ns=now_ns + round(deadline_ms * MS),
        need_bytes=need_bytes,
        caused_by=caused_by,
    )
    if started_ms_ago is not None:
        asked.started_ns = now_ns - round(started_ms_ago * MS)
    return asked
