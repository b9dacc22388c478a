"""A worker: takes requests, executes their tasks, records how it went, submits what follows."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

import whence
from whence.demo import events
from whence.demo.jobs import Ended, FollowUp, Request, RequestNumbers, Task
from whence.demo.pool import MemoryPool
from whence.demo.scheduler import Scheduler
from whence.model.errors import WhenceError
from whence.model.result import Result

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ExecutionFault", "Runner", "Worker", "execute", "need_bytes"]


class ExecutionFault(WhenceError):
    """The runtime backend refused or failed an execution."""


class Runner(Protocol):
    """What runs models: Engines, or a stand-in."""

    def run(
        self,
        model: str,
        array: NDArray[Any],
        request_id: str,
        released_ns: int,
        deadline_ns: int,
    ) -> Result[NDArray[Any]]:
        """The model's first output for this input, or the backend's error."""
        ...


def execute(
    task: Task,
    runner: Runner,
    pool: MemoryPool,
    request_id: str,
    released_ns: int,
    deadline_ns: int,
) -> Sequence[FollowUp]:
    """Prepare the input, run the model, read the answer; returns what must be done next.

    Raises ExecutionFault if the backend fails, OSError or ValueError if the input is unreadable.
    """
    with pool.tensor(task.input_shape, task.input_dtype, task.model) as tensor:
        if not task.prepare(tensor):
            return task.finish(None)
        output = runner.run(task.model, tensor, request_id, released_ns, deadline_ns)
        if output.is_error():
            raise ExecutionFault(output.error.to_string())
        with pool.counted(output.value().nbytes, task.model):
            return task.finish(output.value())


def need_bytes(task: Task) -> int:
    """The memory that an execution takes from the pool: its input and its output."""
    return math.prod(task.input_shape) * np.dtype(task.input_dtype).itemsize + task.output_bytes


class Worker(threading.Thread):
    """One thread that executes requests until the scheduler closes. Non-preemptive."""

    def __init__(
        self,
        number: int,
        scheduler: Scheduler,
        runner: Runner,
        pool: MemoryPool,
        numbers: RequestNumbers,
        budget_ns: Callable[[str], int],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        super().__init__(name=f"worker-{number}", daemon=True)
        self._number = number
        self._scheduler = scheduler
        self._runner = runner
        self._pool = pool
        self._numbers = numbers
        self._budget_ns = budget_ns
        self._clock = clock

    def run(self) -> None:
        """Execute what the scheduler gives."""
        while (request := self._scheduler.take(self._number)) is not None:
            self.perform(request)

    def perform(self, request: Request) -> Ended:
        """Execute one request that was taken from the scheduler, and give its worker back."""
        with whence.request(request.id, lineage_id=request.lineage_id):
            began_ns = self._clock()
            events.execution_started(model_id=request.model, worker=self._number)
            try:
                follow_ups = execute(
                    request.task,
                    self._runner,
                    self._pool,
                    request.id,
                    request.released_ns,
                    request.deadline_ns,
                )
            except Exception as error:  # a fault of this request, not the end of the worker
                ended, follow_ups = self._fault(request, error, began_ns), ()
            else:
                ended = self._complete(request, began_ns)
        self._scheduler.finish(
            request, ended, [self._caused(request, follow_up) for follow_up in follow_ups]
        )
        return ended

    def _complete(self, request: Request, began_ns: int) -> Ended:
        now_ns = self._clock()
        met = now_ns <= request.deadline_ns
        events.execution_completed(
            model_id=request.model,
            duration_ns=now_ns - began_ns,
            budget_ns=self._budget_ns(request.model),
            response_ns=now_ns - request.released_ns,
            deadline_ns=request.deadline_ns - request.released_ns,
            deadline_met=met,
            verdict="deadline met" if met else "deadline missed",
            answer=request.task.answer(),
        )
        return Ended.Met if met else Ended.Late

    def _fault(self, request: Request, error: Exception, began_ns: int) -> Ended:
        events.fault_recorded(
            model_id=request.model,
            error=f"{type(error).__name__}: {error}",
            duration_ns=self._clock() - began_ns,
        )
        request.task.give_up()
        return Ended.Faulted

    def _caused(self, request: Request, follow_up: FollowUp) -> Request:
        """The request for a follow-up: in the same stream, bound to the same deadline."""
        return Request(
            id=self._numbers.next(),
            task=follow_up.task,
            stream=request.stream,
            period_ns=follow_up.period_ns,
            released_ns=self._clock(),
            deadline_ns=request.deadline_ns,
            need_bytes=need_bytes(follow_up.task),
            caused_by=request.id,
            lineage_id=follow_up.lineage_id,
        )
