"""Exporters for OpenTelemetry's SDK that record into the rings: OTEL_TRACES_EXPORTER=whence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry.context.context import Context as OtelContext
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace import SpanProcessor as SdkSpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter as SdkSpanExporter
from opentelemetry.sdk.trace.export import SpanExportResult

from whence.integrations.otel.ambient import install
from whence.integrations.otel.finished import record_log, record_span

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


class SpanProcessor(SdkSpanProcessor):
    """`provider.add_span_processor(SpanProcessor())`, for programs that build their own provider.

    Records each sampled span when it ends, in the thread that ends it: no queue, no thread of its
    own, no lock. Events recorded inside such spans belong to them. `failed` counts spans that could
    not be recorded.
    """

    def __init__(self) -> None:
        install()
        self.failed = 0

    def on_start(self, span: SdkSpan, parent_context: OtelContext | None = None) -> None:
        """Nothing: the SDK keeps what is open."""

    def on_end(self, span: ReadableSpan) -> None:
        """Record it; never raises."""
        try:
            if span.context is not None and span.context.trace_flags.sampled:
                record_span(span)
        except Exception:
            self.failed += 1

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True: what ended is in the session's files."""
        return True

    def shutdown(self) -> None:
        """Nothing waits here."""
