"""A trace as a value: a unit of work with a lifecycle, its events, and what they come to."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from whence.model.errors import IllegalTransition
from whence.model.severity import Severity
from whence.model.span import is_trace_id

__all__ = [
    "TRANSITIONS",
    "Event",
    "EventLevel",
    "MetricFigures",
    "Trace",
    "TraceStatus",
    "TraceSummary",
    "TraceType",
    "check_transition",
    "new_trace_id",
    "trace_with",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TraceType(StrEnum):
    """What sort of work a trace is."""

    WORKFLOW_EXECUTION = "workflow_execution"
    MODULE_OPERATION = "module_operation"
    API_REQUEST = "api_request"
    BACKGROUND_TASK = "background_task"
    CUSTOM = "custom"


class TraceStatus(StrEnum):
    """Where a trace is in its life: active, or ended in one of four ways."""

    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class EventLevel(StrEnum):
    """How serious an event of a trace is; `severity` is the same for events of all sorts."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def severity(self) -> Severity:
        """The severity of that level."""
        return Severity.from_level(self.value)

    @staticmethod
    def of(severity: Severity) -> EventLevel:
        """The level of that severity."""
        return EventLevel(severity.level_name())


TRANSITIONS: Mapping[TraceStatus, frozenset[TraceStatus]] = {
    TraceStatus.ACTIVE: frozenset(TraceStatus) - {TraceStatus.ACTIVE},
    **{ended: frozenset() for ended in TraceStatus if ended is not TraceStatus.ACTIVE},
}


def check_transition(now: TraceStatus, wanted: TraceStatus) -> None:
    """Raises IllegalTransition unless a trace may go from one status to the other."""
    if wanted not in TRANSITIONS[now]:
        raise IllegalTransition(
            f"a trace that is {now} cannot become {wanted}"
            + ("; one that has ended stays as it is" if not TRANSITIONS[now] else "")
        )


def new_trace_id() -> str:
    """32 hexadecimal digits that nobody had before: those of a random UUID."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of a trace, as trace services tell of it.

    `timestamp_ns` is wall time; left out, it is now. `duration_ns` is None of what took no time.
    `data` may be nested. All but `children` is fixed: add_child_event() adds to these. Two events
    are equal when all else about them is. Raises TypeError for a level that is no text, ValueError
    for one that there is not, and for an empty `event_type`.
    """

    event_type: str
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    trace_id: str = ""
    level: EventLevel = EventLevel.INFO
    message: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    timestamp_ns: int = field(default_factory=time.time_ns)
    duration_ns: int | None = None
    parent_event_id: str = ""
    component: str = ""
    model_id: str = ""
    request_id: str = ""
    failed: bool = False
    _children: list[Event] = field(default_factory=list, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.event_type, str) or not self.event_type:
            raise ValueError("an event needs an event_type, for example 'stage_started'")
        if not isinstance(self.level, str):
            raise TypeError(f"level must be a text, not {type(self.level).__name__}")
        object.__setattr__(self, "level", EventLevel(self.level))

    @property
    def timestamp(self) -> datetime:
        """The wall time in UTC, to the microsecond below; `timestamp_ns` is exact."""
        return _moment(self.timestamp_ns)

    @property
    def duration_ms(self) -> float | None:
        """How long it took in milliseconds; `duration_ns` is exact."""
        return _ms(self.duration_ns)

    @property
    def children(self) -> tuple[Event, ...]:
        """The events that name this one as their parent, as far as they were added to it."""
        return tuple(self._children)

    def is_error(self) -> bool:
        """Whether its level is error or critical, or it is a span that failed."""
        return self.failed or self.level in (EventLevel.ERROR, EventLevel.CRITICAL)

    def has_data(self) -> bool:
        """Whether it carries any data."""
        return bool(self.data)

    def get_formatted_message(self) -> str:
        """One line: time, level, type and message."""
        clock = self.timestamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = f"{clock} [{self.level.upper()}] {self.event_type}"
        return f"{line}: {' '.join(self.message.split())}" if self.message.strip() else line

    def add_child_event(self, event: Event) -> Event:
        """Puts the event beneath this one and returns it as it is there: of this trace and parent.

        Raises ValueError for an event of another trace, or this event itself.
        """
        if event.event_id == self.event_id:
            raise ValueError("an event is not beneath itself")
        if event.trace_id and self.trace_id and event.trace_id != self.trace_id:
            raise ValueError(f"that event is of trace {event.trace_id}, not {self.trace_id}")
        child = replace(event, trace_id=self.trace_id, parent_event_id=self.event_id)
        self._children.append(child)
        return child


@dataclass(frozen=True, slots=True)
class MetricFigures:
    """What the performance_metric events of one name in a trace come to."""

    count: int
    last: float
    min: float
    max: float
    average: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSummary:
    """A trace in figures; each is counted from its events, or None."""

    total_events: int
    events_by_level: Mapping[EventLevel, int]
    total_duration_ns: int | None
    error_count: int
    warning_count: int
    performance_metrics: Mapping[str, MetricFigures]

    @property
    def total_duration(self) -> float | None:
        """In milliseconds; `total_duration_ns` is exact."""
        return _ms(self.total_duration_ns)


@dataclass(slots=True, kw_only=True)
class Trace:
    """A unit of work, from its start to its end, with its events in the order of their time.

    A new one is active and has no events. complete(), fail(), cancel() and expire() end it, once:
    after that they raise IllegalTransition. Times are wall time in nanoseconds; `started_at`,
    `completed_at` and `duration_ms` are the same for people. What a service answers with is a copy:
    changing it changes nothing that is stored. A `trace_type` that is none of TraceType's, as
    traces from elsewhere may have, stays a text. One thread at a time changes a trace. Raises
    ValueError for a `trace_id` that is no trace id, and for a status that there is not.
    """

    trace_id: str = field(default_factory=new_trace_id)
    name: str = ""
    trace_type: TraceType | str = TraceType.CUSTOM
    context_id: str = ""
    execution_id: str = ""
    description: str = ""
    status: TraceStatus = TraceStatus.ACTIVE
    reason: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    started_ns: int = field(default_factory=time.time_ns)
    ended_ns: int | None = None
    duration_ns: int | None = None
    _events: list[Event] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        if not is_trace_id(self.trace_id):
            raise ValueError(f"trace_id is 32 hexadecimal digits, not {self.trace_id!r}")
        self.status = TraceStatus(self.status)
        with suppress(ValueError):
            self.trace_type = TraceType(self.trace_type)
        self.tags = tuple(self.tags)

    @property
    def events(self) -> tuple[Event, ...]:
        """Its events, the earliest first."""
        return tuple(self._events)

    @property
    def started_at(self) -> datetime:
        """When it began, in UTC."""
        return _moment(self.started_ns)

    @property
    def completed_at(self) -> datetime | None:
        """When it ended, however it did, in UTC; None while it is active."""
        return None if self.ended_ns is None else _moment(self.ended_ns)

    @property
    def duration_ms(self) -> float | None:
        """How long it took in milliseconds; None while it is active."""
        return _ms(self.duration_ns)

    def add_event(self, event: Event) -> Event:
        """Adds an event in its place and returns it as it is there: of this trace.

        Beneath its parent, too, where that is here. Raises IllegalTransition once the trace has
        ended, ValueError for an event of another trace or one that is here already.
        """
        if self.status is not TraceStatus.ACTIVE:
            raise IllegalTransition(f"a trace that is {self.status} takes no more events")
        if event.trace_id not in ("", self.trace_id):
            raise ValueError(f"that event is of trace {event.trace_id}, not {self.trace_id}")
        if any(each.event_id == event.event_id for each in self._events):
            raise ValueError(f"event {event.event_id} is in this trace already")
        made = event if event.trace_id else replace(event, trace_id=self.trace_id)
        at = len(self._events)
        while at and self._events[at - 1].timestamp_ns > made.timestamp_ns:
            at -= 1
        self._events.insert(at, made)
        for parent in self._events:
            if made.parent_event_id and parent.event_id == made.parent_event_id:
                parent._children.append(made)
        return made

    def complete(self, at_ns: int | None = None) -> None:
        """Ends it well, now or at that wall time."""
        self._end(TraceStatus.COMPLETED, "", at_ns)

    def fail(self, reason: str = "", at_ns: int | None = None) -> None:
        """Ends it with an error."""
        self._end(TraceStatus.FAILED, reason, at_ns)

    def cancel(self, reason: str = "", at_ns: int | None = None) -> None:
        """Ends it because somebody wished so."""
        self._end(TraceStatus.CANCELLED, reason, at_ns)

    def expire(self, reason: str = "", at_ns: int | None = None) -> None:
        """Ends it because it took too long."""
        self._end(TraceStatus.EXPIRED, reason, at_ns)

    def calculate_duration(self, now_ns: int | None = None) -> int:
        """Nanoseconds from its start to its end; of an active one up to now. At least 1.

        Less there is only where the wall clock was set back.
        """
        if self.duration_ns is not None:
            return self.duration_ns
        end_ns = self.ended_ns if self.ended_ns is not None else now_ns
        return max(1, (time.time_ns() if end_ns is None else end_ns) - self.started_ns)

    def get_events_by_type(self, event_type: str) -> tuple[Event, ...]:
        """Its events of that type."""
        return tuple(each for each in self._events if each.event_type == event_type)

    def get_events_by_level(self, level: EventLevel | str) -> tuple[Event, ...]:
        """Its events of exactly that level. Raises ValueError for one that there is not."""
        wanted = EventLevel(level)
        return tuple(each for each in self._events if each.level is wanted)

    def generate_summary(self) -> TraceSummary:
        """Its figures, counted now."""
        levels = Counter(each.level for each in self._events)
        return TraceSummary(
            total_events=len(self._events),
            events_by_level={level: levels[level] for level in EventLevel},
            total_duration_ns=self.duration_ns,
            error_count=sum(each.is_error() for each in self._events),
            warning_count=levels[EventLevel.WARN],
            performance_metrics=_metrics(self.get_events_by_type("performance_metric")),
        )

    def _end(self, status: TraceStatus, reason: str, at_ns: int | None) -> None:
        check_transition(self.status, status)
        self.ended_ns = time.time_ns() if at_ns is None else at_ns
        self.duration_ns = self.calculate_duration()
        self.status, self.reason = status, reason


def trace_with(trace: Trace, events: Iterable[Event]) -> Trace:
    """A copy of the trace, ended or not, with these events instead of its own, in their order."""
    found = list(events)
    known = {each.event_id: each for each in found}
    for each in found:
        if each.parent_event_id != each.event_id and (parent := known.get(each.parent_event_id)):
            parent._children.append(each)
    return replace(trace, _events=found)


def _metrics(events: Sequence[Event]) -> dict[str, MetricFigures]:
    values: dict[str, list[float]] = {}
    units: dict[str, str] = {}
    for each in events:
        name, value = each.data.get("metric_name"), each.data.get("metric_value")
        if isinstance(name, str) and isinstance(value, int | float):
            values.setdefault(name, []).append(value)
            units[name] = str(each.data.get("metric_unit") or "")
    return {
        name: MetricFigures(
            len(found), found[-1], min(found), max(found), sum(found) / len(found), units[name]
        )
        for name, found in values.items()
    }


def _moment(wall_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=wall_ns // 1_000)


def _ms(nanos: int | None) -> float | None:
    return None if nanos is None else nanos / 1_000_000
