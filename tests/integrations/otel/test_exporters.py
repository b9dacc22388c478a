"""Spans and logs that OpenTelemetry's own SDK made, recorded with their own ids and times."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.apps import AppRun
from tests.own_events import OwnEvents
from whence.emit.request import current, request
from whence.model.event import TraceEvent
from whence.model.severity import Severity

pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry's SDK is not installed")

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
    InMemorySpanExporter,
)

from whence.otel import LogExporter, SpanExporter, SpanProcessor

RESOURCE = Resource({"service.name": "tests", "n": 3, "list": ["a"]})


def spans_of(events: list[TraceEvent]) -> dict[str, TraceEvent]:
    """The spans by name."""
    return {event.event_type: event for event in events if event.span}


def test_a_finished_span_is_recorded_as_the_sdk_has_it(recorded: OwnEvents) -> None:
    """Ids, parent, times, attributes of every type, events, links, status, counts. R5.17"""
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=RESOURCE, span_limits=SpanLimits(max_events=1))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    provider.add_span_processor(SimpleSpanProcessor(SpanExporter()))
    tracer = provider.get_tracer("scope", "2.0")
    with tracer.start_as_current_span("parent") as parent:
        link = trace.Link(parent.get_span_context(), {"n": 1})
        with tracer.start_as_current_span(
            "child", links=[link], kind=trace.SpanKind.CLIENT
        ) as span:
            span.set_attributes({"i": 1, "f": 1.5, "b": True, "s": "x", "seq": (1, 2)})
            span.add_event("dropped")
            span.add_event("happened", {"k": "v"})
            span.set_status(trace.StatusCode.ERROR, "no luck")
    events = recorded()
    found = spans_of(events)
    for made in kept.get_finished_spans():
        event = found[made.name]
        assert made.context is not None
        assert made.start_time is not None
        assert made.end_time is not None
        assert event.trace_id == f"{made.context.trace_id:032x}"
        assert event.span_id == made.context.span_id
        assert event.parent_span_id == (made.parent.span_id if made.parent else 0)
        assert event.duration.nanos == made.end_time - made.start_time
        assert event.component == "scope"
    child = found["child"]
    attributes = dict(child.attributes)
    attributes.pop("otel.resource", "")  # where another test's resource came first
    assert attributes == {
        "i": 1,
        "f": 1.5,
        "b": True,
        "s": "x",
        "seq": "[1, 2]",
        "otel.scope.version": "2.0",
        "otel.span.kind": "client",
        "otel.dropped_events_count": 1,
    }
    assert (child.status, child.status_message) == ("error", "no luck")
    assert [link.span_id for link in child.links] == [found["parent"].span_id]
    (happened,) = [event for event in events if event.event_type == "happened"]
    assert (happened.trace_id, happened.span_id) == (child.trace_id, child.span_id)
    assert child.timestamp <= happened.timestamp <= child.timestamp + child.duration


def test_another_resource_is_recorded_once_and_named_by_its_spans(recorded: OwnEvents) -> None:
    """Two providers of one process can be told apart. R5.17"""
    for n in range(2):
        provider = TracerProvider(resource=Resource({"service.name": f"other-{n}"}))
        provider.add_span_processor(SpanProcessor())
        for _ in range(2):
            provider.get_tracer("x").start_span(f"of-{n}").end()
    events = recorded()
    resources = [event for event in events if event.event_type == "otel_resource"]
    by_number = {event.attributes["otel.resource"]: event for event in resources}
    assert len(by_number) == len(resources)
    for event in events:
        number = event.attributes.get("otel.resource")
        if event.span and number is not None:
            assert by_number[number].attributes["service.name"] == event.event_type.replace(
                "of", "other"
            )


def test_what_happens_inside_a_span_of_the_sdk_belongs_to_it(recorded: OwnEvents) -> None:
    """Our context follows theirs, request and all. R5.17"""
    from whence import _native

    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(SpanProcessor())
    with request("req-sdk"), provider.get_tracer("x").start_as_current_span("theirs") as span:
        assert current().span_id == span.get_span_context().span_id
        _native.begin_span("ours", "App").end()
    found = spans_of(recorded())
    assert found["ours"].parent_span_id == found["theirs"].span_id
    assert found["ours"].trace_id == found["theirs"].trace_id
    assert found["ours"].request_id == found["theirs"].request_id == "req-sdk"
    assert f"{span.get_span_context().trace_id:032x}" == found["theirs"].trace_id


def test_the_processor_starts_no_thread_and_flushes_truly(recorded: OwnEvents) -> None:
    """Each span is recorded in the thread that ends it, before end() returns. R5.17"""
    before = threading.active_count()
    provider = TracerProvider(resource=RESOURCE)
    processor = SpanProcessor()
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("x")
    for n in range(20):
        tracer.start_span(f"s{n}").end()
        assert f"s{n}" in spans_of(recorded())
    assert provider.force_flush()
    provider.shutdown()
    assert threading.active_count() == before
    assert processor.failed == 0


def test_hostile_spans_do_not_raise(recorded: OwnEvents) -> None:
    """Odd names, texts and times are recorded as well as they can be. R5.17"""
    provider = TracerProvider(resource=RESOURCE)
    processor = SpanProcessor()
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("")
    span = tracer.start_span("")
    span.set_attribute("odd", "\ud800\x00\x1b[31m")
    span.set_status(trace.StatusCode.ERROR, "\ud800\x00 bad")
    span.add_event("", {"e": 1})
    span.end()
    tracer.start_span("n" * 5000, start_time=1).end(0)
    assert processor.failed == 0
    found = spans_of(recorded())
    assert found["span"].status_message == "\\ud800 bad"
    assert len(found) == 2


def test_an_exporter_tells_of_what_it_could_not_record() -> None:
    """SUCCESS means recorded. R5.17"""
    broken = ReadableSpan("x", context=trace.SpanContext(1, 2, False))
    broken._attributes = 7  # type: ignore[assignment]
    assert SpanExporter().export([broken]) is SpanExportResult.FAILURE
    assert SpanExporter().export([]) is SpanExportResult.SUCCESS


def test_logs_of_the_sdk_are_events_in_their_span(recorded: OwnEvents) -> None:
    """Body, severity, time, trace, span, attributes and event name. R5.17 R5.19"""
    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(SimpleLogRecordProcessor(LogExporter()))
    logger = provider.get_logger("scope")
    tracing = TracerProvider(resource=RESOURCE)
    with tracing.get_tracer("x").start_as_current_span("around") as span:
        logger.emit(
            LogRecord(
                body="spoken",
                severity_number=SeverityNumber.WARN,
                attributes={"n": 1},
                event_name="said",
            )
        )
        logger.emit(LogRecord(body={"a": [1]}, severity_number=SeverityNumber.FATAL))
    first, second = (e for e in recorded() if e.event_type != "otel_resource")
    assert (first.event_type, first.rationale, first.component) == ("said", "spoken", "scope")
    assert (first.severity, second.severity) == (Severity.Warning, Severity.Critical)
    assert first.attributes["n"] == 1
    assert first.span_id == span.get_span_context().span_id
    assert first.trace_id == f"{span.get_span_context().trace_id:032x}"
    assert (second.event_type, second.rationale) == ("log_record", '{"a": [1]}')


def test_opentelemetry_instrument_needs_only_the_environment(
    run_app: Callable[..., AppRun], installed: dict[str, str], tmp_path: Path
) -> None:
    """OTEL_TRACES_EXPORTER=whence under opentelemetry-instrument: nothing to change. R5.17"""
    pytest.importorskip("opentelemetry.distro", reason="opentelemetry-distro is not installed")
    script = tmp_path / "service.py"
    script.write_text(
        "from opentelemetry import trace\n"
        "with trace.get_tracer('app').start_as_current_span('unchanged'): pass\n"
    )
    run = run_app(
        f"""
        import sys
        from opentelemetry.instrumentation.auto_instrumentation import run
        sys.argv = ["opentelemetry-instrument", sys.executable, {str(script)!r}]
        run()
        """,
        env={
            **installed,
            "OTEL_TRACES_EXPORTER": "whence",
            "OTEL_LOGS_EXPORTER": "whence",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_SERVICE_NAME": "shop",
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        },
    )
    recording = run.recording()
    assert "unchanged" in spans_of(list(recording.events)), run.stderr
    assert recording.sessions[0].service == "shop"


def test_a_span_of_the_sdk_that_is_open_when_the_process_dies_is_shown_as_open(
    run_app: Callable[..., AppRun],
) -> None:
    """With the processor, long work can be seen before it ends. R5.17 R5.1"""
    run = run_app(
        """
        import os
        from opentelemetry.sdk.trace import TracerProvider
        from whence.otel import SpanProcessor
        provider = TracerProvider()
        provider.add_span_processor(SpanProcessor())
        tracer = provider.get_tracer("app")
        with tracer.start_as_current_span("long work"), tracer.start_as_current_span("done"):
            pass
        kept = tracer.start_span("unfinished")
        os.kill(os.getpid(), 9)
        """,
        fails=True,
    )
    recording = run.recording()
    assert recording.sessions[0].service == "app.py"  # nobody gave the service a name
    assert {"long work", "done"} == set(spans_of(list(recording.events)))
    assert [span.name for ring in recording.rings for span in ring.open_spans] == ["unfinished"]


def test_a_span_that_nobody_ends_is_recorded_as_abandoned(recorded: OwnEvents) -> None:
    """It is not kept for ever either. R5.17"""
    provider = TracerProvider(resource=RESOURCE)
    processor = SpanProcessor()
    provider.add_span_processor(processor)
    span = provider.get_tracer("x").start_span("forgotten")
    assert len(processor._open) == 1
    del span
    gc.collect()
    assert len(processor._open) == 0
    assert spans_of(recorded())["forgotten"].attributes["abandoned"] is True
