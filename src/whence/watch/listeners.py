"""Listeners: callbacks that are told of events, each with its own queue, none in another's way."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.watch.ending import end_at_exit

__all__ = ["Listener", "ListenerCounts", "Listeners"]

MOST_WAITING = 10_000
MOST_LISTENERS = 256
END_S = 5.0
_LONGEST_TROUBLE = 300

Callback = Callable[[TraceEvent], object]


@dataclass(frozen=True, slots=True)
class ListenerCounts:
    """What became of the events meant for a listener.

    offered = told + failed + dropped + waiting; the one that it is being told is waiting, too.
    `dropped` are those that newer ones pushed out, and those that waited when it was removed.
    """

    offered: int = 0
    told: int = 0
    failed: int = 0
    dropped: int = 0
    waiting: int = 0


class Listener:
    """One callback. It is called by a thread of its own, with one event at a time, in their order.

    What it raises is counted and kept in `trouble`; it is called for the next event all the same.
    Any thread may ask, and remove it; so does the end of the program.
    """

    def __init__(
        self, callback: Callback, query: TraceQuery, name: str, most_waiting: int,
        forget: Callable[[Listener], None],
    ) -> None:  # fmt: skip
        self.name = name
        self.query = query
        self.trouble = ""
        self._callback = callback
        self._most_waiting = most_waiting
        self._forget = forget
        self._waiting: deque[TraceEvent] = deque()
        self._changed = threading.Condition()
        self._offered = self._told = self._failed = self._dropped = 0
        self._in_hand = 0
        self._removed = False
        self._thread = threading.Thread(target=self._run, name=f"whence-{name}", daemon=True)
        self._not_at_exit = end_at_exit(self.remove)
        self._thread.start()

    @property
    def counts(self) -> ListenerCounts:
        """What became of its events so far."""
        with self._changed:
            waiting = len(self._waiting) + self._in_hand
            return ListenerCounts(self._offered, self._told, self._failed, self._dropped, waiting)

    def matching(self, events: Iterable[tuple[TraceEvent, int | None]]) -> list[TraceEvent]:
        """Those that its query asks for; one of which that cannot be told counts as failed."""
        found = []
        for event, wall_ns in events:
            try:
                if self.query.matches(event, wall_ns):
                    found.append(event)
            except Exception as error:
                with self._changed:
                    self._offered += 1
                    self._fail(error)
        return found

    def offer(self, events: Iterable[TraceEvent]) -> None:
        """Puts events into its queue; never waits. The oldest ones make room for what is too many.

        They are taken as they are: Listeners.tell() offers those that match.
        """
        with self._changed:
            if self._removed:
                return
            for event in events:
                self._offered += 1
                if len(self._waiting) >= self._most_waiting:
                    self._waiting.popleft()
                    self._dropped += 1
                self._waiting.append(event)
            self._changed.notify_all()

    def remove(self, timeout_s: float = END_S) -> bool:
        """No call begins any more; waits for the one under way, unless asked by the callback.

        Whether that has ended. May come twice.
        """
        with self._changed:
            self._removed = True
            self._dropped += len(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        self._forget(self)
        self._not_at_exit()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def wait_told(self, timeout_s: float) -> bool:
        """Waits until nothing waits; whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._waiting or self._in_hand), timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._removed)
                if self._removed:
                    return
                event = self._waiting.popleft()
                self._in_hand = 1
            try:
                self._callback(event)
                failure = None
            except BaseException as error:  # also what would end its thread
                failure = error
            with self._changed:
                self._in_hand = 0
                if failure is None:
                    self._told += 1
                else:
                    self._fail(failure)
                self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        self._failed += 1
        self.trouble = f"{type(error).__name__}: {error}"[:_LONGEST_TROUBLE]


class Listeners:
    """The listeners of one source of events. Any thread may use it.

    At most `most_listeners`, each of which may have so many events waiting. A forked child has
    none of their threads: there tell() does nothing.
    """

    def __init__(
        self, *, most_waiting: int = MOST_WAITING, most_listeners: int = MOST_LISTENERS
    ) -> None:
        self._most_waiting = most_waiting
        self._most_listeners = most_listeners
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()
        self._number = 0
        self._gone = ListenerCounts()
        self._pid = os.getpid()

    def add(
        self,
        callback: Callback,
        query: TraceQuery | None = None,
        *,
        name: str = "",
        most_waiting: int | None = None,
    ) -> Listener:
        """Calls back for each event from now on that matches; remove() of the answer ends it.

        Raises TypeError for what cannot be called, ValueError for a queue without room and where
        there are too many listeners.
        """
        if not callable(callback):
            raise TypeError(f"a listener is called: {type(callback).__name__} cannot be")
        most = self._most_waiting if most_waiting is None else most_waiting
        if most < 1:
            raise ValueError("a listener's queue must have room for one event at least")
        with self._lock:
            if len(self._listeners) >= self._most_listeners:
                raise ValueError(f"there are {self._most_listeners} listeners: remove one first")
            self._number += 1
            shown = name or f"listener-{self._number}"
            listener = Listener(callback, query or TraceQuery(), shown, most, self._forgotten)
            self._listeners = (*self._listeners, listener)
        return listener

    def tell(
        self, events: Sequence[TraceEvent], wall_ns: Sequence[int | None] | None = None
    ) -> None:
        """Offers events, with their wall times, to every listener whose query they match.

        Waits for none. Whatever a query raises for an event is counted as that listener's failure.
        """
        if os.getpid() != self._pid:
            return
        walls = [None] * len(events) if wall_ns is None else wall_ns
        for listener in self._listeners:
            listener.offer(listener.matching(zip(events, walls, strict=True)))

    @property
    def all(self) -> tuple[Listener, ...]:
        """Those that are there, the oldest first."""
        return self._listeners

    @property
    def counts(self) -> ListenerCounts:
        """The sum over all listeners, removed ones included."""
        with self._lock:
            listeners, total = self._listeners, self._gone
        for each in listeners:
            total = _plus(total, each.counts)
        return total

    def close(self, timeout_s: float = END_S) -> None:
        """Removes all of them; waits that long in all for calls under way."""
        listeners = self._listeners
        for each in listeners:
            each.remove(0.0)
        for each in listeners:
            each.remove(timeout_s / len(listeners))

    def _forgotten(self, listener: Listener) -> None:
        with self._lock:
            if listener in self._listeners:
                self._listeners = tuple(each for each in self._listeners if each is not listener)
                self._gone = _plus(self._gone, listener.counts)


def _plus(one: ListenerCounts, other: ListenerCounts) -> ListenerCounts:
    return ListenerCounts(
        one.offered + other.offered,
        one.told + other.told,
        one.failed + other.failed,
        one.dropped + other.dropped,
        one.waiting + other.waiting,
    )
