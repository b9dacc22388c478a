"""What records traces: begins them, takes their events, ends them, once each."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from whence import _native
from whence.model.errors import IdNotFound, IllegalTransition, NotStored
from whence.model.event import TraceEvent
from whence.model.names import TRACE_STARTED
from whence.model.query import TraceQuery
from whence.model.trace import Event, EventLevel, Trace, TraceStatus, TraceType, new_trace_id
from whence.query.engines.engine import Engine
from whence.query.engines.traces import TraceFilter, TraceRow
from whence.traces.answers import answering
from whence.traces.elsewhere import Elsewhere
from whence.traces.lives import Life, Lives
from whence.traces.options import TraceOptions
from whence.traces.questions import ended_before
from whence.traces.repeats import Repeats
from whence.traces.rooms import Room, open_room
from whence.traces.stirring import Stirring
from whence.traces.values import (
    ended_event,
    nanos_of,
    recorded_event,
    started_event,
    timeout_in,
    trace_of,
    wall_ns_of,
)
from whence.traces.watching import Watching
from whence.watch.ending import end_at_exit

if TYPE_CHECKING:
    from whence.watch.metrics.collecting import MetricsCollection

__all__ = ["TraceRecording", "one_row", "text_of", "trace_id_of"]

Moment = datetime | str | int
T = TypeVar("T")
DAY_NS = 86_400_000_000_000
MOST_EXPIRED = 1_000  # of other processes, at once


class TraceRecording:
    """The half of a trace service that writes. See whence.TraceService."""

    def __init__(
        self,
        data_source: str | os.PathLike[str] = "./traces",
        *,
        clock: Callable[[], int] = time.time_ns,
        **options: Any,
    ) -> None:
        self.options = TraceOptions.of(options)
        self._clock = clock
        self.pid = os.getpid()
        self._lives = Lives()
        self._room: Room = open_room(
            data_source,
            keep_days=self.options.retention_period_days,
            buffer_size=self.options.event_config.buffer_size,
            wait_s=self.options.wait_s,
        )
        self._repeats: Repeats | None = None
        if self.options.enable_event_aggregation:
            window_ns = round(self.options.metrics_config.aggregation_window * 1_000_000)
            self._repeats = Repeats(window_ns, self._record)
        self._watching = Watching(self._room)
        self._collection: MetricsCollection | None = None
        if self.options.enable_metrics_collection:
            from whence.traces.measuring import collection_of  # which loads numpy

            self._collection = collection_of(self._room, self.options.metrics_config, clock)
            if self._room.writable:
                self._collection.start()
        self._elsewhere = Elsewhere(Stirring(self._room, lambda: self._own_ring))
        if self.options.enable_real_time_monitoring and self._room.writable:
            self._watching.expire(self)
        self._not_at_exit = end_at_exit(self.close)

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
            name=text_of("name", name),
            trace_type=TraceType(trace_type),
            context_id=text_of("context_id", context_id),
            execution_id=text_of("execution_id", execution_id),
            description=text_of("description", description),
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
        """Records an event of an active trace; some tens of microseconds.

        `timestamp` is wall time: a datetime, its ISO text or whole nanoseconds. NotFound for a
        trace that there is not, Conflict for one that has ended, InvalidArgument for a level that
        there is not and values of the wrong type. An event below `min_level` is made and not kept.
        """
        configured = self.options.event_config
        self._active(trace_id := trace_id_of(trace_id))
        context = _native.current()
        event = Event(
            event_type=event_type,
            trace_id=trace_id,
            level=EventLevel(level),
            message=text_of("message", message),
            data=dict(data or {}),
            timestamp_ns=self._clock() if timestamp is None else wall_ns_of(timestamp),
            duration_ns=nanos_of(duration_ms),
            parent_event_id=text_of("parent_event_id", parent_event_id),
            component=text_of("component", component) or configured.component,
            model_id=text_of("model_id", model_id),
            request_id=text_of("request_id", request_id) or (context.request_id if context else ""),
        )
        if event.level.severity >= configured.min_level.severity:
            if self._repeats is None:
                self._record(event)
            else:
                self._repeats.add(event)
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

    @answering
    def expire_overdue(self) -> int:
        """Ends the traces that have been active longer than they may; how many.

        Those of other processes by whoever owns the store. Reads and real-time monitoring do it
        by themselves.
        """
        ended = self._expire(self._lives.overdue(self._clock()))
        return ended + (self._expire(self._overdue_elsewhere()) if self._room.owns else 0)

    @answering
    def flush(self, timeout_s: float | None = None) -> None:
        """Returns once all that was recorded before is stored; Unavailable says why it is not."""
        self._settle(timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Stores the rest, for at most that long, and gives back what is held.

        The end of the program does it, too. May come twice.
        """
        if os.getpid() != self.pid:
            return
        self._not_at_exit()
        self._watching.close(timeout_s)
        if self._collection is not None:
            self._collection.stop(timeout_s)
        if self._repeats is not None:
            with contextlib.suppress(NotStored):
                self._repeats.tell()
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

    def _expire(self, lives: Iterable[Life]) -> int:
        ended = 0
        for life in lives:
            with contextlib.suppress(IllegalTransition):  # somebody was quicker
                after_s = (life.timeout_ns or 0) / 1e9
                self._record_end(life, TraceStatus.EXPIRED, f"active for more than {after_s:g} s")
                ended += 1
        return ended

    @property
    def _own_ring(self) -> int | None:
        """The ring that our own metrics go to."""
        return None if self._collection is None else self._collection.ring

    def _overdue_elsewhere(self) -> list[Life]:
        """Those that the store has, which did not begin in this service."""
        now_ns = self._clock()
        self._settle()
        if not self._elsewhere.may_be_overdue(now_ns):
            return []
        asked = TraceFilter(statuses=(TraceStatus.ACTIVE.value,), started_before_ns=now_ns)
        with self._room.asking() as engine:
            page = engine.traces(asked, sort="oldest", limit=MOST_EXPIRED)

            def life_of(row: TraceRow) -> Life | None:
                if began := _beginning(engine, row.trace_id):
                    return Life(trace_of(row, began, _no_time), self._timeout_of(began))
                return None

            return self._elsewhere.overdue(page, now_ns, life_of)

    def _ask(self, question: Callable[[Engine], T]) -> T:
        """The answer to a question that sees what was written before it."""
        if self._room.writable:
            self._expire(self._lives.overdue(self._clock()))
        self._settle()
        with self._room.asking() as engine:
            days = self.options.retention_period_days
            if days is not None and not self._room.drops_by_itself:
                old = ended_before(engine, self._clock() - round(days * DAY_NS))
                self._room.hide(old)
            return question(engine)

    def _ask_stored(self, question: Callable[[Engine], T]) -> T:
        """The answer to a question, also where what was written before it cannot be stored."""
        with contextlib.suppress(NotStored):
            self._settle()
        with self._room.asking() as engine:
            return question(engine)

    def _settle(self, timeout_s: float | None = None) -> None:
        if self._repeats is not None:
            self._repeats.tell()
        self._room.settle(self.options.wait_s if timeout_s is None else timeout_s)

    def _active(self, trace_id: str) -> Life:
        """The trace, which must be active; one that did not begin here is asked of the store."""
        life = self._lives.find(trace_id) or self._stored_life(trace_id)
        if life.is_overdue(self._clock()):
            self._expire([life])
            self._lives.find(trace_id)  # says that it has ended
        return life

    def _stored_life(self, trace_id: str) -> Life:
        self._settle()
        with self._room.asking() as engine:
            row = one_row(engine, trace_id)
            began = _beginning(engine, trace_id)
        status = TraceStatus(row.status)
        if status is not TraceStatus.ACTIVE:
            self._lives.end(trace_id, status)
            self._lives.find(trace_id)  # says that it has ended
        return Life(trace_of(row, began, _no_time), self._timeout_of(began))

    def _record(self, event: Event) -> None:
        self._room.record(recorded_event(event, self.options.event_config.max_data_bytes))

    def _timeout_of(self, began: Iterable[TraceEvent]) -> int | None:
        own = next((timeout_in(each) for each in began), None)
        return self._timeout_ns if own is None else own

    def _end(self, trace_id: str, status: TraceStatus, reason: str) -> Trace:
        """Records the end, and answers with the trace, but for its events."""
        return self._record_end(
            self._active(trace_id_of(trace_id)), status, text_of("reason", reason)
        )

    def _record_end(self, life: Life, status: TraceStatus, reason: str) -> Trace:
        if self._repeats is not None:
            self._repeats.tell(life.trace_id)
        now_ns = self._clock()
        lasted_ns = life.lasted_ns(now_ns, time.monotonic_ns())
        self._lives.end(life.trace_id, status)
        try:
            self._room.record(ended_event(life.trace_id, status, reason, now_ns, lasted_ns))
        except BaseException:
            self._lives.take_back(life)
            raise
        return replace(
            life.trace, status=status, reason=reason, ended_ns=now_ns, duration_ns=lasted_ns
        )


def _no_time(event: TraceEvent) -> None:
    return None


def _beginning(engine: Engine, trace_id: str) -> tuple[TraceEvent, ...]:
    """The event that began it, where one did."""
    query = TraceQuery(trace_id=trace_id, event_type=TRACE_STARTED)
    return engine.select(query, limit=1).events


def one_row(engine: Engine, trace_id: str) -> TraceRow:
    """The trace's row. Raises IdNotFound."""
    for row in engine.traces(TraceFilter(trace_ids=(trace_id,)), limit=1).items:
        return row
    raise IdNotFound(f"no trace is called {trace_id}")


def trace_id_of(text: object) -> str:
    """A trace's id as it is kept; a UUID's spelling with dashes, or in capitals, is one, too."""
    if not isinstance(text, str):
        raise TypeError(f"trace_id must be str, not {type(text).__name__}")
    plain = text.replace("-", "").lower()
    with contextlib.suppress(ValueError):
        if len(plain) == 32 and int(plain, 16) and plain.isalnum():
            return plain
    raise ValueError(f"a trace id is 32 hexadecimal digits, not all 0, not {text!r}")


def text_of(name: str, value: object) -> str:
    """The text, "" for None. Raises TypeError, ValueError for half a surrogate pair."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")
    value.encode()  # half a surrogate pair is no text: ValueError
    return value


def _tags(tags: Iterable[str] | None) -> tuple[str, ...]:
    if isinstance(tags, str):
        raise TypeError("tags are several texts, not one")
    return tuple(text_of("a tag", each) for each in tags or ())
