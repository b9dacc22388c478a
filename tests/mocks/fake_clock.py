"""A clock that stands still until somebody sleeps on it."""

from __future__ import annotations

import threading

from whence.model.time import Duration, Timestamp

__all__ = ["FakeClock"]


class FakeClock:
    """Give `now` where a clock is asked for and `sleep` where time is to pass. Thread-safe."""

    def __init__(self, start_ns: int = 1_000_000_000) -> None:
        self._lock = threading.Lock()
        self._now = Timestamp(start_ns)
        self.slept: list[Duration] = []

    def now(self) -> Timestamp:
        """The moment it shows."""
        return self._now

    def sleep(self, duration: Duration) -> None:
        """Let that much time pass at once."""
        with self._lock:
            self._now += duration
            self.slept.append(duration)
