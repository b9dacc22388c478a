"""Exporters for OpenTelemetry's SDK that record into the rings: OTEL_TRACES_EXPORTER=whence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

from opentelemetry.context.context import Context as OtelContext
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace import SpanProcessor as SdkSpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter as SdkSpanExporter
from opentelemetry.sdk.trace.export import SpanExportResult

from whence import _native
from whence.integrations.otel.ambient import install
from whence.integrations.otel.finished import (
    begin,
    finish,
    record_log,
    record_resource,
    record_span,
)

__all__ = ["LogExporter", "SpanExporter", "SpanProcessor"]


class SpanExporter(SdkSpanExporter):
    """Records finished spans. Behind a batching processor they come late, in its thread; what waits
    there is lost if the process is killed. `SpanProcessor` records each span when it ends."""

    def __init__(self) -> None:
        install()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Record the spans; FAILURE if one could not be."""
        good = True
        for span in spans:
            try:
                record_span(span)
            except Exception:
                good = False
        return SpanExportResult.SUCCESS if good else SpanExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True: what was exported is in the session's files."""
        return True

    def shutdown(self) -> None:
        """Nothing waits here."""


class LogExporter(LogRecordExporter):
    """Records log records of the SDK."""

    def export(self, batch: Sequence[Any]) -> LogRecordExportResult:
        """Record them; FAILURE if one could not be."""
        good = True
        for found in batch:
            try:
                record_log(found)
            except Exception:
                good = False
        return LogRecordExportResult.SUCCESS if good else LogRecordExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True: what was exported is in the session's files."""
        return True

    def shutdown(self) -> None:
        """Nothing waits here."""


class _Open:
    """A span of ours, held by the span of the SDK that it shows."""

    __slots__ = ("__weakref__", "span")

    def __init__(self, span: _native.Span) -> None:
        self.span = span


class SpanProcessor(SdkSpanProcessor):
    """`provider.add_span_processor(SpanProcessor())`, for programs that build their own provider.

    Records each sampled span when it ends, in the thread that ends it: no queue, no thread of its
    own. While it is open it stands in the table of open spans, which outlives the process; one that
    nobody ends is recorded as abandoned when it is collected. Events recorded inside such spans
    belong to them. `failed` counts spans that could not be recorded.
    """

    def __init__(self) -> None:
        install()
        self.failed = 0
        self._open: WeakValueDictionary[tuple[int, int], _Open] = WeakValueDictionary()

    def on_start(self, span: SdkSpan, parent_context: OtelContext | None = None) -> None:
        """Show it as open; never raises."""
        try:
            own = span.get_span_context()
            if own is None or not own.trace_flags.sampled:
                return
            record_resource(span.resource)
            began = begin(span, _native.current())
            if began is not None:
                held = _Open(began)
                span._whence_open = held  # type: ignore[attr-defined]
                self._open[own.trace_id, own.span_id] = held
        except Exception:
            self.failed += 1

    def on_end(self, span: ReadableSpan) -> None:
        """Record it; never raises."""
        try:
            own = span.context
            if own is None or not own.trace_flags.sampled:
                return
            held = self._open.pop((own.trace_id, own.span_id), None)
            if held is not None:
                finish(held.span, span)
            else:
                record_span(span)
        except Exception:
            self.failed += 1

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True: what ended is in the session's files."""
        return True

    def shutdown(self) -> None:
        """Nothing waits here."""
