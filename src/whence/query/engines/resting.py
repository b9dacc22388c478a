"""Engines that rest: opened when they are asked, closed again when nobody asked for a while."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from whence.query.engines.engine import Engine

__all__ = ["REST_S", "Resting"]

REST_S = 30.0


class Resting:
    """A few engines, each asked by one thread at a time. Any thread; close it after use.

    An engine holds some tens of megabytes once it has answered: whoever asks all the time has it
    at hand, and whoever is asked twice a day does not keep it. `rested` is called after some were
    closed. With a `rest_s` of 0 each is asked once.
    """

    def __init__(
        self,
        make: Callable[[], Engine],
        most: int = 2,
        *,
        rest_s: float = REST_S,
        rested: Callable[[], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._rest_s = rest_s
        self._rested = rested
        self._clock = clock
        self._places = threading.Semaphore(most)
        self._lock = threading.Lock()
        self._free: list[tuple[float, Engine]] = []  # since when; the one used last is the last
        self._used: list[Engine] = []
        self._timer: threading.Timer | None = None
        self._closed = False

    @property
    def open(self) -> int:
        """How many are open."""
        with self._lock:
            return len(self._free) + len(self._used)

    @contextlib.contextmanager
    def one(self) -> Iterator[Engine]:
        """Waits for one that is free."""
        with self._places:
            engine = self._taken()
            try:
                yield engine
            finally:
                self._give_back(engine)

    def rest(self) -> int:
        """Closes those that were not asked for so long, as happens by itself; how many."""
        with self._lock:
            before_s = self._clock() - self._rest_s
            tired = [engine for since_s, engine in self._free if since_s <= before_s]
            self._free = [each for each in self._free if each[0] > before_s]
        for engine in tired:
            engine.close()
        if tired and self._rested is not None:
            self._rested()
        return len(tired)

    def cancel(self) -> None:
        """Ends what is being asked now, as far as the engines can."""
        with self._lock:
            used = list(self._used)
        for engine in used:
            if (cancel := getattr(engine, "cancel", None)) is not None:
                cancel()

    def close(self) -> None:
        """Closes those that are free now, and others when they are given back."""
        with self._lock:
            self._closed = True
            free, self._free = self._free, []
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            if timer is not threading.current_thread():
                timer.join()  # it may be closing one
        for _, engine in free:
            engine.close()

    def _taken(self) -> Engine:
        with self._lock:
            if self._free:
                _, engine = self._free.pop()
                self._used.append(engine)
                return engine
        engine = self._make()
        with self._lock:
            self._used.append(engine)
        return engine

    def _give_back(self, engine: Engine) -> None:
        with self._lock:
            self._used.remove(engine)
            closed = self._closed
            if not closed and self._rest_s > 0:
                self._free.append((self._clock(), engine))
                self._look_later()
        if closed or self._rest_s <= 0:
            engine.close()

    def _look_later(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(self._rest_s, self._look)
            self._timer.daemon = True
            self._timer.name = "whence-rest"
            self._timer.start()

    def _look(self) -> None:
        self.rest()
        with self._lock:
            self._timer = None
            if self._free and not self._closed:
                self._look_later()
