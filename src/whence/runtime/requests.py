"""What a backend is asked to execute, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from whence.model.ids import ModelID
from whence.model.time import Duration, Timestamp
from whence.runtime.tensors import Tensor

__all__ = ["ExecutionRequest", "ExecutionResult"]


@dataclass(frozen=True, slots=True)
class ExecutionRequest:
    """One execution: for which model and request, on which inputs, by when, asked for when.

    `deadline` and `submission_time` are moments on the monotonic clock; a deadline that has
    passed already is allowed. All arguments are required; TypeError for wrong types, ValueError
    for an empty request id. Immutable; threads may share it as far as its tensors.
    """

    model_id: ModelID
    request_id: str
    input_tensors: tuple[Tensor, ...]
    deadline: Timestamp
    submission_time: Timestamp

    def __post_init__(self) -> None:
        object.__setattr__(self, "input_tensors", tuple(self.input_tensors))
        for name, wanted in (
            ("model_id", ModelID),
            ("request_id", str),
            ("deadline", Timestamp),
            ("submission_time", Timestamp),
        ):
            value = getattr(self, name)
            if not isinstance(value, wanted):
                raise TypeError(f"{name} must be {wanted.__name__}, not {type(value).__name__}")
        if not all(isinstance(tensor, Tensor) for tensor in self.input_tensors):
            raise TypeError("input_tensors must hold Tensor values only")
        if not self.request_id:
            raise ValueError("an execution belongs to a request: its request_id cannot be empty")


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """The outputs of one execution, how long the request took, and whether it was in time.

    `actual_latency` runs from the submission to the end, waiting included. `deadline_met` says
    that the end was not after the deadline. Backends make results with `finished`; whoever
    answers for the deadline measures it himself, with `execute_timed`.
    """

    model_id: ModelID
    request_id: str
    output_tensors: tuple[Tensor, ...]
    actual_latency: Duration
    deadline_met: bool

    @classmethod
    def finished(
        cls, request: ExecutionRequest, output_tensors: Iterable[Tensor], at: Timestamp
    ) -> Self:
        """The result of a request whose execution ended at that moment."""
        return cls(
            model_id=request.model_id,
            request_id=request.request_id,
            output_tensors=tuple(output_tensors),
            actual_latency=at - request.submission_time,
            deadline_met=at <= request.deadline,
        )
