"""One loaded ONNX model: what it takes and gives, running it, and what a run needs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whence.model.result import ErrorCode
from whence.runtime.backend import NO_BATCH_LIMIT
from whence.runtime.tensors import DType, MemoryLayout, Tensor, TensorSpec

if TYPE_CHECKING:
    from whence.runtime.onnx_graph import GraphNeeds

__all__ = ["OnnxSession", "Refused"]

Shapes = Mapping[str, tuple[int, ...]]

_DTYPES = {
    "tensor(float)": DType.Float32,
    "tensor(float16)": DType.Float16,
    "tensor(double)": DType.Float64,
    "tensor(int8)": DType.Int8,
    "tensor(uint8)": DType.UInt8,
    "tensor(int32)": DType.Int32,
    "tensor(int64)": DType.Int64,
    "tensor(bool)": DType.Bool,
}
_FATAL_ONLY = 4  # failures are returned to the caller, so nothing is printed


class Refused(Exception):
    """The session cannot do what was asked; the backend turns it into an Error of this code."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class OnnxSession:
    """Wraps ONNX Runtime's session; raises Refused, ImportError or what the libraries raise.

    `wanted_shapes` are the shapes to estimate for. Threads may share it.
    """

    def __init__(
        self, path: Path, threads: int, providers: Sequence[str], wanted_shapes: Shapes
    ) -> None:
        # Imported here, because the rest of the package does without them.
        self._runtime: Any = importlib.import_module("onnxruntime")
        self._numpy: Any = importlib.import_module("numpy")
        unknown = sorted(set(providers) - set(self._runtime.get_available_providers()))
        if unknown:
            raise Refused(ErrorCode.InvalidArgument, f"ONNX Runtime here has no {unknown[0]}")
        self._path = path
        self._threads = threads
        self._providers = list(providers)
        self._session = self._runtime.InferenceSession(
            str(path), self._options(), providers=self._providers
        )
        self.inputs = _specs(self._session.get_inputs())
        self.outputs = _specs(self._session.get_outputs())
        self._wanted_shapes = _checked(wanted_shapes, self.inputs)
        self._newest_shapes: Shapes = {}
        self._remembered: tuple[Shapes, GraphNeeds] | None = None

    def run(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The outputs for these inputs, which are known to be the right ones."""
        outputs = self._session.run(
            None, {tensor.spec().name: self._array(tensor) for tensor in tensors}
        )
        self._newest_shapes = {tensor.spec().name: tensor.shape for tensor in tensors}
        return [
            self._tensor(spec, output) for spec, output in zip(self.outputs, outputs, strict=True)
        ]

    def run_on_zeros(self) -> None:
        """Run once for nothing but its effect on the runtime's own memory and threads."""
        self._session.run(None, self._zeros(self._planned_shapes()))

    def needs(self) -> GraphNeeds:
        """What one run needs in memory; the answer for the newest shapes is remembered."""
        shapes = self._planned_shapes()
        remembered = self._remembered
        if remembered is None or remembered[0] != shapes:
            graph = importlib.import_module("whence.runtime.onnx_graph")
            remembered = shapes, graph.read_needs(self._path, shapes, self._measure)
            self._remembered = remembered
        return remembered[1]

    def batch_limit(self) -> int:
        """The leading dimension that all inputs fix, NO_BATCH_LIMIT if one leaves it open."""
        leading = [spec.shape[0] if spec.shape else None for spec in self.inputs]
        fixed = [size for size in leading if size is not None]
        return min(fixed) if fixed and len(fixed) == len(leading) else NO_BATCH_LIMIT

    def metadata(self) -> dict[str, str]:
        """What the model's file says about itself."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def _options(self) -> Any:
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = _FATAL_ONLY
        return options

    def _planned_shapes(self) -> Shapes:
        shapes: dict[str, tuple[int, ...]] = {}
        for spec in self.inputs:
            known = tuple(size for size in spec.shape if size is not None)
            if len(known) == len(spec.shape):
                shapes[spec.name] = known
            elif spec.name in self._wanted_shapes:
                shapes[spec.name] = self._wanted_shapes[spec.name]
            elif spec.name in self._newest_shapes:
                shapes[spec.name] = self._newest_shapes[spec.name]
            else:
                raise Refused(
                    ErrorCode.InsufficientSamples,
                    f"input {spec.name!r} has the open shape {spec.shape}: give input_shapes to "
                    "the backend, or execute one request first",
                )
        return shapes

    def _measure(self, model: bytes, names: Sequence[str]) -> dict[str, int]:
        options = self._options()
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(self._path.parent)
        )
        session = self._runtime.InferenceSession(model, options, providers=self._providers)
        outputs = session.run(list(names), self._zeros(self._planned_shapes()))
        return {name: _bytes_of(output) for name, output in zip(names, outputs, strict=True)}

    def _zeros(self, shapes: Shapes) -> dict[str, Any]:
        return {
            spec.name: self._numpy.zeros(shapes[spec.name], spec.dtype.value)
            for spec in self.inputs
        }

    def _array(self, tensor: Tensor) -> Any:
        order = "F" if tensor.spec().layout is MemoryLayout.ColumnMajor else "C"
        return self._numpy.ndarray(
            tensor.shape, tensor.spec().dtype.value, buffer=tensor.data(), order=order
        )

    def _tensor(self, spec: TensorSpec, output: Any) -> Tensor:
        array = self._numpy.asarray(output, order="C")
        return Tensor(TensorSpec(spec.name, array.shape, spec.dtype), array)


def _specs(arguments: Sequence[Any]) -> tuple[TensorSpec, ...]:
    for argument in arguments:
        if argument.type not in _DTYPES:
            raise Refused(
                ErrorCode.InvalidArgument,
                f"{argument.name!r} is {argument.type}; supported are {', '.join(_DTYPES)}",
            )
    return tuple(
        TensorSpec(
            argument.name,
            # Open dimensions have a name or nothing.
            tuple(size if isinstance(size, int) else None for size in argument.shape),
            _DTYPES[argument.type],
        )
        for argument in arguments
    )


def _checked(wanted_shapes: Shapes, inputs: Sequence[TensorSpec]) -> Shapes:
    specs = {spec.name: spec for spec in inputs}
    for name, shape in wanted_shapes.items():
        if name not in specs:
            raise Refused(ErrorCode.InvalidArgument, f"input_shapes: no input is named {name!r}")
        if not specs[name].admits(shape):
            raise Refused(
                ErrorCode.InvalidArgument,
                f"input_shapes: {name!r} must be {specs[name].shape}, not {shape}",
            )
    return wanted_shapes


def _bytes_of(output: Any) -> int:
    """Bytes of an array or of a sequence of arrays."""
    return sum(map(_bytes_of, output)) if isinstance(output, list) else output.nbytes
