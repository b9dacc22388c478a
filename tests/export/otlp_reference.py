"""A plain OTLP encoder, with the official message classes: what the native one is held against."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import xxhash
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

import whence
from whence.collect.sink import Drained, Payload, Sink
from whence.export.conventions import ATTRIBUTES, COLUMNS, KINDS, SCHEMA_URL, TEXTS
from whence.export.otlp import resource_of
from whence.model.event import TraceEvent
from whence.model.recording import SessionInfo
from whence.model.severity import Severity

__all__ = ["any_value", "encode", "id_bytes", "in_base64", "log_payload", "span_id_of"]

NUMBERS = {
    Severity.Debug: 5,
    Severity.Info: 9,
    Severity.Warning: 13,
    Severity.Error: 17,
    Severity.Critical: 21,
}
MOST_LINKS = 128
INNER = {
    "gen_ai_model",
    "option.name",
    "option.chosen",
    "option.reason",
    "option.scores",
    "link.type",
    "link.trace_id",
    "link.span_id",
    "otel.span_kind",
    "otel.dropped_attributes",
    "otel.dropped_events",
    "otel.dropped_links",
}
OURS = {name for column, name in COLUMNS.items() if column not in INNER}
STATUS = {"ok": Status.STATUS_CODE_OK, "error": Status.STATUS_CODE_ERROR}


def encode(
    events: Iterable[TraceEvent],
    session: SessionInfo,
    *,
    otel_names: Mapping[str, str] | None = None,
    most_attributes: int = 128,
) -> tuple[ExportLogsServiceRequest, ExportTraceServiceRequest]:
    """The events of one session, in this order, as one request of each signal."""
    events = list(events)
    logs, traces = ExportLogsServiceRequest(), ExportTraceServiceRequest()
    by_id = {event.event_id: event for event in events}
    for event in events:
        spec = otel_names or {}
        if _lasts(event):
            group = traces.resource_spans or [traces.resource_spans.add()]
            scoped = group[0].scope_spans or [group[0].scope_spans.add()]
            scoped[0].spans.append(_span(event, session, by_id, spec, most_attributes))
        else:
            group = logs.resource_logs or [logs.resource_logs.add()]
            scoped = group[0].scope_logs or [group[0].scope_logs.add()]
            scoped[0].log_records.append(_log(event, session, spec, most_attributes))
    for group in (*logs.resource_logs, *traces.resource_spans):
        group.schema_url = SCHEMA_URL
        group.resource.attributes.extend(
            KeyValue(key=key, value=any_value(value)) for key, value in resource_of(session).items()
        )
        for scoped in group.scope_logs if hasattr(group, "scope_logs") else group.scope_spans:
            scoped.schema_url = SCHEMA_URL
            scoped.scope.name, scoped.scope.version = "whence", whence.__version__
    return logs, traces


def any_value(value: object) -> AnyValue:
    """A value of ours as OTLP has it: integers beyond 64 signed bits are text."""
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        if -(2**63) <= value < 2**63:
            return AnyValue(int_value=value)
        return AnyValue(string_value=str(value))
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, Mapping):
        pairs = [KeyValue(key=key, value=any_value(part)) for key, part in value.items()]
        return AnyValue(kvlist_value=KeyValueList(values=pairs))
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[any_value(part) for part in value]))
    return AnyValue(string_value=str(value))


def id_bytes(event_id: str) -> bytes:
    """An event's id as 16 bytes."""
    try:
        found = uuid.UUID(event_id)
    except ValueError:
        found = None
    if found is not None and str(found) == event_id:
        return found.bytes
    return xxhash.xxh3_128(event_id.encode()).digest()


def span_id_of(event: TraceEvent) -> int:
    """The id of the span that an event is; 0 of one that is none."""
    if not _lasts(event):
        return 0
    if event.span and event.span_id:
        return event.span_id
    return xxhash.xxh3_64(id_bytes(event.event_id)).intdigest() or 1


def in_base64(value: Any, key: str = "") -> Any:
    """Ids are hexadecimal in OTLP's JSON, where Protocol Buffers' own has base 64."""
    if isinstance(value, dict):
        return {name: in_base64(part, name) for name, part in value.items()}
    if isinstance(value, list):
        return [in_base64(part) for part in value]
    if key in ("traceId", "spanId", "parentSpanId"):
        assert len(value) in (16, 32)
        return base64.b64encode(bytes.fromhex(value)).decode()
    return value


def _lasts(event: TraceEvent) -> bool:
    return event.span or event.duration.nanos > 0


def _trace_of(event: TraceEvent) -> bytes:
    return bytes.fromhex(event.trace_id) if event.trace_id else id_bytes(event.event_id)


def _name(event: TraceEvent, otel_names: Mapping[str, str]) -> str:
    if event.event_type in otel_names:
        return otel_names[event.event_type]
    return event.event_type if event.span else "whence." + event.event_type.replace("_", ".")


def _log(
    event: TraceEvent, session: SessionInfo, otel_names: Mapping[str, str], most: int
) -> LogRecord:
    wall_ns = session.wall_ns(event.timestamp.value_ns) or 0
    record = LogRecord(
        time_unix_nano=wall_ns,
        observed_time_unix_nano=wall_ns,
        severity_number=NUMBERS[event.severity],  # type: ignore[arg-type]
        severity_text=event.severity.name,
        event_name=_name(event, otel_names),
    )
    if event.rationale:
        record.body.string_value = event.rationale
    if event.trace_id:
        record.flags = 1
        record.trace_id = bytes.fromhex(event.trace_id)
        if event.span_id:
            record.span_id = event.span_id.to_bytes(8, "big")
    said: dict[str, Any] = {}
    if event.duration.nanos:
        said["duration_ns"] = event.duration.nanos
    if event.links:
        said["links"] = [
            {
                "trace_id": link.trace_id or "0" * 32,
                "span_id": f"{link.span_id:016x}",
                **link.attributes,
            }
            for link in event.links
        ]
    if parents := _parents(event)[:MOST_LINKS]:
        said.setdefault("links", []).extend(
            {
                "trace_id": f"{parent:032x}",
                "span_id": f"{parent:016x}",
                "whence.link.type": "lineage_parent",
            }
            for parent in parents
        )
    record.dropped_attributes_count = _attributes(record, event, said, most)
    return record


def _span(
    event: TraceEvent,
    session: SessionInfo,
    by_id: Mapping[str, TraceEvent],
    otel_names: Mapping[str, str],
    most: int,
) -> Span:
    wall_ns = session.wall_ns(event.timestamp.value_ns) or 0
    lasted_ns = max(event.duration.nanos, 0)
    parent = event.parent_span_id if event.span else event.span_id
    span = Span(
        trace_id=_trace_of(event),
        span_id=span_id_of(event).to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=_name(event, otel_names),
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=wall_ns if event.span else max(wall_ns - lasted_ns, 0),
        end_time_unix_nano=wall_ns + lasted_ns if event.span else wall_ns,
        flags=1,
    )
    said: dict[str, Any] = {}
    if event.rationale:
        said["rationale"] = event.rationale
    if event.severity != Severity.Info:
        said["severity"] = event.severity.name
    span.dropped_attributes_count = _attributes(span, event, said, most)
    for link in event.links:
        attributes = [KeyValue(key=k, value=any_value(v)) for k, v in link.attributes.items()]
        span.links.add(
            trace_id=bytes.fromhex(link.trace_id or "0" * 32),
            span_id=link.span_id.to_bytes(8, "big"),
            attributes=attributes,
        )
    cause = by_id.get(event.caused_by)
    if cause is not None and cause.ring >= 0 and _is_derived(event.caused_by):
        target = span_id_of(cause) or (cause.span_id if cause.trace_id else 0)
        if target:
            _link(span, _trace_of(cause), target, "caused_by")
    if event.lineage_id:
        _link(span, event.lineage_id.to_bytes(16, "big"), event.lineage_id, "lineage")
    parents = _parents(event)
    span.dropped_links_count += max(len(parents) - MOST_LINKS, 0)
    for parent in parents[:MOST_LINKS]:
        _link(span, parent.to_bytes(16, "big"), parent, "lineage_parent")
    if event.status:
        span.status.code = STATUS[event.status]
        span.status.message = event.status_message
    return span


def _is_derived(event_id: str) -> bool:
    try:
        return uuid.UUID(event_id).version == 8
    except ValueError:
        return False


def _parents(event: TraceEvent) -> list[int]:
    text = event.attributes.get("parents")
    if event.event_type != "lineage_link" or not isinstance(text, str):
        return []
    if event.text_lost or event.truncated or not re.fullmatch("[0-9]+( [0-9]+)*", text):
        return []
    found = [int(each) for each in text.split(" ")]
    return found if all(0 < parent < 2**64 for parent in found) else []


def _link(span: Span, trace_id: bytes, span_id: int, kind: str) -> None:
    attribute = KeyValue(key="whence.link.type", value=AnyValue(string_value=kind))
    span.links.add(trace_id=trace_id, span_id=span_id.to_bytes(8, "big"), attributes=[attribute])


def _attributes(
    record: LogRecord | Span, event: TraceEvent, said: Mapping[str, Any], most: int
) -> int:
    """Writes all attributes; returns how many of the event's own were dropped."""
    own: dict[str, Any] = {}
    dropped = there = 0
    names = KINDS.get(event.event_type, {})
    for key, value in event.attributes.items():
        name = names.get(key) or ATTRIBUTES.get(key, key)
        if not name or name in OURS:
            dropped += 1
        elif (count := _has_place(record, name, value)) is not None:
            there += count
        elif name in own or len(own) < most:
            own[name] = str(value) if name in TEXTS and type(value) is int else value
        else:
            dropped += 1
    gen_ai = any(name.startswith("gen_ai.") for name in own)
    model = "gen_ai_model" if gen_ai and COLUMNS["gen_ai_model"] not in own else "model_id"
    columns: dict[str, Any] = {"event_type": event.event_type, "component": event.component}
    columns["decision"] = event.decision or None
    columns["event_id"] = event.event_id
    columns["request_id"] = event.request_id
    if event.decision_chain_id != event.request_id:
        columns["decision_chain_id"] = event.decision_chain_id
    columns[model] = event.model_id
    columns |= said
    columns["caused_by"] = event.caused_by
    columns["lineage_id"] = str(event.lineage_id) if event.lineage_id else ""
    columns["chosen"] = [option.name for option in event.options if option.chosen]
    columns["options"] = [
        {"name": option.name, "chosen": option.chosen}
        | ({"reason": option.reason} if option.reason else {})
        | ({"scores": option.scores} if option.scores else {})
        for option in event.options
    ]
    columns["weight"] = event.weight if event.weight != 1 else None
    columns["text_lost"] = event.text_lost or None
    columns["truncated"] = event.truncated or None
    columns = {name: value for name, value in columns.items() if value not in (None, "", [])}
    columns.setdefault("component", event.component)
    ours = {COLUMNS[column]: value for column, value in columns.items()}
    for name, value in (*ours.items(), *own.items()):
        record.attributes.append(KeyValue(key=name, value=any_value(value)))
    return dropped + there


def _has_place(record: LogRecord | Span, name: str, value: Any) -> int | None:
    """Puts what has a field of its own there; how many attributes it says were dropped."""
    counts = type(value) is int and 0 <= value < 2**31
    if counts and name == "otel.dropped_attributes_count":
        return int(value)
    if not isinstance(record, Span):
        return None
    if counts and name in ("otel.dropped_events_count", "otel.dropped_links_count"):
        setattr(record, name.removeprefix("otel."), value)
        return 0
    if name == "otel.span.kind" and value in (
        "internal",
        "server",
        "client",
        "producer",
        "consumer",
    ):
        record.kind = Span.SpanKind.Value(f"SPAN_KIND_{value.upper()}")
        return 0
    return None


def log_payload(sink: Sink, drained: Drained) -> Payload:
    """What a sink would send of the log records."""
    return next(payload for payload in sink.encode(drained) if payload.signal == "logs")
