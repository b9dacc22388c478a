"""A span of ours behind OpenTelemetry's interface."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags, TraceState

from whence import _native
from whence._native import Context, SharedRing
from whence.integrations.exceptions import exception_attributes
from whence.integrations.otel.values import attributes_of, clean_text, monotonic_ns
from whence.integrations.plain_values import safe_text
from whence.model.severity import Severity

__all__ = ["Span", "record_event"]

_CODES = {StatusCode.UNSET: 0, StatusCode.OK: 1, StatusCode.ERROR: 2}
_EVENT_SLOTS = 10_000

_events = SharedRing(_EVENT_SLOTS)  # of all spans: they carry their own times


def record_event(
    context: Context,
    name: str,
    component: str,
    attributes: Mapping[str, Any],
    timestamp_ns: int | None = None,
    severity: Severity | None = None,
    rationale: str = "",
) -> None:
    """Record an event that happened within `context`, at a time of the clock that stamps events."""
    if name == "exception" and severity is None:
        severity = Severity.Error
        said = attributes.get("exception.message", "")
        rationale = f"{attributes.get('exception.type', 'exception')}: {said}".removesuffix(": ")
    entered = _native.enter(context)
    try:
        _events._record_built(
            name or "event",
            component,
            rationale,
            "",  # the request, chain and lineage are those of the context
            "",
            int(Severity.Info if severity is None else severity),
            0,
            attributes,
            "",
            "",
            (),
            "",
            0,
            _native.now_ns() if timestamp_ns is None else timestamp_ns,
            False,
        )
    finally:
        _native.leave(entered)


class Span(OtelSpan):
    """Recorded once, when it ends, into the ring of the thread that ends it.

    While it is open it stands in the table that `whence stats` and `recover` read. Each method may
    be called from any thread, by one at a time. After the end nothing changes it, silently.
    """

    __slots__ = ("_flags", "_ok", "_otel", "_span", "_state", "component")

    def __init__(self, span: _native.Span, component: str, flags: int, state: TraceState | None):
        self._span = span
        self._flags = flags
        self._state = state
        self._ok = False
        self._otel: SpanContext | None = None
        self.component = component

    @property
    def whence_context(self) -> Context | None:
        """The context of what happens inside."""
        return self._span.context

    def get_span_context(self) -> SpanContext:
        """Its ids, as OpenTelemetry has them."""
        if self._otel is None:
            span = self._span
            self._otel = SpanContext(
                int(span.trace_id, 16), span.span_id, False, TraceFlags(self._flags), self._state
            )
        return self._otel

    def is_recording(self) -> bool:
        """True until it ends."""
        return self._span.open

    def set_attribute(self, key: str, value: Any) -> None:
        """Add or replace one attribute; None takes none away and adds none."""
        if value is not None:
            self._span.set(**attributes_of({key: value}))

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Add or replace attributes."""
        self._span.set(**attributes_of(attributes))

    def add_event(
        self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
    ) -> None:
        """Record an event within this span, at once."""
        context = self._span.context
        if context is not None and self._span.open:
            when = monotonic_ns(timestamp) if timestamp is not None else None
            record_event(context, safe_text(name), self.component, attributes_of(attributes), when)

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        """Tie it to another span."""
        if context.trace_id:
            where = (f"{context.trace_id:032x}", context.span_id)
            self._span.link(where, **attributes_of(attributes))

    def update_name(self, name: str) -> None:
        """Rename it; the table of open spans keeps the first name until it ends."""
        self._span._rename(safe_text(name) or "span")

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Ok is final; nothing takes it back, as OpenTelemetry has it."""
        code = status.status_code if isinstance(status, Status) else status
        if isinstance(status, Status):
            description = status.description
        if code is not StatusCode.UNSET and not self._ok:
            self._ok = code is StatusCode.OK
            self._span._status(_CODES[code], clean_text(description))

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Record the exception as an event within this span."""
        found = exception_attributes(type(exception), exception, exception.__traceback__)
        found["exception.escaped"] = bool(escaped)
        self.add_event("exception", {**found, **(attributes or {})}, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """End and record it, once."""
        if end_time is None:
            self._span.end()
        else:
            self._span.end(end_ns=max(monotonic_ns(end_time), 1))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """As a `with` block without being current: an exception is noted, and goes on."""
        if error is not None and self.is_recording() and isinstance(error, Exception):
            self.record_exception(error, escaped=True)
            self.set_status(StatusCode.ERROR, f"{type(error).__name__}: {safe_text(error)}")
        self.end()
