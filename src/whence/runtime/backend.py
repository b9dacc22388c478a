"""A backend: it loads a model, executes requests, says what it can do and what it needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from os import PathLike

from whence.model.result import Result
from whence.runtime.lifetimes import TensorLifetime
from whence.runtime.requests import ExecutionRequest, ExecutionResult
from whence.runtime.tensors import DType, TensorSpec

__all__ = [
    "NO_BATCH_LIMIT",
    "BackendCapabilities",
    "InspectableBackend",
    "RuntimeBackend",
    "WarmupMixin",
]

NO_BATCH_LIMIT = 2**63 - 1


@dataclass(frozen=True, slots=True)
class BackendCapabilities:
    """What a backend can do.

    `max_batch_size` is the largest leading dimension one request may have, NO_BATCH_LIMIT where
    only memory limits it. `supports_async_execution` says whether execute returns before the
    outputs are there; it is about the interface, not about threads.
    """

    backend_name: str
    max_batch_size: int
    supported_dtypes: frozenset[DType]
    requires_pinned_memory: bool
    supports_async_execution: bool


class RuntimeBackend(ABC):
    """Executes the one model it has loaded. Nothing has a default: a backend says everything.

    Every method MUST return failures as Result errors and MUST NOT raise for them: a missing or
    corrupt model, wrong input names, shapes or types, a failing execution. Without a model,
    everything that needs one returns the error NotLoaded. Threads MAY share a backend: executions
    may overlap, and a backend that cannot do that MUST order them itself.
    """

    @abstractmethod
    def load(self, model_path: str | PathLike[str]) -> Result[None]:
        """Load the model of that file, in place of one that is loaded.

        Executions under way end on the model they began with. After a failure the backend is as
        it was before.
        """

    @abstractmethod
    def unload(self) -> Result[None]:
        """Let the model go; good, too, if there is none.

        New executions are refused at once (NotLoaded); unload MUST return only when those under
        way have ended, so that the model's memory is free then.
        """

    @abstractmethod
    def execute(self, request: ExecutionRequest) -> Result[ExecutionResult]:
        """Run the model on the request's inputs; blocks until the outputs are there."""

    @abstractmethod
    def capabilities(self) -> BackendCapabilities:
        """What this backend can do, with the model it has loaded if there is one."""

    @abstractmethod
    def is_loaded(self) -> bool:
        """Whether a model is loaded."""


class InspectableBackend(RuntimeBackend):
    """A backend that also says, before it executes, what its model takes, gives and needs."""

    @abstractmethod
    def estimate_memory(self) -> Result[int]:
        """Bytes that the model and one execution of it need at most at the same time."""

    @abstractmethod
    def estimate_lifetimes(self) -> Result[list[TensorLifetime]]:
        """The tensors of one execution, each with its first and last step.

        Weights are left out: they stay in memory as long as the model is loaded.
        """

    @abstractmethod
    def input_specs(self) -> Result[tuple[TensorSpec, ...]]:
        """What the model takes; open dimensions are None."""

    @abstractmethod
    def output_specs(self) -> Result[tuple[TensorSpec, ...]]:
        """What the model gives; open dimensions are None."""


class WarmupMixin:
    """For backends whose first execution costs more than the later ones."""

    def warmup(self, stream: object = None) -> Result[None]:
        """Do what the first execution would have to do; by default there is nothing to do.

        `stream` is the backend's own handle of where to run, if it has such a thing.
        """
        return Result.ok()
