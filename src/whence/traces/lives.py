"""What this process knows of the lives of traces: which it began, which it ended, since when."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from whence.model.errors import IllegalTransition
from whence.model.trace import Trace, TraceStatus, check_transition

__all__ = ["Life", "Lives"]

MOST_ACTIVE = 100_000  # beyond it the oldest are asked of the store again
MOST_ENDED = 10_000


@dataclass(frozen=True, slots=True)
class Life:
    """An active trace, as it began. `since_ns` is that on the monotonic clock, if it began here.

    `timeout_ns` is how long it may be active; None for ever.
    """

    trace: Trace
    timeout_ns: int | None
    since_ns: int | None = None

    @property
    def trace_id(self) -> str:
        """The trace's id."""
        return self.trace.trace_id

    @property
    def due_ns(self) -> int | None:
        """Until when it may be active, in wall time."""
        return None if self.timeout_ns is None else self.trace.started_ns + self.timeout_ns

    def lasted_ns(self, now_ns: int, monotonic_ns: int) -> int:
        """How long it has been active, at least 1."""
        if self.since_ns is not None:
            return max(1, monotonic_ns - self.since_ns)
        return max(1, now_ns - self.trace.started_ns)

    def is_overdue(self, now_ns: int) -> bool:
        """Whether it has been active longer than it may."""
        return self.due_ns is not None and now_ns > self.due_ns


class Lives:
    """Active traces and the newest that ended, by their ids. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due_ns: int | None = None  # when the first may be overdue
        self._active: OrderedDict[str, Life] = OrderedDict()
        self._ended: OrderedDict[str, TraceStatus] = OrderedDict()

    def begin(self, life: Life) -> None:
        """Another active trace."""
        with self._lock:
            self._active[life.trace_id] = life
            if life.due_ns is not None:
                self._due_ns = min(life.due_ns, self._due_ns or life.due_ns)
            if len(self._active) > MOST_ACTIVE:
                self._active.popitem(last=False)

    def find(self, trace_id: str) -> Life | None:
        """The trace if it is known to be active; None if nothing is known.

        Raises IllegalTransition, as for a change, where it has ended.
        """
        with self._lock:
            life = self._active.get(trace_id)
            if life is None and (status := self._ended.get(trace_id)) is not None:
                raise IllegalTransition(f"the trace is {status}: one that has ended stays as it is")
            return life

    def end(self, trace_id: str, status: TraceStatus) -> None:
        """Ends it, once: IllegalTransition for whoever comes second."""
        with self._lock:
            if (before := self._ended.get(trace_id)) is not None:
                check_transition(before, status)
            self._active.pop(trace_id, None)
            self._ended[trace_id] = status
            if len(self._ended) > MOST_ENDED:
                self._ended.popitem(last=False)

    def take_back(self, life: Life) -> None:
        """After an end that could not be recorded: it is active still."""
        with self._lock:
            self._ended.pop(life.trace_id, None)
            self._active[life.trace_id] = life
            self._due_ns = life.due_ns if self._due_ns is None else self._due_ns

    def forget(self, trace_id: str) -> None:
        """Nothing is known of it any more."""
        with self._lock:
            self._active.pop(trace_id, None)
            self._ended.pop(trace_id, None)

    def overdue(self, now_ns: int) -> list[Life]:
        """The active ones that have been so longer than they may. Looks at all once one may be."""
        with self._lock:
            if self._due_ns is None or now_ns <= self._due_ns:
                return []
            due = [life.due_ns for life in self._active.values() if life.due_ns is not None]
            self._due_ns = min((each for each in due if each >= now_ns), default=None)
            return [life for life in self._active.values() if life.is_overdue(now_ns)]
