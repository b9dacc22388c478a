"""What the rows of a request must be, said a second time: in Python, over others' messages."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

__all__ = ["log_rows", "span_rows"]

KINDS = ("", "internal", "server", "client", "producer", "consumer")
RECEIVED = 77


def value_of(value: AnyValue) -> Any:
    """The value in Python."""
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "array_value":
        return [value_of(each) for each in value.array_value.values]
    if which == "kvlist_value":
        return {each.key: value_of(each.value) for each in value.kvlist_value.values}
    return getattr(value, which)


def plain(value: Any) -> Any:
    """As it is kept in JSON."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        made = {name: plain(each) for name, each in value.items()}
        return {"$object": made} if len(made) == 1 and next(iter(made))[:1] == "$" else made
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    return value


def attributes_of(pairs: Any, cut: int = 0, **more: Any) -> dict[str, Any]:
    """The attributes of a row, JSON read again."""
    found: dict[str, Any] = {}
    as_json = []
    values = [(each.key, value_of(each.value)) for each in pairs]
    values += [(name.replace("__", "."), value) for name, value in more.items() if value]
    for given, value in values:
        ours = given in ("", "whence.json", "whence.cut") or given.startswith("whence.given.")
        name = "whence.given." + given if ours else given
        if name in found:
            cut += 1
        elif isinstance(value, bool | int | float | str):
            found[name] = value
        else:
            found[name] = json.dumps(plain(value))
            as_json.append(name)
    if as_json:
        found["whence.json"] = json.dumps(as_json)
    if cut:
        found["whence.cut"] = cut
    return read_again(found)


def read_again(attributes: dict[str, Any]) -> dict[str, Any]:
    """With JSON texts as values, so that spaces in them do not matter."""
    names = json.loads(attributes.get("whence.json", "[]"))
    return {
        name: json.loads(value) if name in (*names, "whence.json") else value
        for name, value in attributes.items()
    }


def span_rows(body: bytes) -> list[dict[str, Any]]:
    """The rows of a trace request: spans that have ids, each followed by its events."""
    request = ExportTraceServiceRequest.FromString(body)
    rows = []
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            said = {"otel__scope__version": scope.scope.version}
            component = scope.scope.name or "opentelemetry"
            for span in scope.spans:
                good = len(span.trace_id) == 16 and len(span.span_id) == 8
                if not good or not any(span.trace_id) or not any(span.span_id):
                    continue
                if len(span.parent_span_id) not in (0, 8):
                    continue
                rows.append(span_row(span, component, said))
                for event in span.events:
                    rows.append(event_row(event, span, component, said))
    return rows


def span_row(span: Any, component: str, said: dict[str, Any]) -> dict[str, Any]:
    start = span.start_time_unix_nano or span.end_time_unix_nano or RECEIVED
    end = span.end_time_unix_nano or start
    more = {
        **said,
        "otel__span__kind": KINDS[span.kind] if 1 < span.kind < 6 else "",
        "otel__trace_state": span.trace_state,
        "otel__parent_is_remote": bool(span.flags & 0x200),
        "otel__end_time_unix_nano": span.end_time_unix_nano
        if 0 < span.end_time_unix_nano < span.start_time_unix_nano
        else 0,
        "otel__dropped_attributes_count": span.dropped_attributes_count,
        "otel__dropped_events_count": span.dropped_events_count,
        "otel__dropped_links_count": span.dropped_links_count,
    }
    return {
        "ts_ns": start,
        "duration_ns": max(end - start, 0),
        "event_type": span.name or "span",
        "component": component,
        "trace_id": span.trace_id.hex(),
        "span_id": int.from_bytes(span.span_id, "big"),
        "parent_span_id": int.from_bytes(span.parent_span_id, "big"),
        "span": True,
        "status": {1: "ok", 2: "error"}.get(span.status.code, ""),
        "status_message": span.status.message,
        "severity": 1,
        "rationale": "",
        "attributes": attributes_of(span.attributes, cut_in_links(span.links), **more),
        "links": [
            (link.trace_id.hex(), int.from_bytes(link.span_id, "big"))
            for link in span.links
            if len(link.trace_id) == 16 and len(link.span_id) == 8
        ],
    }


def cut_in_links(links: Any) -> int:
    """Links without ids, and attributes of links that have the name of another one."""
    bad = sum(len(link.trace_id) != 16 or len(link.span_id) != 8 for link in links)
    names = [[each.key for each in link.attributes] for link in links]
    return bad + sum(len(each) - len(set(each)) for each in names)


def event_row(event: Any, span: Any, component: str, said: dict[str, Any]) -> dict[str, Any]:
    more = {**said, "otel__dropped_attributes_count": event.dropped_attributes_count}
    row = span_row(span, component, said)
    is_exception = event.name == "exception"
    told = {each.key: value_of(each.value) for each in reversed(event.attributes)}
    parts = [told.get("exception.type", "exception"), told.get("exception.message", "")]
    return row | {
        "ts_ns": event.time_unix_nano or span.start_time_unix_nano or RECEIVED,
        "duration_ns": 0,
        "event_type": event.name or "event",
        "parent_span_id": 0,
        "span": False,
        "status": "",
        "status_message": "",
        "severity": 3 if is_exception else 1,
        "rationale": ": ".join(filter(None, parts)) if is_exception else "",
        "attributes": attributes_of(event.attributes, **more),
        "links": [],
    }


def log_rows(body: bytes) -> list[dict[str, Any]]:
    """The rows of a logs request."""
    request = ExportLogsServiceRequest.FromString(body)
    rows = []
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                if len(record.trace_id) in (0, 16) and len(record.span_id) in (0, 8):
                    rows.append(log_row(record, scope.scope))
    return rows


def log_row(record: Any, scope: Any) -> dict[str, Any]:
    number = record.severity_number
    body = value_of(record.body)
    usual = ["trace", "debug", "info", "warn", "warning", "error", "fatal", "critical"]
    odd = record.severity_text.lower() not in ["", *usual]
    time, observed = record.time_unix_nano, record.observed_time_unix_nano
    more = {
        "otel__scope__version": scope.version,
        "otel__severity_text": record.severity_text if odd else "",
        "otel__observed_time_unix_nano": observed if time and observed != time else 0,
        "otel__dropped_attributes_count": record.dropped_attributes_count,
    }
    pairs = list(record.attributes)
    if body is not None and not isinstance(body, str):
        pairs.append(KeyValue(key="otel.body", value=record.body))
    attributes = attributes_of(pairs, **more)
    return {
        "ts_ns": time or observed or RECEIVED,
        "duration_ns": 0,
        "event_type": record.event_name or "log_record",
        "component": scope.name or "opentelemetry",
        "trace_id": record.trace_id.hex().replace("0" * 32, ""),
        "span_id": int.from_bytes(record.span_id, "big"),
        "parent_span_id": 0,
        "span": False,
        "status": "",
        "status_message": "",
        "severity": min(max((number - 5) // 4, 0), 4) if number else 1,
        "rationale": body if isinstance(body, str) else "",
        "attributes": attributes,
        "links": [],
    }
