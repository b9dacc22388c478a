"""Executes ONNX models with ONNX Runtime (extra [onnx]), on the CPU unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Never, TypeVar

from whence.model.result import Error, ErrorCode, Result
from whence.model.time import Timestamp
from whence.runtime.backend import (
    NO_BATCH_LIMIT,
    BackendCapabilities,
    InspectableBackend,
    WarmupMixin,
)
from whence.runtime.inputs import what_is_wrong_with
from whence.runtime.lending import Lending
from whence.runtime.lifetimes import TensorLifetime
from whence.runtime.onnx_session import OnnxSession, Refused
from whence.runtime.requests import ExecutionRequest, ExecutionResult
from whence.runtime.tensors import DType, TensorSpec

__all__ = ["OnnxRuntimeBackend"]

T = TypeVar("T")


class OnnxRuntimeBackend(WarmupMixin, InspectableBackend):
    """Loads one ONNX model and executes it.

    `threads` is how many threads one execution may use (0: as many as there are cores),
    `providers` are ONNX Runtime's names of where to run. `input_shapes` names the shapes to
    estimate and warm up for, where the model leaves dimensions open; without it the shapes of the
    newest execution are taken.

    Threads share a backend freely: executions overlap. `unload` refuses new executions at once
    and waits for those under way. ONNX Runtime, numpy and onnx are imported at the first use;
    where they are missing, the error says what to install. Inputs and outputs are not copied.
    """

    def __init__(
        self,
        *,
        threads: int = 0,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        input_shapes: Mapping[str, Sequence[int]] | None = None,
        clock: Callable[[], Timestamp] = Timestamp.now,
    ) -> None:
        self._threads = threads
        self._providers = tuple(providers)
        self._input_shapes = {name: tuple(shape) for name, shape in (input_shapes or {}).items()}
        self._clock = clock
        self._sessions: Lending[OnnxSession] = Lending()

    def load(self, model_path: str | PathLike[str]) -> Result[None]:
        """Load the model, in place of one that is loaded.

        NotFound for no such file, BackendError for a file that is no model, InvalidArgument for
        a model whose inputs or outputs are not tensors of a DType.
        """
        return _attempt("load", lambda: self._sessions.offer(self._open(Path(model_path))))

    def unload(self) -> Result[None]:
        """Let the model go once the executions under way have ended."""
        self._sessions.withdraw()
        return Result.ok()

    def execute(self, request: ExecutionRequest) -> Result[ExecutionResult]:
        """Run the model; InvalidArgument if the inputs are not those it takes."""
        return self._ask("execute", lambda session: self._run(session, request))

    def capabilities(self) -> BackendCapabilities:
        """What the interface allows; the batch is limited where the loaded model fixes it."""
        session = self._sessions.on_offer()
        return BackendCapabilities(
            backend_name="onnxruntime",
            max_batch_size=session.batch_limit() if session else NO_BATCH_LIMIT,
            supported_dtypes=frozenset(DType),
            requires_pinned_memory=False,
            supports_async_execution=False,
        )

    def is_loaded(self) -> bool:
        """Whether a model is loaded."""
        return self._sessions.on_offer() is not None

    def estimate_memory(self) -> Result[int]:
        """Weights, and the most that the tensors of one execution take at one step, in bytes.

        InsufficientSamples if the shapes are open and nothing was executed yet. The first
        estimate for given shapes reads the model file again, later ones are remembered.
        """
        return self._ask("estimate_memory", lambda session: session.needs().memory_bytes())

    def estimate_lifetimes(self) -> Result[list[TensorLifetime]]:
        """First and last step of each tensor in the graph as written; else as estimate_memory."""
        return self._ask("estimate_lifetimes", lambda session: list(session.needs().lifetimes))

    def input_specs(self) -> Result[tuple[TensorSpec, ...]]:
        """The model's inputs; open dimensions are None."""
        return self._ask("input_specs", lambda session: session.inputs)

    def output_specs(self) -> Result[tuple[TensorSpec, ...]]:
        """The model's outputs; open dimensions are None."""
        return self._ask("output_specs", lambda session: session.outputs)

    def metadata(self) -> Result[dict[str, str]]:
        """The names and texts that the model's maker wrote into its file."""
        return self._ask("metadata", lambda session: session.metadata())

    def warmup(self, stream: object = None) -> Result[None]:
        """Execute once on zeros of the shapes that estimates take; `stream` means nothing here."""
        return self._ask("warmup", lambda session: session.run_on_zeros())

    def _open(self, path: Path) -> OnnxSession:
        if not path.is_file():
            raise Refused(ErrorCode.NotFound, f"there is no model file {str(path)!r}")
        return OnnxSession(path, self._threads, self._providers, self._input_shapes)

    def _run(self, session: OnnxSession, request: ExecutionRequest) -> ExecutionResult:
        wrong = what_is_wrong_with(request.input_tensors, session.inputs)
        if wrong:
            raise Refused(ErrorCode.InvalidArgument, wrong)
        outputs = session.run(request.input_tensors)
        return ExecutionResult.finished(request, outputs, at=self._clock())

    def _ask(self, method: str, question: Callable[[OnnxSession], T]) -> Result[T]:
        with self._sessions.borrowed() as session:
            if session is None:
                return _failed(method, ErrorCode.NotLoaded, "no model is loaded; call load() first")
            return _attempt(method, lambda: question(session))


def _attempt(method: str, deed: Callable[[], T]) -> Result[T]:
    """What the deed returns, or what it raised as an Error."""
    try:
        return Result.ok(deed())
    except Refused as refusal:
        return _failed(method, refusal.code, str(refusal))
    except ImportError as missing:
        return _failed(method, ErrorCode.BackendError, f"{missing}: pip install whence[onnx]")
    except Exception as failure:
        return _failed(method, ErrorCode.BackendError, str(failure) or type(failure).__name__)


def _failed(method: str, code: ErrorCode, message: str) -> Result[Never]:
    return Result.err(Error(code, message, f"OnnxRuntimeBackend.{method}"))
