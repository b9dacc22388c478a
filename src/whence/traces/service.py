"""TraceService: traces with a lifecycle, recorded and asked in process; every call answers."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from whence import _native
from whence.model.errors import IdNotFound
from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.trace import Event, EventLevel, Trace, TraceStatus, TraceType, new_trace_id
from whence.query.engines.shapes import Budget
from whence.query.engines.traces import TraceFilter, TraceRow
from whence.traces.answers import answering
from whence.traces.handle import OpenTrace
from whence.traces.lives import Life, Lives
from whence.traces.options import TraceOptions
from whence.traces.rooms import Room, open_room
from whence.traces.values import (
    ended_event,
    nanos_of,
    recorded_event,
    started_event,
    timeout_in,
    trace_of,
    wall_ns_of,
)

__all__ = ["TraceService"]

Moment = datetime | str | int


class TraceService:
    """Traces, kept in a folder that any process may read, asked by whoever has the folder.

    `data_source` is a folder, "memory" or clickhouse://HOST/DATABASE, which is only read; `options`
    are those of TraceOptions. Raises what opening it does: AlreadyStarted where this process keeps
    another folder, NotAStore, TypeError and ValueError for options that make no sense. After that
    nothing raises: each call answers with a Result, whose `error` says what is wrong. Reads see all
    that was written before. Any thread. `clock` is wall time in nanoseconds.
    """

    def __init__(
        self,
        data_source: str | os.PathLike[str] = "./traces",
        *,
        clock: Callable[[], int] = time.time_ns,
        **options: Any,
    ) -> None:
        self.options = TraceOptions.of(options)
        self._clock = clock
        self._lives = Lives()
        self._room: Room = open_room(
            data_source,
            keep_days=self.options.retention_period_days,
            buffer_size=self.options.event_config.buffer_size,
            wait_s=self.options.wait_s,
        )

    @property
    def name(self) -> str:
        """Where the traces are kept; without a password."""
        return self._room.name

    # ---- writing

    @answering
    def create_trace(
        self,
        context_id: str = "",
        execution_id: str | None = None,
        trace_type: TraceType | str = TraceType.CUSTOM,
        name: str = "",
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Iterable[str] | None = None,
        *,
        timeout_ms: float | None = None,
    ) -> Trace:
        """Begins a trace. It is active until one of complete(), fail() and cancel().

        `metadata` may be nested. After `timeout_ms`, or else the option `trace_timeout_s`, it
        expires. InvalidArgument for a type that there is not, and values of the wrong type.
        """
        trace = Trace(
            trace_id=new_trace_id(),
            name=_text("name", name),
            trace_type=TraceType(trace_type),
            context_id=_text("context_id", context_id),
            execution_id=_text("execution_id", execution_id),
            description=_text("description", description),
            metadata=dict(metadata or {}),
            tags=_tags(tags),
            started_ns=self._clock(),
        )
        own_ns, timeout_ns = nanos_of(timeout_ms), self._timeout_ns
        since_ns = time.monotonic_ns()
        event = started_event(trace, own_ns, self.options.event_config.max_data_bytes)
        self._room.record(event)
        timeout_ns = timeout_ns if own_ns is None else own_ns
        self._lives.begin(Life(replace(trace), timeout_ns, since_ns))
        return trace

    @answering
    def record_event(
        self,
        trace_id: str,
        event_type: str,
        level: EventLevel | str = EventLevel.INFO,
        message: str | None = None,
        data: Mapping[str, Any] | None = None,
        timestamp: Moment | None = None,
        duration_ms: float | None = None,
        *,
        parent_event_id: str = "",
        component: str = "",
        model_id: str = "",
        request_id: str = "",
    ) -> Event:
        """Records an event of an active trace; about 20 us.

        `timestamp` is wall time: a datetime, its ISO text or whole nanoseconds. NotFound for a
        trace that there is not, Conflict for one that has ended, InvalidArgument for a level that
        there is not and values of the wrong type. An event below `min_level` is made and not kept.
        """
        configured = self.options.event_config
        self._active(trace_id := _trace_id(trace_id))
        context = _native.current()
        event = Event(
            event_type=event_type,
            trace_id=trace_id,
            level=EventLevel(level),
            message=_text("message", message),
            data=dict(data or {}),
            timestamp_ns=self._clock() if timestamp is None else wall_ns_of(timestamp),
            duration_ns=nanos_of(duration_ms),
            parent_event_id=_text("parent_event_id", parent_event_id),
            component=_text("component", component) or configured.component,
            model_id=_text("model_id", model_id),
            request_id=_text("request_id", request_id) or (context.request_id if context else ""),
        )
        if event.level.severity >= configured.min_level.severity:
            self._room.record(recorded_event(event, configured.max_data_bytes))
        return event

    @answering
    def complete(self, trace_id: str) -> Trace:
        """Ends a trace well, and answers with it, but for its events.

        Conflict for one that has ended, NotFound for one that there is not.
        """
        return self._end(trace_id, TraceStatus.COMPLETED, "")

    @answering
    def fail(self, trace_id: str, reason: str = "") -> Trace:
        """Ends a trace with an error; otherwise as complete()."""
        return self._end(trace_id, TraceStatus.FAILED, reason)

    @answering
    def cancel(self, trace_id: str, reason: str = "") -> Trace:
        """Ends a trace because somebody wished so; otherwise as complete()."""
        return self._end(trace_id, TraceStatus.CANCELLED, reason)

    def trace(
        self,
        name: str = "",
        *,
        type: TraceType | str = TraceType.CUSTOM,
        context_id: str = "",
        **more: Any,
    ) -> OpenTrace:
        """`with traces.trace("Project workflow", context_id="ctx-1") as t: t.event("step", n=1)`.

        The trace is completed at the end of the block, or failed by an exception, which is raised
        again. Inside it is the ambient trace: kinds and spans recorded there belong to it. `more`
        is what create_trace() takes.
        """
        return OpenTrace(self, name, trace_type=type, context_id=context_id, **more)

    # ---- reading

    @answering
    def get_trace_by_id(self, trace_id: str) -> Trace:
        """The trace with its events, as it is now. NotFound for one that there is not.

        BudgetExceeded for one of more events than `max_events`.
        """
        trace_id = _trace_id(trace_id)
        self._settle()
        with self._room.asking() as engine:
            row = _only(engine.traces(TraceFilter(trace_ids=(trace_id,)), limit=1).items, trace_id)
            budget = Budget(rows=self.options.event_config.max_events)
            found = engine.recording(TraceQuery(trace_id=trace_id), budget)
        return trace_of(row, found.events, found.wall_ns)

    @answering
    def flush(self, timeout_s: float | None = None) -> None:
        """Returns once all that was recorded before is stored; Unavailable says why it is not."""
        self._settle(timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Stores the rest, for at most that long, and gives back what is held."""
        self._room.close(timeout_s)

    def __enter__(self) -> Self:
        """The service itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes."""
        self.close()

    # ---- lives

    @property
    def _timeout_ns(self) -> int | None:
        seconds = self.options.trace_timeout_s
        return None if seconds is None else round(seconds * 1e9)

    def _settle(self, timeout_s: float | None = None) -> None:
        self._room.settle(self.options.wait_s if timeout_s is None else timeout_s)

    def _active(self, trace_id: str) -> Life:
        """The trace, which must be active; one that did not begin here is asked of the store."""
        return self._lives.find(trace_id) or self._stored_life(trace_id)

    def _stored_life(self, trace_id: str) -> Life:
        self._settle()
        with self._room.asking() as engine:
            row = _only(engine.traces(TraceFilter(trace_ids=(trace_id,)), limit=1).items, trace_id)
            query = TraceQuery(trace_id=trace_id, event_type="trace_started")
            began = engine.select(query, limit=1).events
        status = TraceStatus(row.status)
        if status is not TraceStatus.ACTIVE:
            self._lives.end(trace_id, status)
            self._lives.find(trace_id)  # says that it has ended
        return Life(trace_of(row, began, _no_time), self._timeout_of(began))

    def _timeout_of(self, began: Iterable[TraceEvent]) -> int | None:
        own = next((timeout_in(each) for each in began), None)
        return self._timeout_ns if own is None else own

    def _end(self, trace_id: str, status: TraceStatus, reason: str) -> Trace:
        """Records the end, and answers with the trace, but for its events."""
        life = self._active(trace_id := _trace_id(trace_id))
        now_ns = self._clock()
        lasted_ns = life.lasted_ns(now_ns, time.monotonic_ns())
        self._lives.end(trace_id, status)
        try:
            event = ended_event(trace_id, status, _text("reason", reason), now_ns, lasted_ns)
            self._room.record(event)
        except BaseException:
            self._lives.take_back(life)
            raise
        return replace(
            life.trace, status=status, reason=reason, ended_ns=now_ns, duration_ns=lasted_ns
        )


def _no_time(event: TraceEvent) -> None:
    return None


def _only(rows: Iterable[TraceRow], trace_id: str) -> TraceRow:
    for row in rows:
        return row
    raise IdNotFound(f"no trace is called {trace_id}")


def _trace_id(text: object) -> str:
    """A trace's id as it is kept; a UUID's spelling with dashes, or in capitals, is one, too."""
    if not isinstance(text, str):
        raise TypeError(f"trace_id must be str, not {type(text).__name__}")
    plain = text.replace("-", "").lower()
    with contextlib.suppress(ValueError):
        if len(plain) == 32 and int(plain, 16) and plain.isalnum():
            return plain
    raise ValueError(f"a trace id is 32 hexadecimal digits, not all 0, not {text!r}")


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")
    value.encode()  # half a surrogate pair is no text: ValueError
    return value


def _tags(tags: Iterable[str] | None) -> tuple[str, ...]:
    if isinstance(tags, str):
        raise TypeError("tags are several texts, not one")
    return tuple(_text("a tag", each) for each in tags or ())
