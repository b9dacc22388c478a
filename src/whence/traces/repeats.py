"""Repeats: events of a trace that say the same again within a while are kept as one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from whence.model.trace import Event, EventLevel

__all__ = ["Repeats"]

MOST_HELD = 10_000
_Key = tuple[str, str, str, EventLevel, str]


@dataclass(slots=True)
class _Held:
    """An event that was recorded, until when its like are repeats, and the last of these."""

    until_ns: int
    last: Event | None = None
    count: int = 0


class Repeats:
    """Holds back what repeats an event of the same trace, type, component, level and message.

    The first is recorded as it is. Those that follow within `window_ns` are counted; when the
    window is over, or somebody reads or ends, one event stands for them: the last of them, with
    their number as `repeats` in its data. Errors are never held back. A process that is killed
    takes the counts of its last window with it. Any thread.
    """

    def __init__(self, window_ns: int, record: Callable[[Event], object]) -> None:
        self._window_ns = window_ns
        self._record = record
        self._lock = threading.Lock()
        self._held: dict[_Key, _Held] = {}

    def add(self, event: Event) -> None:
        """Records the event, or counts it."""
        if event.is_error():
            self._record(event)
            return
        key = event.trace_id, event.event_type, event.component, event.level, event.message
        with self._lock:
            held = self._held.get(key)
            if held is not None and event.timestamp_ns < held.until_ns:
                held.last, held.count = event, held.count + 1
                return
            over = [self._held.pop(key)] if held else []
            if len(self._held) >= MOST_HELD:
                over += self._held.values()
                self._held.clear()
            self._held[key] = _Held(event.timestamp_ns + self._window_ns)
        self._tell(over)
        self._record(event)

    def tell(self, trace_id: str = "") -> None:
        """Records what stands for the repeats so far, of one trace or of all."""
        with self._lock:
            keys = [key for key in self._held if trace_id in ("", key[0])]
            over = [self._held.pop(key) for key in keys]
        self._tell(over)

    def _tell(self, over: list[_Held]) -> None:
        for each in over:
            if each.last is not None:
                data = {**each.last.data, "repeats": each.count}
                self._record(replace(each.last, data=data))
