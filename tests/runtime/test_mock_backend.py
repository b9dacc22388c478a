"""The mock: its latency, its injected errors, its memory, and that production never sees it."""

from __future__ import annotations

import ast
import inspect
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.backend import BackendConformance, request_for
from tests.mocks.fake_clock import FakeClock
from tests.mocks.mock_backend import MockBackend
from whence.model.ids import ModelID
from whence.model.result import ErrorCode, Result
from whence.model.time import Duration
from whence.runtime.backend import InspectableBackend, RuntimeBackend
from whence.runtime.execution import execute_timed
from whence.runtime.lifetimes import TensorLifetime
from whence.runtime.requests import ExecutionRequest
from whence.runtime.tensors import DType, TensorSpec

SOURCE = Path(__file__).parents[2] / "src" / "whence"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def mock(clock: FakeClock) -> MockBackend:
    """A loaded mock on a clock that stands still between executions."""
    backend = MockBackend(clock=clock.now, sleep=clock.sleep)
    assert backend.load(__file__).is_ok()
    return backend


def outcomes(backend: MockBackend, calls: int) -> list[bool]:
    """Which of so many executions succeeded."""
    return [backend.execute(request_for()).is_ok() for _ in range(calls)]


class TestMockBackend(BackendConformance):
    """R3.33 R3.44 R3.46 The mock keeps the rules of every backend."""

    def make_backend(self) -> RuntimeBackend:
        return MockBackend(
            sleep=FakeClock().sleep,
            input_specs=[self.x],
            output_specs=[TensorSpec("y", (2,), DType.Float32)],
            lifetimes=[TensorLifetime("x", 24, 0, 1), TensorLifetime("y", 8, 1, 1)],
        )

    def model_path(self, folder: Path) -> Path:
        path = folder / "model.mock"
        path.touch()
        return path


def test_the_mock_satisfies_the_interface() -> None:
    """R3.33 R3.44 It implements everything that a backend can."""
    backend = MockBackend()
    assert isinstance(backend, RuntimeBackend)
    assert isinstance(backend, InspectableBackend)
    assert not inspect.isabstract(MockBackend)
    assert backend.warmup() == Result.ok()


def test_an_execution_takes_the_fixed_latency(mock: MockBackend, clock: FakeClock) -> None:
    """R3.33 R3.42 R3.44 10 ms unless another latency is set, then exactly that."""
    mock.execute(request_for())
    mock.set_latency(Duration.from_micros(3))
    mock.execute(request_for())
    assert clock.slept == [Duration.from_millis(10), Duration.from_micros(3)]


def test_the_latency_shows_in_the_result(mock: MockBackend, clock: FakeClock) -> None:
    """R3.24 R3.33 Whoever measures with the same clock finds the latency that was set."""
    submitted = clock.now()
    request = ExecutionRequest(
        ModelID("m"), "req-1", (), submitted + Duration.from_millis(10), submitted
    )
    result = execute_timed(mock, request, clock=clock.now).value()
    assert result.actual_latency == Duration.from_millis(10)
    assert result.deadline_met


def test_the_default_sleep_is_a_real_one() -> None:
    """R3.33 Without an injected sleep the time really passes."""
    backend = MockBackend(Duration.from_millis(2))
    backend.load(__file__)
    result = backend.execute(request_for()).value()
    assert result.actual_latency >= Duration.from_millis(2)


def test_a_negative_latency_is_refused(mock: MockBackend) -> None:
    """R3.42 R3.43 Neither a latency nor a standard deviation is below zero."""
    with pytest.raises(ValueError, match="before it begins"):
        mock.set_latency(Duration(-1))
    with pytest.raises(ValueError, match="standard deviation"):
        mock.set_random_latency(Duration(1), Duration(-1), seed=1)


def random_latencies(seed: int, mean_ns: int = 1_000, stddev_ns: int = 300) -> list[Duration]:
    """What an execution series of that seed takes."""
    clock = FakeClock()
    backend = MockBackend(clock=clock.now, sleep=clock.sleep)
    backend.load(__file__)
    backend.set_random_latency(Duration(mean_ns), Duration(stddev_ns), seed)
    outcomes(backend, 50)
    return clock.slept


def test_random_latency_is_the_same_for_the_same_seed() -> None:
    """R3.43 R3.44 A seed decides the whole series, another seed another one."""
    assert random_latencies(seed=7) == random_latencies(seed=7)
    assert random_latencies(seed=7) != random_latencies(seed=8)
    assert len(set(random_latencies(seed=7))) > 10


def test_random_latency_is_never_negative() -> None:
    """R3.43 R3.44 What the distribution puts below zero takes no time."""
    latencies = random_latencies(seed=7, mean_ns=0)
    assert min(latencies) == Duration(0)
    assert latencies.count(Duration(0)) > 10


def test_the_nth_call_from_now_fails(mock: MockBackend) -> None:
    """R3.35 R3.44 Counting starts at 1 with the next call, whatever was called before."""
    outcomes(mock, 3)
    mock.inject_error_on_call(2)
    mock.inject_error_on_call(3)
    assert outcomes(mock, 4) == [True, False, False, True]


def test_an_injected_error_is_a_backend_error_and_takes_no_time(
    mock: MockBackend, clock: FakeClock
) -> None:
    """R3.35 R3.44 The failure is a Result error of the backend's kind."""
    mock.inject_error_on_call(1)
    assert mock.execute(request_for()).error.code is ErrorCode.BackendError
    assert clock.slept == []


@pytest.mark.parametrize("n", [0, -1])
def test_there_is_no_call_before_the_first(mock: MockBackend, n: int) -> None:
    """R3.35 Injecting into call 0 is refused."""
    with pytest.raises(ValueError, match="counted from 1"):
        mock.inject_error_on_call(n)


def test_all_calls_fail_until_the_injection_is_cleared(mock: MockBackend) -> None:
    """R3.36 R3.37 R3.44 Always means always; clearing also forgets single calls."""
    mock.inject_error_always()
    mock.inject_error_on_call(4)
    assert outcomes(mock, 2) == [False, False]
    mock.clear_error_injection()
    assert outcomes(mock, 2) == [True, True]


def test_calls_are_remembered(mock: MockBackend) -> None:
    """R3.38 R3.39 R3.40 R3.44 Count, newest request and history, failed calls included."""
    assert (mock.call_count(), mock.last_request(), mock.execution_history()) == (0, None, [])
    first, second = request_for(request_id="a"), request_for(request_id="b")
    mock.inject_error_on_call(1)
    mock.execute(first)
    mock.execute(second)
    assert mock.call_count() == 2
    assert mock.last_request() is second
    assert mock.execution_history() == [first, second]


def test_the_history_handed_out_is_a_copy(mock: MockBackend) -> None:
    """R3.40 Changing what execution_history returned changes nothing."""
    mock.execute(request_for())
    mock.execution_history().clear()
    assert mock.call_count() == 1


def test_reset_forgets_calls_and_injections(mock: MockBackend) -> None:
    """R3.41 R3.44 After reset the mock counts from zero and nothing fails; it stays loaded."""
    mock.inject_error_always()
    mock.inject_error_on_call(3)
    outcomes(mock, 1)
    mock.reset()
    assert (mock.call_count(), mock.last_request(), mock.execution_history()) == (0, None, [])
    assert outcomes(mock, 3) == [True, True, True]


def test_unload_waits_for_an_execution_under_way() -> None:
    """R3.27 The execution ends first, then unload returns."""
    running, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def sleep(_: Duration) -> None:
        running.set()
        go_on.wait()
        order.append("executed")

    backend = MockBackend(sleep=sleep)
    backend.load(__file__)
    execution = threading.Thread(target=lambda: backend.execute(request_for()))
    unloading = threading.Thread(target=lambda: (backend.unload(), order.append("unloaded")))
    execution.start()
    running.wait()
    unloading.start()
    while backend.is_loaded():
        pass
    assert backend.execute(request_for()).error.code is ErrorCode.NotLoaded
    go_on.set()
    execution.join()
    unloading.join()
    assert order == ["executed", "unloaded"]


@pytest.mark.parametrize("name", ["load", "unload", "execute", "capabilities", "is_loaded"])
def test_a_backend_that_leaves_something_out_cannot_be_made(name: str) -> None:
    """R3.26 R3.27 R3.28 R3.29 R3.30 R3.31 No method of the interface has a default."""
    methods: dict[str, Callable[..., object]] = {
        method: getattr(MockBackend, method)
        for method in RuntimeBackend.__abstractmethods__ - {name}
    }
    incomplete = type("Incomplete", (RuntimeBackend,), methods)
    with pytest.raises(TypeError, match=name):
        incomplete()


def test_production_code_knows_no_mocks() -> None:
    """R3.34 Nothing under src imports from tests or mocks, or defines one."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            elif isinstance(node, ast.ClassDef | ast.FunctionDef):
                modules = [node.name]
            words = {word for module in modules for word in module.lower().split(".")}
            assert not words & {"tests", "mock", "mocks", "mockbackend"}, path
