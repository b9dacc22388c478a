"""The rules that every RuntimeBackend keeps, as tests to inherit."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path

import pytest

from whence.model.ids import ModelID
from whence.model.result import ErrorCode, Result
from whence.model.time import Duration, Timestamp
from whence.runtime.backend import InspectableBackend, RuntimeBackend
from whence.runtime.execution import execute_timed
from whence.runtime.lifetimes import peak_bytes
from whence.runtime.requests import ExecutionRequest, ExecutionResult
from whence.runtime.tensors import DType, Tensor, TensorSpec

__all__ = ["BackendConformance", "request_for", "zeros"]


def zeros(spec: TensorSpec) -> Tensor:
    """A tensor of that description, holding zeros."""
    return Tensor(spec, bytes(spec.size_bytes()))


def request_for(
    *tensors: Tensor, request_id: str = "req-1", within_ms: int = 60_000
) -> ExecutionRequest:
    """A request submitted now."""
    now = Timestamp.now()
    return ExecutionRequest(
        model_id=ModelID("model"),
        request_id=request_id,
        input_tensors=tensors,
        deadline=now + Duration.from_millis(within_ms),
        submission_time=now,
    )


class BackendConformance:
    """Inherit it as class Test<Name>, and say how to make a backend and a model for it."""

    @abstractmethod
    def make_backend(self) -> RuntimeBackend:
        """A backend that has nothing loaded and checks its inputs."""

    @abstractmethod
    def model_path(self, folder: Path) -> Path:
        """A valid model: input "x" of Float32 (2, 3), and at least one output."""

    def broken_models(self, folder: Path) -> list[Path]:
        """Files that are no model; backends that read their files add some."""
        return [folder / "missing.onnx", folder]

    x = TensorSpec("x", (2, 3), DType.Float32)

    @pytest.fixture
    def backend(self) -> RuntimeBackend:
        return self.make_backend()

    @pytest.fixture
    def loaded(self, backend: RuntimeBackend, tmp_path: Path) -> RuntimeBackend:
        assert backend.load(self.model_path(tmp_path)).is_ok()
        return backend

    def test_a_valid_model_loads(self, backend: RuntimeBackend, tmp_path: Path) -> None:
        """R3.26 R3.30 R3.46 Loading a valid file is good, and is_loaded says so from then on."""
        assert not backend.is_loaded()
        assert backend.load(self.model_path(tmp_path)) == Result.ok()
        assert backend.is_loaded()

    def test_the_path_may_be_a_text(self, backend: RuntimeBackend, tmp_path: Path) -> None:
        """R3.26 A str does as well as a Path."""
        assert backend.load(str(self.model_path(tmp_path))).is_ok()

    def test_a_loaded_model_executes(self, loaded: RuntimeBackend) -> None:
        """R3.28 R3.46 After load an execution succeeds and answers its own request."""
        result = loaded.execute(request_for(zeros(self.x), request_id="req-77")).value()
        assert result.model_id == ModelID("model")
        assert result.request_id == "req-77"
        assert result.output_tensors
        assert result.actual_latency >= Duration(0)
        assert result.deadline_met

    def test_nothing_executes_before_load(self, backend: RuntimeBackend) -> None:
        """R3.28 R3.46 Without a model the answer is NotLoaded."""
        assert backend.execute(request_for(zeros(self.x))).error.code is ErrorCode.NotLoaded

    def test_unload_may_be_repeated(self, loaded: RuntimeBackend) -> None:
        """R3.27 R3.46 Unloading is good, also twice and with nothing loaded."""
        assert [loaded.unload(), loaded.unload()] == [Result.ok(), Result.ok()]
        assert not loaded.is_loaded()
        assert loaded.execute(request_for(zeros(self.x))).error.code is ErrorCode.NotLoaded
        assert self.make_backend().unload() == Result.ok()

    def test_a_model_loads_again(self, loaded: RuntimeBackend, tmp_path: Path) -> None:
        """R3.26 R3.46 Load works after unload, and in place of a loaded model."""
        model = self.model_path(tmp_path)
        assert loaded.load(model).is_ok()
        assert loaded.unload().is_ok()
        assert loaded.load(model).is_ok()
        assert loaded.execute(request_for(zeros(self.x))).is_ok()

    def test_what_is_no_model_comes_back_as_an_error(
        self, backend: RuntimeBackend, tmp_path: Path
    ) -> None:
        """R3.26 R3.46 Missing and broken files are errors that say something, not exceptions."""
        for path in self.broken_models(tmp_path):
            error = backend.load(path).error
            assert error.code in (ErrorCode.NotFound, ErrorCode.BackendError)
            assert error.message
            assert "load" in error.context
            assert not backend.is_loaded()

    def test_a_failed_load_keeps_the_model(self, loaded: RuntimeBackend, tmp_path: Path) -> None:
        """R3.26 R3.46 What was loaded goes on working when its replacement is no model."""
        for path in self.broken_models(tmp_path):
            assert loaded.load(path).is_error()
            assert loaded.execute(request_for(zeros(self.x))).is_ok()

    @pytest.mark.parametrize(
        ("specs", "message"),
        [
            ([], "missing"),
            ([TensorSpec("other", (2, 3), DType.Float32)], "other"),
            ([x, TensorSpec("other", (2, 3), DType.Float32)], "other"),
            ([x, x], "twice"),
            ([TensorSpec("x", (3, 2), DType.Float32)], "shape"),
            ([TensorSpec("x", (2, 3, 1), DType.Float32)], "shape"),
            ([TensorSpec("x", (), DType.Float32)], "shape"),
            ([TensorSpec("x", (2, 3), DType.Int32)], "Int32"),
        ],
    )
    def test_wrong_inputs_come_back_as_an_error(
        self, loaded: RuntimeBackend, specs: list[TensorSpec], message: str
    ) -> None:
        """R3.28 R3.46 Missing, unknown, repeated and misshapen inputs are InvalidArgument."""
        error = loaded.execute(request_for(*map(zeros, specs))).error
        assert error.code is ErrorCode.InvalidArgument
        assert message in error.message
        assert loaded.execute(request_for(zeros(self.x))).is_ok()

    def test_capabilities_are_said(self, backend: RuntimeBackend) -> None:
        """R3.25 R3.29 A backend has a name, a batch size and types, loaded or not."""
        capabilities = backend.capabilities()
        assert capabilities.backend_name
        assert capabilities.max_batch_size >= 1
        assert DType.Float32 in capabilities.supported_dtypes

    def test_a_late_execution_is_a_good_result(self, loaded: RuntimeBackend) -> None:
        """R3.24 R3.28 A deadline that has passed is judged, not refused."""
        late = request_for(zeros(self.x), within_ms=-1)
        assert not execute_timed(loaded, late).value().deadline_met

    def test_threads_share_a_backend(self, loaded: RuntimeBackend) -> None:
        """R3.28 R3.46 Executions may overlap; each answers its own request."""
        answers: list[list[Result[ExecutionResult]]] = [[] for _ in range(4)]

        def work(thread: int) -> None:
            for number in range(10):
                request = request_for(zeros(self.x), request_id=f"req-{thread}-{number}")
                answers[thread].append(loaded.execute(request))

        _together([lambda thread=thread: work(thread) for thread in range(4)])
        answered = [answer.value().request_id for of in answers for answer in of]
        assert answered == [f"req-{thread}-{number}" for thread in range(4) for number in range(10)]

    def test_unload_during_executions_is_clean(self, loaded: RuntimeBackend) -> None:
        """R3.27 R3.46 While others execute, each gets a result or NotLoaded, nothing else."""
        answers: list[Result[ExecutionResult]] = []

        def work() -> None:
            while not answers or answers[-1].is_ok():
                answers.append(loaded.execute(request_for(zeros(self.x))))

        def unload() -> None:
            while not answers:
                pass
            loaded.unload()

        _together([work, work, unload])
        assert {answer.error.code for answer in answers if answer.is_error()} == {
            ErrorCode.NotLoaded
        }

    def test_an_inspectable_backend_knows_its_model(self, loaded: RuntimeBackend) -> None:
        """R3.32 Specs and estimates agree with what an execution takes and gives."""
        if not isinstance(loaded, InspectableBackend):
            pytest.skip("the backend does not look into its model")
        assert [spec.name for spec in loaded.input_specs().value()] == ["x"]
        result = loaded.execute(request_for(zeros(self.x))).value()
        for spec, tensor in zip(loaded.output_specs().value(), result.output_tensors, strict=True):
            assert (tensor.spec().name, tensor.spec().dtype) == (spec.name, spec.dtype)
            assert spec.admits(tensor.shape)
        lifetimes = loaded.estimate_lifetimes().value()
        assert {"x", *(tensor.spec().name for tensor in result.output_tensors)} <= {
            lifetime.name for lifetime in lifetimes
        }
        assert loaded.estimate_memory().value() >= peak_bytes(lifetimes) > 0

    def test_without_a_model_there_is_nothing_to_inspect(self, backend: RuntimeBackend) -> None:
        """R3.32 R3.46 Before load every question about the model is NotLoaded."""
        if not isinstance(backend, InspectableBackend):
            pytest.skip("the backend does not look into its model")
        questions = (
            backend.input_specs,
            backend.output_specs,
            backend.estimate_memory,
            backend.estimate_lifetimes,
        )
        assert {ask().error.code for ask in questions} == {ErrorCode.NotLoaded}


def _together(deeds: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=deed) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
