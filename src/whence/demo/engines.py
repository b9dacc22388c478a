"""The models, loaded: each in a runtime backend of its own, its life recorded as events."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from whence.demo import events
from whence.demo.models import ModelFile
from whence.model.errors import WhenceError
from whence.model.ids import ModelID
from whence.model.result import Result
from whence.model.time import Timestamp
from whence.runtime.backend import InspectableBackend
from whence.runtime.onnx_backend import OnnxRuntimeBackend
from whence.runtime.requests import ExecutionRequest
from whence.runtime.tensors import Tensor, TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Engines", "ModelNotLoaded"]


class ModelNotLoaded(WhenceError):
    """A model's file is there, but the backend cannot load it."""


def _one_thread() -> InspectableBackend:
    # The workers are the parallelism; an execution that spread over all cores would stop them.
    return OnnxRuntimeBackend(threads=1)


class Engines:
    """All models of the demo, loaded on entering a with block and unloaded on leaving it.

    Inside the block threads share it freely: one model may be executed by several at once.
    """

    def __init__(
        self,
        files: Mapping[str, ModelFile],
        make_backend: Callable[[], InspectableBackend] = _one_thread,
    ) -> None:
        self._files = files
        self._make_backend = make_backend
        self._backends: dict[str, InspectableBackend] = {}
        self._inputs: dict[str, TensorSpec] = {}
        self._executions = {name: itertools.count() for name in files}

    def __enter__(self) -> Self:
        for name, file in self._files.items():
            began_ns = time.monotonic_ns()
            backend = self._make_backend()
            specs = _load(backend, file)
            if specs.is_error():
                self.close()
                raise ModelNotLoaded(f"{file.path}: {specs.error}")
            self._backends[name] = backend
            (self._inputs[name],) = specs.value()
            events.context_created(
                model_id=name,
                package=file.package,
                version=file.version,
                size_bytes=file.path.stat().st_size,
                duration_ns=time.monotonic_ns() - began_ns,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Unload what is loaded; executions under way end first."""
        while self._backends:
            name, backend = self._backends.popitem()
            backend.unload()
            events.context_destroyed(model_id=name, executions=next(self._executions[name]))

    def run(
        self,
        model: str,
        array: NDArray[Any],
        request_id: str,
        released_ns: int,
        deadline_ns: int,
    ) -> Result[NDArray[Any]]:
        """The model's first output for one input; a failure is a value, not an exception.

        Neither is copied. Times are monotonic nanoseconds; the backend may use them, the caller
        judges them.
        """
        next(self._executions[model])
        wanted = self._inputs[model]
        request = ExecutionRequest(
            model_id=ModelID(model),
            request_id=request_id,
            input_tensors=(Tensor(TensorSpec(wanted.name, array.shape, wanted.dtype), array),),
            deadline=Timestamp(deadline_ns),
            submission_time=Timestamp(released_ns),
        )
        result = self._backends[model].execute(request)
        return result.map(lambda answer: _as_array(answer.output_tensors[0]))


def _load(backend: InspectableBackend, file: ModelFile) -> Result[tuple[TensorSpec, ...]]:
    loaded = backend.load(file.path)
    return Result.err(loaded.error) if loaded.is_error() else backend.input_specs()


def _as_array(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = np.frombuffer(tensor.data(), tensor.spec().dtype.value)
    return array.reshape(tensor.shape)
