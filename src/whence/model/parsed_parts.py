"""Reads the parts of a recording but its events: what plain_parts wrote."""

from __future__ import annotations

from whence.model.json_fields import Fields
from whence.model.recording import (
    Anchor,
    Damage,
    FieldInfo,
    GateChange,
    KindCounts,
    KindInfo,
    OpenSpan,
    RingLedger,
    SessionInfo,
)
from whence.model.severity import Severity

__all__ = ["parsed_damage", "parsed_gate", "parsed_kind", "parsed_ring", "parsed_session"]


def parsed_session(fields: Fields, state: str) -> SessionInfo:
    """A session as exports hold it; `state` is not in the file."""
    return SessionInfo(
        name=fields.text("name"),
        uuid=fields.text("uuid"),
        key=fields.wide("key"),
        pid=fields.integer("pid"),
        service=fields.text("service"),
        run=fields.text("run"),
        boot_id=fields.text("boot_id"),
        started_wall_ns=fields.integer("started_wall_ns"),
        anchors=tuple(Anchor(*pair) for pair in fields.pairs("anchors", int, int)),
        live=fields.flag("live"),
        state=state,
        resource=_resource(fields.part("resource", {})),
        unnamed_kinds=fields.integer("unnamed_kinds", 0),
        memory_rings=fields.integer("memory_rings", 0),
    )


def _resource(fields: Fields) -> tuple[tuple[str, str], ...]:
    return tuple((name, fields.text(name)) for name in fields.names())


def parsed_kind(fields: Fields) -> KindInfo:
    """A kind as exports hold it."""
    return KindInfo(
        id=fields.integer("id"),
        name=fields.text("event_type"),
        component=fields.text("component"),
        decision=fields.flag("decision"),
        severity=Severity.from_name(fields.text("severity")),
        rationale=fields.text("rationale"),
        fields=tuple(FieldInfo(*pair) for pair in fields.pairs("fields", str, str)),
        otel_name=fields.text("otel_name", ""),
        source=fields.text("source", ""),
        session=fields.text("session", ""),
        span=fields.flag("span", False),
    )


def parsed_ring(fields: Fields) -> RingLedger:
    """The ledger of a ring as exports hold it."""
    return RingLedger(
        session=fields.text("session"),
        ring=fields.integer("ring"),
        capacity=fields.integer("capacity"),
        owners=fields.texts("owners"),
        recorded=fields.integer("recorded"),
        readable=fields.integer("readable"),
        lost=fields.integer("lost"),
        text_lost=fields.integer("text_lost"),
        truncated=fields.integer("truncated"),
        in_flight=fields.integer("in_flight"),
        cleared=fields.integer("cleared", 0),
        oldest_ns=fields.moment("oldest_ns"),
        newest_ns=fields.moment("newest_ns"),
        per_kind=fields.each("per_kind", _counts),
        open_spans=fields.each("open_spans", _open_span, []),
        open_spans_unseen=fields.integer("open_spans_unseen", 0),
    )


def _open_span(fields: Fields) -> OpenSpan:
    return OpenSpan(
        name=fields.text("event_type"),
        component=fields.text("component"),
        span_id=fields.hexadecimal("span_id"),
        parent_span_id=fields.hexadecimal("parent_span_id", "0"),
        start_ns=fields.integer("start_ns"),
        request_id=fields.text("request_id", ""),
        trace_id=fields.text("trace_id", ""),
        session=fields.text("session"),
        ring=fields.integer("ring"),
    )


def _counts(fields: Fields) -> KindCounts:
    return KindCounts(
        kind=fields.text("event_type"),
        component=fields.text("component"),
        recorded=fields.integer("recorded"),
        sampled_out=fields.integer("sampled_out", 0),
        throttled=fields.integer("throttled", 0),
        below_minimum=fields.integer("below_minimum", 0),
        rejected=fields.integer("rejected", 0),
        nested=fields.integer("nested", 0),
    )


def parsed_gate(fields: Fields) -> GateChange:
    """A change of a gate as exports hold it."""
    return GateChange(
        session=fields.text("session"),
        monotonic_ns=fields.integer("monotonic_ns"),
        kind=fields.text("event_type"),
        on=fields.flag("on"),
        rate=fields.number("rate", 1.0),
        minimum=fields.number("minimum") if fields.has("minimum") else None,
    )


def parsed_damage(fields: Fields) -> Damage:
    """A damaged file as exports hold it."""
    return Damage(fields.text("session"), fields.text("file"), fields.text("problem"))
