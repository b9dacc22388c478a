"""One ambient span for both: OpenTelemetry's context and ours follow each other."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Any, NamedTuple

from opentelemetry import context as api
from opentelemetry.context.context import Context as OtelContext
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags, TraceState
from opentelemetry.trace.propagation import _SPAN_KEY

from whence import _native
from whence._native import Context

__all__ = ["Ambient", "context_around", "install", "span_context_of"]


class Ambient(ContextVarsRuntimeContext):
    """OpenTelemetry's runtime context, which tells ours of every span that becomes current.

    Inside an OpenTelemetry span `whence.current()` has its trace and span ids, and inside a span of
    ours `get_current_span()` has ours. Detaching puts back what was there, by value: a generator
    that another task closes changes nothing there and raises nothing.
    """

    def __init__(self, variable: ContextVar[OtelContext] | None = None) -> None:
        super().__init__()
        if variable is not None:
            self._current_context = variable  # what was attached before us stays attached

    def attach(self, context: OtelContext) -> Token[OtelContext]:
        """Make it current; the token belongs to `detach`."""
        before = self._current_context.get()
        entered = _enter(context.get(_SPAN_KEY))
        self._current_context.set(context)
        return _Attached(context, before, entered)  # type: ignore[return-value]

    def get_current(self) -> OtelContext:
        """The current context; with our own innermost span in it, if that lies further inside."""
        global _last
        context = self._current_context.get()
        ours = _native.current()
        if ours is None or not ours.span_id:
            return context
        if _span_id(context.get(_SPAN_KEY)) == ours.span_id:
            return context
        seen_context, seen, made = _last
        if seen is ours and seen_context is context:
            return made
        made = OtelContext({**context, _SPAN_KEY: NonRecordingSpan(span_context_of(ours))})
        _last = (context, ours, made)
        return made

    def detach(self, token: Any) -> None:
        """Put back what was current before."""
        if not isinstance(token, _Attached):  # from before this was installed
            super().detach(token)
            return
        if token.entered is not None:
            _native.leave(token.entered)
        if self._current_context.get() is token.context:
            self._current_context.set(token.before)


class _Attached(NamedTuple):
    context: OtelContext
    before: OtelContext
    entered: Context | None


_last: tuple[OtelContext | None, Context | None, OtelContext] = (None, None, OtelContext())


def install() -> None:
    """Makes `Ambient` OpenTelemetry's runtime context, once; contexts attached before stay."""
    present = api._RUNTIME_CONTEXT
    if not isinstance(present, Ambient):
        variable = getattr(present, "_current_context", None)
        api._RUNTIME_CONTEXT = Ambient(variable if isinstance(variable, ContextVar) else None)


def context_around(span: SpanContext, request: Context | None = None) -> Context:
    """Our context inside a span of OpenTelemetry's, in the request of `request`, if it has one."""
    request_id, chain_id, lineage_id = "", "", 0
    if request is not None:
        request_id, chain_id = request.request_id, request.chain_id
        lineage_id = request.lineage_id
    return Context(
        request_id,
        chain_id,
        lineage_id,
        trace_id=f"{span.trace_id:032x}",
        span_id=span.span_id,
        trace_flags=int(span.trace_flags) & 0xFF,
        tracestate=span.trace_state.to_header() if span.trace_state else "",
    )


def span_context_of(context: Context) -> SpanContext:
    """What OpenTelemetry knows of our context: ids, flags and tracestate."""
    state = TraceState.from_header([context.tracestate]) if context.tracestate else None
    flags = context.trace_flags if context.remote else TraceFlags.SAMPLED
    return SpanContext(
        int(context.trace_id or "0", 16), context.span_id, False, TraceFlags(flags), state
    )


def _span_id(span: object) -> int:
    inside = getattr(span, "whence_context", None)  # of our provider: no need to make a SpanContext
    if inside is not None:
        found: int = inside.span_id
        return found
    return span.get_span_context().span_id if isinstance(span, Span) else 0


def _enter(span: object) -> Context | None:
    """Make the span ambient for us, too; None where it is already, or where neither has any."""
    ours = _native.current()
    inside = getattr(span, "whence_context", None)  # a span of our provider
    if inside is not None:
        return (
            None if ours is not None and ours.span_id == inside.span_id else _native.enter(inside)
        )
    found = span.get_span_context() if isinstance(span, Span) else None
    if found is not None and found.is_valid:
        if ours is not None and ours.span_id == found.span_id:
            return None
        return _native.enter(context_around(found, ours))
    if ours is not None and ours.span_id:  # a new root: only the request goes on
        return _native.enter(Context(ours.request_id, ours.chain_id, ours.lineage_id))
    return None
