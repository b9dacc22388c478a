"""OTLP requests of all shapes, and what a reader makes of them, in plain values."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from tests.receive.otlp.reference import RECEIVED, read_again
from whence.receive.otlp.requests import OtlpLimits, Received, RequestReader
from whence.store.columns import events_of

__all__ = ["logs", "read", "rows_of", "spans", "traces"]

TIMES = st.sampled_from([0, 1, 5]) | st.integers(0, 2**62)
texts = st.text(max_size=12)
names = st.sampled_from(["a", "b", "", "whence.json", "whence.given.x", "$x"]) | texts
scalars = st.one_of(
    st.builds(AnyValue),
    st.builds(AnyValue, string_value=texts),
    st.builds(AnyValue, bool_value=st.booleans()),
    st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1)),
    st.builds(AnyValue, double_value=st.floats()),
    st.builds(AnyValue, bytes_value=st.binary(max_size=7)),
)


def unique(pairs: list[KeyValue]) -> list[KeyValue]:
    """Each name once: what two of one name in a map come to is nobody's business."""
    return list({pair.key: pair for pair in pairs}.values())


values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(
            lambda found: AnyValue(array_value=ArrayValue(values=found))
        ),
        st.lists(st.builds(KeyValue, key=names, value=inner), max_size=3).map(
            lambda found: AnyValue(kvlist_value=KeyValueList(values=unique(found)))
        ),
    ),
    max_leaves=5,
)
pairs = st.lists(st.builds(KeyValue, key=names, value=values), max_size=4)
trace_ids = st.binary(min_size=16, max_size=16) | st.sampled_from([b"", b"short", b"\0" * 16])
span_ids = st.binary(min_size=8, max_size=8) | st.sampled_from([b"", b"\0" * 8, b"\1"])
counts = st.sampled_from([0, 0, 3])
events = st.builds(
    Span.Event,
    time_unix_nano=TIMES,
    name=st.sampled_from(["exception", ""]) | texts,
    attributes=pairs,
    dropped_attributes_count=counts,
)
links = st.builds(
    Span.Link,
    trace_id=trace_ids,
    span_id=span_ids,
    attributes=pairs,
    trace_state=st.sampled_from(["", "a=1"]),
)
spans = st.builds(
    Span,
    trace_id=trace_ids,
    span_id=span_ids,
    parent_span_id=span_ids,
    name=texts,
    kind=st.integers(0, 5),
    trace_state=st.sampled_from(["", "a=1"]),
    start_time_unix_nano=TIMES,
    end_time_unix_nano=TIMES,
    attributes=pairs,
    events=st.lists(events, max_size=2),
    links=st.lists(links, max_size=2),
    status=st.builds(Status, code=st.integers(0, 2), message=texts),
    flags=st.sampled_from([0, 1, 0x100, 0x301]),
    dropped_attributes_count=counts,
    dropped_events_count=counts,
    dropped_links_count=counts,
)
records = st.builds(
    LogRecord,
    time_unix_nano=TIMES,
    observed_time_unix_nano=TIMES,
    severity_number=st.integers(0, 24),
    severity_text=st.sampled_from(["", "INFO", "Warn", "notice"]),
    body=values,
    attributes=pairs,
    trace_id=trace_ids,
    span_id=span_ids,
    event_name=texts,
    dropped_attributes_count=counts,
)
scopes = st.builds(InstrumentationScope, name=texts, version=st.sampled_from(["", "1.2"]))
resources = st.builds(Resource, attributes=pairs)


def _request(kind: Any, resource: Any, scope: Any, name: str, record: Any) -> Any:
    many = st.lists(record, max_size=3)
    inner = st.lists(st.builds(scope, scope=scopes, **{name: many}), max_size=2)
    inside = "scope_spans" if name == "spans" else "scope_logs"
    outer = st.lists(st.builds(resource, resource=resources, **{inside: inner}), max_size=2)
    field = "resource_spans" if name == "spans" else "resource_logs"
    return st.builds(kind, **{field: outer})


traces = _request(ExportTraceServiceRequest, ResourceSpans, ScopeSpans, "spans", spans)
logs = _request(ExportLogsServiceRequest, ResourceLogs, ScopeLogs, "log_records", records)


def read(signal: str, body: bytes, **limits: int) -> Received:
    """By a clock that stands still."""
    return RequestReader(OtlpLimits(**limits), wall_ns=lambda: RECEIVED).read(signal, body)


def rows_of(received: Received) -> list[dict[str, Any]]:
    """The rows as the reference tells of them."""
    found = []
    for table, _ in received.parts:
        for event in events_of(table, {0: ""}):
            found.append(
                {
                    "ts_ns": event.timestamp.value_ns,
                    "duration_ns": event.duration.nanos,
                    "event_type": event.event_type,
                    "component": event.component,
                    "trace_id": event.trace_id,
                    "span_id": event.span_id,
                    "parent_span_id": event.parent_span_id,
                    "span": event.span,
                    "status": event.status,
                    "status_message": event.status_message,
                    "severity": int(event.severity),
                    "rationale": event.rationale,
                    "attributes": read_again(dict(event.attributes)),
                    "links": [(link.trace_id or "0" * 32, link.span_id) for link in event.links],
                }
            )
    return found
