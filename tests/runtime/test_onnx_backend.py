"""The ONNX Runtime backend: the rules of all backends, and what is its own."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conformance.backend import BackendConformance, request_for, zeros
from tests.runtime.onnx_models import TensorProto, graph_file, node, value, weight
from whence.model.result import ErrorCode, Result
from whence.model.time import Duration, Timestamp
from whence.runtime.backend import NO_BATCH_LIMIT, RuntimeBackend
from whence.runtime.onnx_backend import OnnxRuntimeBackend
from whence.runtime.tensors import DType, MemoryLayout, Tensor, TensorSpec


def affine(folder: Path, rows: int | str = "rows") -> Path:
    """y = x * w + w, for x of (rows, 3)."""
    return graph_file(
        folder / f"affine-{rows}.onnx",
        [node("Mul", ["x", "w"], ["product"]), node("Add", ["product", "w"], ["y"])],
        [value("x", [rows, 3])],
        [value("y", [rows, 3])],
        [weight("w", [3])],
        metadata={"character": "a b c"},
    )


def tensor(name: str, array: np.ndarray[Any, Any], dtype: DType = DType.Float32) -> Tensor:
    """A tensor over an array's memory."""
    return Tensor(TensorSpec(name, array.shape, dtype), array)


@pytest.fixture
def loaded(tmp_path: Path) -> OnnxRuntimeBackend:
    """A backend with the affine model."""
    backend = OnnxRuntimeBackend(threads=1)
    assert backend.load(affine(tmp_path)) == Result.ok()
    return backend


class TestOnnxRuntimeBackend(BackendConformance):
    """R3.46 The real backend keeps the rules of every backend."""

    def make_backend(self) -> RuntimeBackend:
        return OnnxRuntimeBackend(threads=1)

    def model_path(self, folder: Path) -> Path:
        return affine(folder, rows=2)

    def broken_models(self, folder: Path) -> list[Path]:
        whole = affine(folder, rows=2).read_bytes()
        contents = {"empty": b"", "noise": b"no model" * 9, "half": whole[: len(whole) // 2]}
        for name, content in contents.items():
            (folder / f"{name}.onnx").write_bytes(content)
        named = [folder / f"{name}.onnx" for name in contents]
        return [*super().broken_models(folder), *named]


def test_outputs_are_what_the_model_computes(loaded: OnnxRuntimeBackend) -> None:
    """R3.22 R3.24 R3.28 Values go in and come out as a numeric library computes them."""
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    (y,) = loaded.execute(request_for(tensor("x", x))).value().output_tensors
    assert y.spec() == TensorSpec("y", (2, 3), DType.Float32)
    assert np.frombuffer(y.data(), np.float32).reshape(y.shape).tolist() == (x + 1).tolist()


def test_threads_do_not_see_each_others_tensors(loaded: OnnxRuntimeBackend) -> None:
    """R3.28 Overlapping executions of one backend each compute their own outputs."""
    wrong: list[int] = []

    def work(number: int) -> None:
        x = np.full((number, 3), number, np.float32)
        for _ in range(20):
            (y,) = loaded.execute(request_for(tensor("x", x))).value().output_tensors
            if np.frombuffer(y.data(), np.float32).tolist() != [number + 1.0] * 3 * number:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        (DType.Float32, TensorProto.FLOAT),
        (DType.Float16, TensorProto.FLOAT16),
        (DType.Float64, TensorProto.DOUBLE),
        (DType.Int8, TensorProto.INT8),
        (DType.UInt8, TensorProto.UINT8),
        (DType.Int32, TensorProto.INT32),
        (DType.Int64, TensorProto.INT64),
        (DType.Bool, TensorProto.BOOL),
    ],
)
@pytest.mark.parametrize("shape", [(2, 3), (), (0, 3)])
def test_every_type_and_shape_passes_through(
    dtype: DType, kind: int, shape: tuple[int, ...], tmp_path: Path
) -> None:
    """R3.19 R3.22 R3.28 Each DType, scalars and empty tensors come out as they went in."""
    model = graph_file(
        tmp_path / "same.onnx",
        [node("Identity", ["x"], ["y"])],
        [value("x", shape, kind)],
        [value("y", shape, kind)],
    )
    backend = OnnxRuntimeBackend()
    assert backend.load(model).is_ok()
    x = Tensor(TensorSpec("x", shape, dtype), np.ones(shape, dtype.value))
    (y,) = backend.execute(request_for(x)).value().output_tensors
    assert y.spec() == TensorSpec("y", shape, dtype)
    assert bytes(y.data()) == bytes(x.data())


def test_column_major_inputs_are_understood(loaded: OnnxRuntimeBackend) -> None:
    """R3.21 R3.28 The layout of an input says how its bytes are read."""
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    spec = TensorSpec("x", (2, 3), DType.Float32, MemoryLayout.ColumnMajor)
    given = Tensor(spec, np.asfortranarray(x).T)
    (y,) = loaded.execute(request_for(given)).value().output_tensors
    assert np.frombuffer(y.data(), np.float32).tolist() == (x + 1).ravel().tolist()


def test_specs_tell_open_dimensions(loaded: OnnxRuntimeBackend) -> None:
    """R3.32 A dimension that each request decides is None."""
    assert loaded.input_specs().value() == (TensorSpec("x", (None, 3), DType.Float32),)
    assert loaded.output_specs().value() == (TensorSpec("y", (None, 3), DType.Float32),)


def test_metadata_is_what_the_file_says(loaded: OnnxRuntimeBackend) -> None:
    """R3.32 Names and texts that the maker wrote into the file come back."""
    assert loaded.metadata() == Result.ok({"character": "a b c"})


def test_the_batch_is_limited_where_the_model_fixes_it(tmp_path: Path) -> None:
    """R3.25 R3.29 A fixed leading dimension is the limit; an open one, or no model, is none."""
    backend = OnnxRuntimeBackend()
    assert backend.capabilities().max_batch_size == NO_BATCH_LIMIT
    backend.load(affine(tmp_path))
    assert backend.capabilities().max_batch_size == NO_BATCH_LIMIT
    backend.load(affine(tmp_path, rows=2))
    capabilities = backend.capabilities()
    assert (capabilities.max_batch_size, capabilities.backend_name) == (2, "onnxruntime")
    assert capabilities.supported_dtypes == frozenset(DType)
    assert not capabilities.requires_pinned_memory
    assert not capabilities.supports_async_execution


def test_an_execution_that_fails_inside_comes_back_as_an_error(tmp_path: Path) -> None:
    """R3.28 R3.46 What the runtime raises becomes a BackendError with its text."""
    model = graph_file(
        tmp_path / "reshape.onnx",
        [node("Reshape", ["x", "shape"], ["y"])],
        [value("x", [2, 3]), value("shape", [1], TensorProto.INT64)],
        [value("y", ["n"])],
    )
    backend = OnnxRuntimeBackend()
    backend.load(model)
    five = tensor("shape", np.array([5], np.int64), DType.Int64)
    error = backend.execute(request_for(tensor("x", np.zeros((2, 3), "f")), five)).error
    assert error.code is ErrorCode.BackendError
    assert error.context == "OnnxRuntimeBackend.execute"
    assert "eshape" in error.message


@pytest.mark.parametrize("kind", [TensorProto.STRING, TensorProto.UINT16])
def test_a_model_of_other_types_is_refused(kind: int, tmp_path: Path) -> None:
    """R3.19 R3.26 A model that takes what no DType describes does not load."""
    model = graph_file(
        tmp_path / "other.onnx",
        [node("Identity", ["x"], ["y"])],
        [value("x", [1], kind)],
        [value("y", [1], kind)],
    )
    error = OnnxRuntimeBackend().load(model).error
    assert error.code is ErrorCode.InvalidArgument
    assert "supported are tensor(float)" in error.message


def test_an_unknown_provider_is_refused(tmp_path: Path) -> None:
    """R3.26 A place to run that is not there is an error, not a silent fall back to the CPU."""
    error = OnnxRuntimeBackend(providers=["NoSuchProvider"]).load(affine(tmp_path)).error
    assert error.code is ErrorCode.InvalidArgument
    assert "NoSuchProvider" in error.message


@pytest.mark.parametrize("missing", ["onnxruntime", "numpy"])
def test_a_missing_library_is_named_with_its_remedy(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R3.26 R3.45 Without the extra, load says what to install."""
    model = affine(tmp_path)
    monkeypatch.setitem(sys.modules, missing, None)
    error = OnnxRuntimeBackend().load(model).error
    assert error.code is ErrorCode.BackendError
    assert missing in error.message
    assert "pip install whence[onnx]" in error.message


def test_estimates_need_the_graph_library(
    loaded: OnnxRuntimeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R3.32 R3.45 Without onnx the model executes, and estimates say what to install."""
    loaded.execute(request_for(zeros(TensorSpec("x", (2, 3), DType.Float32))))
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "whence.runtime.onnx_graph", raising=False)
    assert "pip install whence[onnx]" in loaded.estimate_memory().error.message


def test_estimates_follow_the_newest_shapes(loaded: OnnxRuntimeBackend) -> None:
    """R3.32 Open shapes cannot be estimated before an execution; then the newest one counts."""
    assert loaded.estimate_memory().error.code is ErrorCode.InsufficientSamples
    assert "input_shapes" in loaded.estimate_lifetimes().error.message
    for rows in (5, 2):
        loaded.execute(request_for(zeros(TensorSpec("x", (rows, 3), DType.Float32))))
        # the weight, and at each of both steps one tensor read and one written
        assert loaded.estimate_memory() == Result.ok(12 + 2 * rows * 12)
        sizes = [lifetime.size_bytes for lifetime in loaded.estimate_lifetimes().value()]
        assert sizes == [rows * 12] * 3


def test_shapes_may_be_given_beforehand(tmp_path: Path) -> None:
    """R3.32 With input_shapes estimates and warm-up work before the first execution."""
    backend = OnnxRuntimeBackend(input_shapes={"x": (7, 3)})
    backend.load(affine(tmp_path))
    assert backend.estimate_memory() == Result.ok(12 + 2 * 84)
    assert backend.warmup() == Result.ok()


@pytest.mark.parametrize("shapes", [{"z": (1, 3)}, {"x": (1, 4)}, {"x": (3,)}])
def test_shapes_that_do_not_fit_are_refused(
    shapes: dict[str, tuple[int, ...]], tmp_path: Path
) -> None:
    """R3.26 R3.32 input_shapes must name inputs and agree with what is fixed."""
    error = OnnxRuntimeBackend(input_shapes=shapes).load(affine(tmp_path)).error
    assert error.code is ErrorCode.InvalidArgument
    assert "input_shapes" in error.message


def test_warming_up_needs_shapes_and_a_model(loaded: OnnxRuntimeBackend) -> None:
    """R3.32 Warm-up is an execution on zeros, so it needs the same as an estimate."""
    assert loaded.warmup().error.code is ErrorCode.InsufficientSamples
    assert OnnxRuntimeBackend().warmup().error.code is ErrorCode.NotLoaded


def test_the_result_is_timed_by_the_clock_given(tmp_path: Path) -> None:
    """R3.24 Latency and deadline come from the request's times and the injected clock."""
    request = request_for(zeros(TensorSpec("x", (1, 3), DType.Float32)), within_ms=5)
    ends = request.submission_time + Duration.from_millis(6)
    backend = OnnxRuntimeBackend(clock=lambda: ends)
    backend.load(affine(tmp_path))
    result = backend.execute(request).value()
    assert (result.actual_latency, result.deadline_met) == (Duration.from_millis(6), False)
    assert isinstance(request.deadline, Timestamp)
