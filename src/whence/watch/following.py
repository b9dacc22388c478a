"""Following: a thread that tells listeners what a store gains, until it is stopped."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from whence.watch.ending import end_at_exit
from whence.watch.listeners import Listeners
from whence.watch.tail import Tail

__all__ = ["Following"]

LONGEST_WAIT_S = 1.0
END_S = 5.0


class Following:
    """Tells `listeners` of everything that a tail finds, from start() to stop() or the end of all.

    The tail is made by the thread itself, and made again where it was told last after an error,
    such as of a store that is not there yet: `trouble` says so meanwhile. `lag_s` is how long
    before it was told the newest event happened, None before the first; `told` counts events.
    `make_tail` gets the token to go on behind, "" for the first time, and what to wait with.
    """

    def __init__(
        self,
        make_tail: Callable[[str, Callable[[float], object]], Tail],
        listeners: Listeners,
        *,
        retry_s: float = LONGEST_WAIT_S,
        wall_clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.listeners = listeners
        self.told = 0
        self.lag_s: float | None = None
        self.trouble = ""
        self.token = ""
        self._make_tail = make_tail
        self._retry_s = retry_s
        self._wall_clock_ns = wall_clock_ns
        self._stop = threading.Event()
        self._began = threading.Event()
        self._thread = threading.Thread(target=self._run, name="whence-follow", daemon=True)
        self._not_at_exit: Callable[[], None] = lambda: None

    def start(self, timeout_s: float = END_S) -> Self:
        """Begins; may be called once. What is stored after it returned is told.

        Waits for the first look at the store, for that long at most.
        """
        self._not_at_exit = end_at_exit(self.stop)
        self._thread.start()
        self._began.wait(timeout_s)
        return self

    def stop(self, timeout_s: float = END_S) -> None:
        """Ends; listeners stay, and are told what waits for them. May come twice."""
        self._stop.set()
        self._not_at_exit()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    def __enter__(self) -> Self:
        """Starts."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops."""
        self.stop()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                tail = self._make_tail(self.token, self._stop.wait)
                self.token, self.trouble = tail.token, ""
                self._began.set()
                self._follow(tail)
            except Exception as error:  # another try begins where the last one ended
                self.trouble = f"{type(error).__name__}: {error}"
                self._began.set()
                self._stop.wait(self._retry_s)

    def _follow(self, tail: Tail) -> None:
        while not self._stop.is_set():
            found = tail.poll()
            if found.events:
                self.listeners.tell(found.events, found.wall_ns)
                self.told += len(found.events)
                self.lag_s = max(0, self._wall_clock_ns() - max(found.wall_ns)) / 1e9
            self.token = found.token
            if not found.more:
                with contextlib.suppress(FileNotFoundError):
                    tail.wait(LONGEST_WAIT_S)
