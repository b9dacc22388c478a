"""Between traces as values and events as they are recorded and stored."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from whence.model.event import AttributeValue, TraceEvent
from whence.model.names import OWN_COMPONENT, TRACE_ENDED, TRACE_STARTED
from whence.model.nested import flat, whole
from whence.model.query import is_error
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp
from whence.model.trace import Event, EventLevel, Trace, TraceStatus, trace_with
from whence.query.engines.traces import TraceRow

__all__ = [
    "ended_event",
    "event_value",
    "nanos_of",
    "recorded_event",
    "started_event",
    "timeout_in",
    "trace_of",
    "wall_ns_of",
]

_METADATA = "metadata."
_TIMEOUT = "timeout_ns"
MOST_NS = 2**63 - 1
_TRIES = 5
_AT_ONCE_NS = 3_000


def started_event(trace: Trace, timeout_ns: int | None, most_bytes: int) -> TraceEvent:
    """The event that begins a trace, at its start."""
    attributes: dict[str, AttributeValue] = {
        "trace_name": trace.name,
        "trace_type": str(trace.trace_type),
        "context_id": trace.context_id,
    }
    if trace.execution_id:
        attributes["execution_id"] = trace.execution_id
    if trace.description:
        attributes["description"] = trace.description
    if trace.tags:
        attributes["tags"] = json.dumps(list(trace.tags))
    if timeout_ns is not None:
        attributes[_TIMEOUT] = timeout_ns
    more = {_METADATA + name: value for name, value in trace.metadata.items()}
    return TraceEvent(
        event_type=TRACE_STARTED,
        component=OWN_COMPONENT,
        timestamp=_moment(trace.started_ns),
        event_id=str(uuid.uuid4()),
        trace_id=trace.trace_id,
        attributes=attributes | flat(more, most_bytes=most_bytes),
    )


def ended_event(
    trace_id: str, status: TraceStatus, reason: str, at_ns: int, duration_ns: int
) -> TraceEvent:
    """The event that ends a trace."""
    failed = status in (TraceStatus.FAILED, TraceStatus.EXPIRED)
    return TraceEvent(
        event_type=TRACE_ENDED,
        component=OWN_COMPONENT,
        timestamp=_moment(at_ns),
        event_id=str(uuid.uuid4()),
        trace_id=trace_id,
        rationale=reason,
        duration=Duration(duration_ns),
        severity=Severity.Error if failed else Severity.Info,
        attributes={"trace_status": str(status)},
    )


def recorded_event(event: Event, most_bytes: int) -> TraceEvent:
    """An event of a trace as it is recorded."""
    return TraceEvent(
        event_type=event.event_type,
        component=event.component,
        timestamp=_moment(event.timestamp_ns),
        duration=Duration(event.duration_ns or 0),
        event_id=event.event_id,
        trace_id=event.trace_id,
        model_id=event.model_id,
        request_id=event.request_id,
        rationale=event.message,
        severity=event.level.severity,
        attributes=flat(event.data, most_bytes=most_bytes),
        caused_by=event.parent_event_id,
    )


def event_value(event: TraceEvent, wall_ns: int) -> Event:
    """A stored event as trace services tell of it."""
    return Event(
        event_type=event.event_type,
        event_id=event.event_id,
        trace_id=event.trace_id,
        level=EventLevel.of(event.severity),
        message=event.rationale or event.status_message,
        data=whole(event.attributes),
        timestamp_ns=wall_ns,
        duration_ns=event.duration.nanos or None,
        parent_event_id=event.caused_by,
        component=event.component,
        model_id=event.model_id,
        request_id=event.request_id,
        failed=is_error(event),
    )


def trace_of(
    row: TraceRow, events: Iterable[TraceEvent], wall_ns: Callable[[TraceEvent], int | None]
) -> Trace:
    """A stored trace: what its row says, with its events but those that begin and end it."""
    metadata: Mapping[str, Any] = {}
    reason, seen_start, seen_end = "", False, False
    values = []
    for each in events:
        if each.event_type == TRACE_STARTED:
            if not seen_start:
                metadata = _metadata_in(each)
            seen_start = True
        elif each.event_type == TRACE_ENDED:
            reason = reason if seen_end else each.rationale
            seen_end = True
        else:
            wall = wall_ns(each)
            values.append(event_value(each, each.timestamp.value_ns if wall is None else wall))
    trace = Trace(
        trace_id=row.trace_id,
        name=row.name,
        trace_type=row.trace_type,
        context_id=row.context_id,
        execution_id=row.execution_id,
        description=row.description,
        status=TraceStatus(row.status),
        reason=reason,
        metadata=metadata,
        tags=row.tags,
        started_ns=row.started_wall_ns,
        ended_ns=row.ended_wall_ns,
        duration_ns=row.duration_ns,
    )
    return trace_with(trace, values)


def timeout_in(started: TraceEvent) -> int | None:
    """How long that trace may be active, if it says so itself."""
    value = started.attributes.get(_TIMEOUT)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def wall_ns_of(moment: object) -> int:
    """A moment as wall time in ns: a datetime (UTC if it names no zone), its ISO text, or ns.

    Raises TypeError and ValueError.
    """
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    if isinstance(moment, datetime):
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        passed = aware - datetime(1970, 1, 1, tzinfo=UTC)
        return (passed.days * 86_400 + passed.seconds) * 10**9 + passed.microseconds * 1_000
    if isinstance(moment, int) and not isinstance(moment, bool):
        if not 0 <= moment <= MOST_NS:
            raise ValueError(f"{moment} is no wall time in nanoseconds since 1970")
        return moment
    raise TypeError(
        f"a moment is a datetime, its ISO text or whole nanoseconds, not {type(moment).__name__}"
    )


def nanos_of(milliseconds: object) -> int | None:
    """A duration in milliseconds as whole ns; None of None. Raises TypeError, ValueError."""
    if milliseconds is None:
        return None
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        raise TypeError(f"duration_ms must be a number, not {type(milliseconds).__name__}")
    if not 0 <= milliseconds <= MOST_NS / 1_000_000:
        raise ValueError(f"duration_ms must be 0 or more, not {milliseconds}")
    return round(milliseconds * 1_000_000)


def _metadata_in(started: TraceEvent) -> dict[str, Any]:
    found = whole(started.attributes)
    return {
        name.removeprefix(_METADATA): value
        for name, value in found.items()
        if name.startswith(_METADATA)
    }


def _moment(wall_ns: int) -> Timestamp:
    """By the clock that stamps events; a store turns it back, to within some microseconds."""
    own_ns = wall_ns + _ahead_ns()
    if own_ns < 0:
        raise ValueError(
            "that moment lies before this machine was started: what is older is imported"
        )
    return Timestamp(own_ns)


def _ahead_ns() -> int:
    """How far the clock that stamps events is ahead of wall time.

    Between two looks at one clock the other is read; where a thread was put aside in between, which
    would move the event past its neighbours, it is tried again.
    """
    best, ahead_ns = MOST_NS, 0
    for _ in range(_TRIES):
        before = Timestamp.now().value_ns
        wall_ns = time.time_ns()
        passed = Timestamp.now().value_ns - before
        if passed < best:
            best, ahead_ns = passed, before + passed // 2 - wall_ns
        if passed <= _AT_ONCE_NS:
            break
    return ahead_ns
