"""Watching: tells listeners of what a store gains, and ends traces that are overdue, in threads."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.trace import Event
from whence.traces.rooms import Room
from whence.traces.values import event_value
from whence.watch.listeners import Listener, Listeners

if TYPE_CHECKING:
    from whence.traces.recording import TraceRecording
    from whence.watch.following import Following
    from whence.watch.tail import Tail

__all__ = ["Watching"]

EXPIRE_S = 10.0
SETTLE_S = 5.0


class _TraceListeners(Listeners):
    """Tells of events of traces alone, as trace services tell of them."""

    def tell(
        self, events: Sequence[TraceEvent], wall_ns: Sequence[int | None] | None = None
    ) -> None:
        """Offers each listener those that its query asks for."""
        walls = [None] * len(events) if wall_ns is None else wall_ns
        pairs = [pair for pair in zip(events, walls, strict=True) if pair[0].trace_id]
        at = {id(event): wall for event, wall in pairs}
        for listener in self.all:
            found = [_value(event, at[id(event)]) for event in listener.matching(pairs)]
            listener.offer(cast("Any", found))


class Watching:
    """The listeners of one service, followed from when there is the first. Any thread."""

    def __init__(self, room: Room) -> None:
        self.listeners: Listeners = _TraceListeners()
        self._room = room
        self._lock = threading.Lock()
        self._following: Following | None = None
        self._stop = threading.Event()
        self._expiring: threading.Thread | None = None

    @property
    def trouble(self) -> str:
        """Why nobody can be told of anything just now; empty if all is well."""
        return self._following.trouble if self._following else ""

    def add(self, callback: Callable[[Event], object], query: TraceQuery, name: str) -> Listener:
        """Calls back for each event of a trace from now on that matches."""
        store = self._room.followed
        if store is None:
            raise ValueError(f"{self._room.name} cannot be followed: listen where it is recorded")
        from whence.watch.following import Following  # which loads what reads a store

        with self._lock:
            if self._following is None:
                self._following = Following(self._tail, self.listeners).start()
        return self.listeners.add(cast("Any", callback), query, name=name)

    def expire(self, service: TraceRecording) -> None:
        """Begins to end the service's overdue traces, every few seconds, as long as it is there."""
        there = weakref.ref(service)
        stop = self._stop

        def run() -> None:
            while not stop.wait(EXPIRE_S):
                present = there()
                if present is None:
                    return
                present.expire_overdue()
                del present

        self._expiring = threading.Thread(target=run, name="whence-traces", daemon=True)
        self._expiring.start()

    def close(self, timeout_s: float = SETTLE_S) -> None:
        """Ends all of it."""
        self._stop.set()
        if self._expiring is not None and self._expiring is not threading.current_thread():
            self._expiring.join(timeout_s)
        if self._following is not None:
            self._following.stop(timeout_s)
        self.listeners.close(timeout_s)

    def _tail(self, token: str, wait: Callable[[float], object]) -> Tail:
        from whence.watch.tail import NOW, Tail

        room = self._room
        settles = room.settles_by_itself

        def sleep(seconds: float) -> object:
            if not settles:
                with contextlib.suppress(Exception):
                    room.settle(SETTLE_S)
            return wait(seconds)

        store = room.followed
        assert store is not None
        return Tail(store, after=token or NOW, sleep=sleep)


def _value(event: TraceEvent, wall_ns: int | None) -> Event:
    return event_value(event, event.timestamp.value_ns if wall_ns is None else wall_ns)
