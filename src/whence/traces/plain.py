"""Traces as plain values for JSON, and back: times as integers in ns beside those for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whence.model.trace import Event, Trace, trace_with

__all__ = ["plain_event_value", "plain_summary", "plain_trace", "trace_from_plain"]

_TRACE = (
    "trace_id", "name", "trace_type", "context_id", "execution_id", "description", "status",
    "reason", "started_ns", "ended_ns", "duration_ns",
)  # fmt: skip
_EVENT = (
    "event_id", "trace_id", "event_type", "level", "message", "timestamp_ns", "duration_ns",
    "parent_event_id", "component", "model_id", "request_id", "failed",
)  # fmt: skip


def plain_trace(trace: Trace, *, events: bool = True, metrics: bool = False) -> dict[str, Any]:
    """The trace as JSON has it; `metrics` adds its summary."""
    ended = trace.completed_at
    plain: dict[str, Any] = {name: _text(getattr(trace, name)) for name in _TRACE}
    plain |= {
        "metadata": dict(trace.metadata),
        "tags": list(trace.tags),
        "started_at": trace.started_at.isoformat(),
        "completed_at": None if ended is None else ended.isoformat(),
        "duration_ms": trace.duration_ms,
    }
    if events:
        plain["events"] = [plain_event_value(each) for each in trace.events]
    if metrics:
        plain["summary"] = plain_summary(trace)
    return plain


def plain_event_value(event: Event) -> dict[str, Any]:
    """The event as JSON has it; its children are told by their parents' ids alone."""
    plain: dict[str, Any] = {name: _text(getattr(event, name)) for name in _EVENT}
    return plain | {
        "data": dict(event.data),
        "timestamp": event.timestamp.isoformat(),
        "duration_ms": event.duration_ms,
    }


def plain_summary(trace: Trace) -> dict[str, Any]:
    """The trace's figures as JSON has them."""
    summary = trace.generate_summary()
    return {
        "total_events": summary.total_events,
        "events_by_level": {str(level): n for level, n in summary.events_by_level.items()},
        "total_duration_ns": summary.total_duration_ns,
        "error_count": summary.error_count,
        "warning_count": summary.warning_count,
        "performance_metrics": {
            name: {
                "count": each.count,
                "last": each.last,
                "min": each.min,
                "max": each.max,
                "average": each.average,
                "unit": each.unit,
            }
            for name, each in summary.performance_metrics.items()
        },
    }


def trace_from_plain(plain: Mapping[str, Any]) -> Trace:
    """The trace that plain_trace() told of. Raises KeyError, TypeError, ValueError for others."""
    trace = Trace(
        **{name: plain[name] for name in _TRACE},
        metadata=plain["metadata"],
        tags=tuple(plain["tags"]),
    )
    events = (
        Event(**{name: each[name] for name in _EVENT}, data=each["data"])
        for each in plain.get("events", ())
    )
    return trace_with(trace, events)


def _text(value: object) -> object:
    return str(value) if isinstance(value, str) else value
