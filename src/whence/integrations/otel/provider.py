"""A tracer provider whose spans are ours: no queue, no thread, nothing to flush."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from opentelemetry import context as context_api
from opentelemetry import trace as api
from opentelemetry.context.context import Context as OtelContext
from opentelemetry.trace import (
    Link,
    SpanKind,
    StatusCode,
    TraceFlags,
)
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace.propagation import _SPAN_KEY

from whence import _native
from whence._native import Context
from whence.integrations.otel.ambient import context_around, install
from whence.integrations.otel.span import Span
from whence.integrations.otel.values import attributes_of, links_of, monotonic_ns
from whence.integrations.plain_values import Plain, safe_text

__all__ = ["CurrentSpan", "Tracer", "TracerProvider"]

F = TypeVar("F", bound=Callable[..., Any])

_NOWHERE = Context("")  # neither request nor trace: what begins in it is a new trace


class TracerProvider(api.TracerProvider):
    """`trace.set_tracer_provider(TracerProvider())`, or $OTEL_PYTHON_TRACER_PROVIDER=whence.

    Spans of OpenTelemetry's API are then spans of ours: recorded into the ring of the thread that
    ends them, shown while they are open, parents and children of `whence.span`. Nothing is queued,
    so there is nothing to lose at a crash, nothing to flush, no thread, and forked children go on
    recording. The resource is the session's: $OTEL_SERVICE_NAME, $OTEL_RESOURCE_ATTRIBUTES.
    """

    def __init__(self) -> None:
        install()

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Tracer:
        """A tracer; the instrumenting library's name is its spans' component."""
        return Tracer(instrumenting_module_name or "opentelemetry", instrumenting_library_version)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True: what was recorded is in the session's files already."""
        return True

    def shutdown(self) -> None:
        """Nothing waits, so there is nothing to end."""


class Tracer(api.Tracer):
    """Starts spans of one instrumenting library."""

    def __init__(self, component: str, version: str | None = None) -> None:
        self.component = component
        self._scope: dict[str, Plain] = {"otel.scope.version": version} if version else {}

    def start_span(
        self,
        name: str,
        context: OtelContext | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> OtelSpan:
        """Begin a span that is not current; the parent's again where spans of this name are off."""
        if context is None:
            context = context_api.get_current()
        around = context.get(_SPAN_KEY)
        parent, flags, state = _parent(around)
        values = attributes_of(attributes)
        if self._scope:
            values = {**self._scope, **values}
        if kind is not SpanKind.INTERNAL:
            values["otel.span.kind"] = kind.name.lower()
        began = _native.begin_span(
            name if type(name) is str and name else safe_text(name) or "span",
            self.component,
            values or None,
            parent,
            max(monotonic_ns(start_time), 1) if start_time is not None else 0,
        )
        if not began:
            return around if isinstance(around, OtelSpan) else api.INVALID_SPAN
        for trace_id, span_id, said in links_of(links) if links else ():
            began.link((trace_id, span_id), **said)
        return Span(began, self.component, flags, state)

    def start_as_current_span(  # type: ignore[override]
        self,
        name: str,
        context: OtelContext | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> CurrentSpan:
        """Begin a span and make it current, in a `with` block or as a decorator.

        The span begins when the block is entered or the function called, each time anew. An
        exception is noted and goes on.
        """
        return CurrentSpan(
            functools.partial(self.start_span, name, context, kind, attributes, links, start_time),
            record_exception,
            set_status_on_exception,
            end_on_exit,
        )


class CurrentSpan:
    """What `start_as_current_span` gives: a context manager and a decorator, sync and async."""

    __slots__ = ("_end", "_note", "_span", "_start", "_status", "_token")

    def __init__(self, start: Callable[[], OtelSpan], note: bool, status: bool, end: bool) -> None:
        self._start, self._note, self._status, self._end = start, note, status, end
        self._span: OtelSpan = api.INVALID_SPAN
        self._token: Any = None

    def __enter__(self) -> OtelSpan:
        self._span = span = self._start()
        context = context_api.get_current()
        self._token = context_api.attach(OtelContext({**context, _SPAN_KEY: span}))
        return span

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        span = self._span
        if isinstance(error, Exception) and span.is_recording():
            if self._note:
                span.record_exception(error, escaped=True)
            if self._status:
                said = f"{type(error).__name__}: {safe_text(error)}"
                span.set_status(StatusCode.ERROR, said)
        context_api.detach(self._token)
        if self._end:
            span.end()

    def __call__(self, function: F) -> F:
        """The function, each of whose calls is such a span."""

        def again() -> CurrentSpan:
            return CurrentSpan(self._start, self._note, self._status, self._end)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                with again():
                    return await function(*args, **kwargs)

            return run_async  # type: ignore[return-value]

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with again():
                return function(*args, **kwargs)

        return run  # type: ignore[return-value]


def _parent(around: object) -> tuple[Context, int, Any]:
    """(our context of the parent, its flags, its tracestate)."""
    if type(around) is Span:  # isinstance() of an abstract class is slow
        inside = around.whence_context
        if inside is not None:
            return inside, around._flags, around._state
    ours = _native.current()
    found = None
    if around is not None and isinstance(around, OtelSpan):
        found = around.get_span_context()
    if found is None or not found.is_valid:
        if ours is None:
            return _NOWHERE, TraceFlags.SAMPLED, None
        if ours.span_id:  # an explicit root: only the request goes on
            ours = Context(ours.request_id, ours.chain_id, ours.lineage_id)
        return ours, TraceFlags.SAMPLED, None
    state = found.trace_state or None
    if ours is not None and ours.span_id == found.span_id:
        return ours, found.trace_flags, state
    return context_around(found, ours), found.trace_flags, state
