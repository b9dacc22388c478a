"""ONNX Runtime: every run of a session is a span with its model, inputs and providers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from whence import _native
from whence.integrations.plain_values import Plain, safe_text

__all__ = ["TracedSession", "trace_session"]

COMPONENT = "onnxruntime"
MOST_INPUTS = 32


def trace_session(session: Any, *, model: str = "") -> TracedSession:
    """The session, each of whose runs is a span `onnx_run`.

    Use what it returns in the session's place: `session = trace_session(InferenceSession(path))`.
    The span carries the model's name, the providers and each input's type and shape, and an
    exception of the run, which goes on. No tensor is kept, copied or read. Tracing a traced session
    gives the same one back. About 3 us a run.
    """
    if isinstance(session, TracedSession):
        return session
    return TracedSession(session, model or _model_name(session))


class TracedSession:
    """An InferenceSession whose runs are spans; everything else is the session's own."""

    def __init__(self, session: Any, model: str) -> None:
        self._session = session
        self._said: dict[str, Plain] = {"model": model}
        providers = getattr(session, "get_providers", None)
        if providers is not None:
            self._said["providers"] = ",".join(providers())

    def run(self, output_names: Any, input_feed: Mapping[str, Any], run_options: Any = None) -> Any:
        """As the session's run()."""
        with self._span(input_feed):
            return self._session.run(output_names, input_feed, run_options)

    def run_with_ort_values(
        self, output_names: Any, input_dict_ort_values: Mapping[str, Any], run_options: Any = None
    ) -> Any:
        """As the session's run_with_ort_values()."""
        with self._span(input_dict_ort_values):
            return self._session.run_with_ort_values(
                output_names, input_dict_ort_values, run_options
            )

    def run_with_iobinding(self, iobinding: Any, run_options: Any = None) -> Any:
        """As the session's run_with_iobinding(); what is bound does not tell its shapes."""
        with self._span({}):
            return self._session.run_with_iobinding(iobinding, run_options)

    def run_async(
        self,
        output_names: Any,
        input_feed: Mapping[str, Any],
        callback: Callable[[Any, Any, str], None],
        user_data: Any = None,
        run_options: Any = None,
    ) -> Any:
        """As the session's run_async(); the span ends when the callback is called."""
        span = self._span(input_feed)

        def ended(results: Any, given: Any, error: str) -> None:
            span.end(error or None)
            callback(results, given, error)

        try:
            return self._session.run_async(output_names, input_feed, ended, user_data, run_options)
        except BaseException as error:
            span.end(error)
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def __repr__(self) -> str:
        return f"<traced {self._session!r}>"

    def _span(self, inputs: Mapping[str, Any]) -> _native.Span:
        said = dict(self._said)
        if isinstance(inputs, Mapping):
            for name, value in list(inputs.items())[:MOST_INPUTS]:
                said[f"input.{name}"] = _shape_of(value)
        return _native.begin_span("onnx_run", COMPONENT, said)


def _shape_of(value: Any) -> str:
    """Such as float32[1, 3, 640, 640]; asks for the shape alone."""
    try:
        shape = value.shape() if callable(getattr(value, "shape", None)) else value.shape
        kind = value.data_type() if hasattr(value, "data_type") else value.dtype
        return f"{kind}{list(shape)}"
    except Exception:  # a list, or a type of its own
        return type(value).__qualname__


def _model_name(session: Any) -> str:
    """The file's name, else the graph's."""
    path = getattr(session, "_model_path", None)
    if isinstance(path, str) and path:
        return path.replace("\\", "/").rpartition("/")[2].removesuffix(".onnx")
    try:
        return safe_text(session.get_modelmeta().graph_name) or "model"
    except Exception:
        return "model"
