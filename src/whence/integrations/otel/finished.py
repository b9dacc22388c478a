"""Records spans and log records that OpenTelemetry's SDK made, with their own ids and times."""

from __future__ import annotations

import json
import secrets
import threading
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind

from whence import _native
from whence._native import Context
from whence.emit import recorder
from whence.integrations.otel.span import record_event
from whence.integrations.otel.values import (
    attributes_of,
    links_of,
    monotonic_ns,
    severity_of,
    status_of,
)
from whence.integrations.plain_values import Plain, plain, safe_text
from whence.model.severity import Severity

__all__ = ["begin", "finish", "record_log", "record_resource", "record_span"]

MOST_RESOURCES = 1_000

_CODES = {"": 0, "ok": 1, "error": 2}

# By identity, since a resource's hash is slow: it, and what its spans carry of it.
_resources: dict[int, tuple[object, str]] = {}
_resources_lock = threading.Lock()


def begin(span: ReadableSpan, around: Context | None = None) -> _native.Span | None:
    """Show a span of the SDK as open; `finish` records it. None for one without ids.

    It belongs to the request of `around`, what is ambient where it begins, if that has one.
    """
    own = span.context
    if own is None or not own.is_valid:
        return None
    parent = Context(
        around.request_id if around is not None else "",
        around.chain_id if around is not None else "",
        around.lineage_id if around is not None else 0,
        trace_id=f"{own.trace_id:032x}",
        span_id=span.parent.span_id if span.parent is not None else 0,
        trace_flags=int(own.trace_flags) & 0xFF,
        tracestate=own.trace_state.to_header() if own.trace_state else "",
    )
    start_ns = max(monotonic_ns(span.start_time or 0), 1)
    return _native.begin_span(_name(span), _component(span), None, parent, start_ns, own.span_id)


def finish(began: _native.Span, span: ReadableSpan) -> None:
    """Record what `begin` showed, as the SDK has it at its end, and the events in it."""
    inside = began.context
    if inside is None:  # off
        return
    component = _component(span)
    values = attributes_of(span.attributes)
    scope = span.instrumentation_scope
    if scope is not None and scope.version:
        values["otel.scope.version"] = scope.version
    if span.kind is not SpanKind.INTERNAL:
        values["otel.span.kind"] = span.kind.name.lower()
    _add_counts(span, values)
    resource = record_resource(span.resource)
    if resource:
        values["otel.resource"] = resource
    began.set(**values)
    if began.name != _name(span):
        began._rename(_name(span))
    for trace_id, span_id, said in links_of(span.links):
        began.link((trace_id, span_id), **said)
    status, description = status_of(span.status)
    if status:
        began._status(_CODES[status], description)
    # by the start, not each by the clocks: times of one span keep their distances
    start_wall_ns = span.start_time or 0
    start_ns = began.start_ns
    for event in span.events:
        when = max(start_ns + (event.timestamp or start_wall_ns) - start_wall_ns, 1)
        record_event(inside, event.name, component, attributes_of(event.attributes), when)
    began.end(end_ns=max(start_ns + (span.end_time or start_wall_ns) - start_wall_ns, start_ns))


def record_span(span: ReadableSpan) -> None:
    """Record a finished span and the events in it.

    Ids, parent, times, attributes, links, status and the counts of what the SDK dropped are its
    own; the component is the instrumentation scope's name. Events become events of their own.
    """
    record_resource(span.resource)  # before the session exists, which it may describe
    began = begin(span)
    if began is not None:
        finish(began, span)


def record_log(found: Any) -> None:
    """Record a log record of the SDK as an event: in its trace and span, at its own time.

    The event's type is the record's event name, or `log_record`; the rationale is the body.
    """
    log, scope = found.log_record, found.instrumentation_scope
    values = attributes_of(log.attributes)
    resource = record_resource(found.resource)
    if resource:
        values["otel.resource"] = resource
    if getattr(found, "dropped_attributes", 0):
        values["otel.dropped_attributes_count"] = found.dropped_attributes
    number = getattr(log.severity_number, "value", log.severity_number)
    when = log.timestamp or log.observed_timestamp
    context = Context(
        "",
        trace_id=f"{log.trace_id:032x}" if log.trace_id else "",
        span_id=log.span_id or 0,
        trace_flags=int(log.trace_flags or 0) & 0xFF,
    )
    body = "" if log.body is None else log.body
    record_event(
        context,
        log.event_name or "log_record",
        (scope.name if scope is not None else "") or "opentelemetry",
        values,
        monotonic_ns(when) if when else None,
        severity_of(number),
        body if isinstance(body, str) else str(plain(body)),
    )


def record_resource(resource: Any) -> str:
    """What spans of this resource carry: "" where it is the session's own, else its id.

    The first resource describes the session, if that does not exist yet. Any other one is recorded
    once, as an event `otel_resource` with its attributes. Beyond 1,000 resources, which no program
    has but one that makes a provider per request, each is recorded each time.
    """
    if resource is None:
        return ""
    known = _resources.get(id(resource))
    if known is not None:
        return known[1]
    with _resources_lock:
        same = [said for other, said in _resources.values() if other == resource]
        carried = same[0] if same else _note(resource)
        if len(_resources) < MOST_RESOURCES:
            _resources[id(resource)] = (resource, carried)
    return carried


def _note(resource: Any) -> str:
    values = attributes_of(resource.attributes)
    if str(values.get("service.name", "")).startswith("unknown_service"):
        del values["service.name"]  # the script's name says more
    if not _resources and _native.session() is None:
        named = str(values.get("service.name", ""))
        if recorder.describe(named, {key: str(value) for key, value in values.items()}):
            return ""
    number = f"{secrets.randbits(32):08x}"
    record_event(
        Context(""),
        "otel_resource",
        "opentelemetry",
        {**values, "otel.resource": number},
        severity=Severity.Info,
        rationale=json.dumps(values, default=str)[:1000],
    )
    return number


def _name(span: ReadableSpan) -> str:
    return safe_text(span.name) or "span"


def _component(span: ReadableSpan) -> str:
    scope = span.instrumentation_scope
    return (scope.name if scope is not None else "") or "opentelemetry"


def _add_counts(span: ReadableSpan, values: dict[str, Plain]) -> None:
    for what in ("attributes", "events", "links"):
        count = getattr(span, f"dropped_{what}", 0)
        if count:
            values[f"otel.dropped_{what}_count"] = count
