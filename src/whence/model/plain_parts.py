"""The parts of a recording but its events as JSON holds them: sessions, kinds, rings, gates."""

from __future__ import annotations

import math
from typing import Any

from whence.model.recording import Damage, GateChange, KindInfo, OpenSpan, RingLedger, SessionInfo

__all__ = [
    "plain_damage",
    "plain_gate",
    "plain_kind",
    "plain_number",
    "plain_ring",
    "plain_session",
    "plain_span_id",
]


def plain_session(session: SessionInfo) -> dict[str, Any]:
    """A session as exports hold it."""
    missing = {"unnamed_kinds": session.unnamed_kinds, "memory_rings": session.memory_rings}
    found: dict[str, Any] = {
        "name": session.name,
        "uuid": session.uuid,
        "key": str(session.key),
        "pid": session.pid,
        "service": session.service,
        "run": session.run,
        "boot_id": session.boot_id,
        "started_wall_ns": session.started_wall_ns,
        "anchors": [[anchor.monotonic_ns, anchor.wall_ns] for anchor in session.anchors],
        "live": session.live,
    }
    if session.resource:
        found["resource"] = dict(session.resource)
    return found | {name: count for name, count in missing.items() if count}


def plain_kind(kind: KindInfo) -> dict[str, Any]:
    """A kind as exports hold it."""
    return (
        {
            "id": kind.id,
            "event_type": kind.name,
            "component": kind.component,
            "decision": kind.decision,
            "severity": kind.severity.name,
            "rationale": kind.rationale,
            "fields": [[field.name, field.type] for field in kind.fields],
            "otel_name": kind.otel_name,
            "source": kind.source,
        }
        | ({"session": kind.session} if kind.session else {})
        | ({"span": True} if kind.span else {})
    )


def plain_ring(ring: RingLedger) -> dict[str, Any]:
    """The ledger of a ring as exports hold it."""
    counts = ("recorded", "sampled_out", "throttled", "below_minimum", "rejected", "nested")
    per_kind = [
        {"event_type": row.kind, "component": row.component}
        | {name: getattr(row, name) for name in counts}
        for row in ring.per_kind
    ]
    return {
        "session": ring.session,
        "ring": ring.ring,
        "capacity": ring.capacity,
        "owners": list(ring.owners),
        "recorded": ring.recorded,
        "readable": ring.readable,
        "lost": ring.lost,
        "cleared": ring.cleared,
        "text_lost": ring.text_lost,
        "truncated": ring.truncated,
        "in_flight": ring.in_flight,
        "oldest_ns": ring.oldest_ns,
        "newest_ns": ring.newest_ns,
        "per_kind": per_kind,
    } | _open_spans(ring)


def _open_spans(ring: RingLedger) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if ring.open_spans:
        found["open_spans"] = [_open_span(span) for span in ring.open_spans]
    if ring.open_spans_unseen:
        found["open_spans_unseen"] = ring.open_spans_unseen
    return found


def _open_span(span: OpenSpan) -> dict[str, Any]:
    more = {
        "parent_span_id": plain_span_id(span.parent_span_id),
        "request_id": span.request_id,
        "trace_id": span.trace_id,
    }
    return {
        "event_type": span.name,
        "component": span.component,
        "span_id": plain_span_id(span.span_id),
        "start_ns": span.start_ns,
        "session": span.session,
        "ring": span.ring,
    } | {name: value for name, value in more.items() if value}


def plain_gate(change: GateChange) -> dict[str, Any]:
    """A change of a gate as exports hold it."""
    return {
        "session": change.session,
        "monotonic_ns": change.monotonic_ns,
        "event_type": change.kind,
        "on": change.on,
    } | {
        name: value
        for name, value in (("rate", change.rate), ("minimum", _plain_minimum(change.minimum)))
        if value not in (1.0, None)
    }


def plain_damage(damage: Damage) -> dict[str, Any]:
    """A damaged file as exports hold it."""
    return {"session": damage.session, "file": damage.file, "problem": damage.problem}


def _plain_minimum(minimum: float | None) -> float | str | None:
    return None if minimum is None else plain_number(minimum)


def plain_number(value: float) -> float | str:
    """The number, or its name where JSON has no such number."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def plain_span_id(span_id: int) -> str:
    """A span's id as W3C writes it: 16 hexadecimal digits; "" for none."""
    return f"{span_id:016x}" if span_id else ""
