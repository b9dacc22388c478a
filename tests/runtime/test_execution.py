"""Requests, results, and the caller's own judgement of time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mocks.fake_clock import FakeClock
from tests.mocks.mock_backend import MockBackend
from whence.model.ids import ModelID
from whence.model.result import ErrorCode, Result
from whence.model.time import Duration, Timestamp
from whence.runtime.execution import execute_timed
from whence.runtime.requests import ExecutionRequest, ExecutionResult
from whence.runtime.tensors import DType, Tensor, TensorSpec

TENSOR = Tensor(TensorSpec("x", (1,), DType.Float32), bytes(4))


def asked(**changes: Any) -> ExecutionRequest:
    """A request of model m, submitted at 100 ns for 200 ns."""
    given: dict[str, Any] = {
        "model_id": ModelID("m"),
        "request_id": "8f14e45f-ceea-467f-a0e6-3c1b5b6c0b1e",
        "input_tensors": (TENSOR,),
        "deadline": Timestamp(200),
        "submission_time": Timestamp(100),
    }
    return ExecutionRequest(**given | changes)


class LyingBackend(MockBackend):
    """Always in time, by its own account."""

    def execute(self, request: ExecutionRequest) -> Result[ExecutionResult]:
        honest = super().execute(request)
        return honest.map(
            lambda result: replace(result, actual_latency=Duration(1), deadline_met=True)
        )


def mock_on(clock: FakeClock, kind: type[MockBackend] = MockBackend) -> MockBackend:
    """A loaded backend that takes 60 ns."""
    backend = kind(Duration(60), clock=clock.now, sleep=clock.sleep)
    assert backend.load(__file__).is_ok()
    return backend


def test_a_request_keeps_what_it_is_given() -> None:
    """R3.23 Model, request, tensors and both times come back; a list of tensors is frozen."""
    request = asked(input_tensors=[TENSOR])
    assert request.model_id == ModelID("m")
    assert request.request_id == "8f14e45f-ceea-467f-a0e6-3c1b5b6c0b1e"
    assert request.input_tensors == (TENSOR,)
    assert (request.deadline, request.submission_time) == (Timestamp(200), Timestamp(100))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"model_id": "m"}, TypeError),
        ({"request_id": 5}, TypeError),
        ({"request_id": ""}, ValueError),
        ({"deadline": 200}, TypeError),
        ({"submission_time": Duration(1)}, TypeError),
        ({"input_tensors": (b"1234",)}, TypeError),
    ],
)
def test_a_request_of_wrong_parts_is_refused(wrong: dict[str, Any], error: type[Exception]) -> None:
    """R3.1 R3.23 A model is named by a ModelID, times are Timestamps, inputs are Tensors."""
    with pytest.raises(error):
        asked(**wrong)


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))
def test_latency_and_deadline_follow_from_the_requests_times(
    submitted: int, deadline: int, ended: int
) -> None:
    """R3.24 Latency runs from submission to end; the deadline itself is still in time."""
    request = asked(submission_time=Timestamp(submitted), deadline=Timestamp(deadline))
    result = ExecutionResult.finished(request, [TENSOR], at=Timestamp(ended))
    assert result.actual_latency.nanos == ended - submitted
    assert result.deadline_met is (ended <= deadline)
    assert (result.model_id, result.request_id) == (request.model_id, request.request_id)
    assert result.output_tensors == (TENSOR,)


@pytest.mark.parametrize(("starts", "in_time"), [(110, True), (140, True), (141, False)])
def test_the_caller_measures_waiting_and_execution(starts: int, in_time: bool) -> None:
    """R3.24 Time since the submission counts, whether it was spent waiting or executing."""
    clock = FakeClock(starts)
    result = execute_timed(mock_on(clock), asked(), clock.now).value()
    assert result.actual_latency == Duration(starts - 100 + 60)
    assert result.deadline_met is in_time


def test_what_a_backend_says_of_time_is_replaced() -> None:
    """R3.24 A backend that claims to be in time does not get away with it."""
    clock = FakeClock(150)
    backend = mock_on(clock, LyingBackend)
    assert backend.execute(asked()).value().deadline_met
    late = execute_timed(backend, asked(), clock.now).value()
    assert (late.actual_latency, late.deadline_met) == (Duration(170), False)


def test_a_backends_error_is_passed_on() -> None:
    """R3.11 R3.28 The caller gets the very error that the backend returned."""
    clock = FakeClock()
    error = execute_timed(MockBackend(), asked(), clock.now).error
    assert (error.code, error.context) == (ErrorCode.NotLoaded, "MockBackend.execute")


def test_a_backend_that_raises_is_an_error_too() -> None:
    """R3.11 R3.28 R3.46 A backend that breaks the rule does not break its caller."""

    class Raising(MockBackend):
        def execute(self, request: ExecutionRequest) -> Result[ExecutionResult]:
            raise RuntimeError("out of luck")

    error = execute_timed(Raising(), asked()).error
    assert error.code is ErrorCode.BackendError
    assert error.message == "the backend raised RuntimeError: out of luck"


def test_an_answer_to_another_request_is_an_error() -> None:
    """R3.24 R3.28 Results of one request never pass for those of another."""
    clock = FakeClock()

    class Confused(MockBackend):
        def execute(self, request: ExecutionRequest) -> Result[ExecutionResult]:
            return super().execute(replace(request, request_id="req-other"))

    error = execute_timed(mock_on(clock, Confused), asked(), clock.now).error
    assert error.code is ErrorCode.BackendError
    assert "req-other" in error.message
