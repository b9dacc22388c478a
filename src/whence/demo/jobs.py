"""What the runtime is asked to do: tasks of a model, and requests that carry them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from whence.runtime.budget import ResourceBudget

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Ended", "FollowUp", "ModelProfile", "Request", "RequestNumbers", "Task"]


class Ended(Enum):
    """How a request ended; every request ends exactly once."""

    Met = "in time"
    Late = "late"
    Missed = "dropped"
    Rejected = "rejected"
    Faulted = "faulted"


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """What a model costs and may use; the compute budget is its worst measured execution time.

    `mean_ns` is the mean of the same measurements; nothing is promised on it.
    """

    model: str
    budget: ResourceBudget
    mean_ns: int

    @property
    def wcet_ns(self) -> int:
        """The execution time that schedules count on, in nanoseconds."""
        return self.budget.compute_budget.to_nanos()


class Task(Protocol):
    """One execution of one model. It belongs to one worker from `prepare` to `finish`.

    `prepare` fills the input and returns True, or returns False if the answer is known without the
    model. `finish` reads the model's first output, None in the latter case, and names what must be
    done next. Whatever they raise is a fault of that request.
    `give_up` is called instead if the request ends without an answer, from any thread.
    """

    model: str
    input_shape: tuple[int, ...]
    input_dtype: str
    output_bytes: int

    def prepare(self, into: NDArray[Any]) -> bool:
        """Fill the input; False if the model is not needed."""
        ...

    def finish(self, output: NDArray[Any] | None) -> Sequence[FollowUp]:
        """Read the output, and say what it calls for."""
        ...

    def answer(self) -> str:
        """The answer in a few words, once finished."""
        ...

    def give_up(self) -> None:
        """There will be no answer."""
        ...


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A task that another's answer calls for, and how often such tasks come (its period).

    `lineage_id` is that of what the task works on; 0 for none.
    """

    task: Task
    period_ns: int
    lineage_id: int = 0


@dataclass(eq=False, slots=True)
class Request:
    """One task on its way through the runtime. Times are monotonic nanoseconds.

    The scheduler alone writes the lower part, under its lock.
    """

    id: str
    task: Task
    stream: str
    period_ns: int
    released_ns: int
    deadline_ns: int
    need_bytes: int
    caused_by: str = ""
    lineage_id: int = 0

    wcrt_ns: int = 0
    started_ns: int = 0
    deferred_for: str = ""  # the request that its last hold named
    overtaken: int = 0  # requests that came later and were dispatched before it

    @property
    def model(self) -> str:
        """The model that the task runs."""
        return self.task.model


class RequestNumbers:
    """Makes ids "req-000001", "req-000002", ...: short enough to be typed. Thread-safe."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def next(self) -> str:
        """A new id."""
        with self._lock:
            return f"req-{next(self._numbers):06d}"
