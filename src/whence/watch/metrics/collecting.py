"""Collects metrics: reads all that are wanted, at an interval, and keeps their history."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from whence.export.openmetrics import Family, Sample
from whence.watch.ending import end_at_exit
from whence.watch.metrics.configuration import MetricsConfiguration
from whence.watch.metrics.history import MetricHistory
from whence.watch.metrics.instruments import Reading
from whence.watch.metrics.own import ServerMetrics
from whence.watch.metrics.registry import Registry

__all__ = ["AsReadings", "Collected", "MetricsCollection", "Readable"]

END_S = 5.0


class AsReadings(Protocol):
    """Figures that can be put as series."""

    def readings(self) -> list[Reading]:
        """Those that are known."""


class Readable(Protocol):
    """What is read once a round: SystemMetrics or ApplicationMetrics."""

    def read(self) -> AsReadings:
        """Its figures, as of now."""


@dataclass(frozen=True, slots=True)
class Collected:
    """One round: the readings by sort of metric, and what could not be read and why."""

    wall_ns: int = 0
    readings: dict[str, list[Reading]] = field(default_factory=dict)
    trouble: dict[str, str] = field(default_factory=dict)


class MetricsCollection:
    """Collects what a configuration wants of these sources; those left out are not collected.

    collect() does one round. start() makes a thread that does one every collection interval, by a
    monotonic clock; without it there is none. Each source is used by one thread at a time: an
    ApplicationMetrics needs an engine of its own here. What a source raises is told in
    `latest.trouble` and keeps the others from nothing. `missed` counts rounds that were left out
    as the one before took too long.

    `registry` is where the program makes metrics of its own: they look back over the aggregation
    window.
    """

    def __init__(
        self,
        configuration: MetricsConfiguration | None = None,
        *,
        system: Readable | None = None,
        application: Readable | None = None,
        own: ServerMetrics | None = None,
        registry: Registry | None = None,
        history: MetricHistory | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock_ns: Callable[[], int] = time.time_ns,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self.configuration = configuration or MetricsConfiguration()
        self.registry = registry or Registry(window_s=self.configuration.window_s, clock=clock)
        self.latest = Collected()
        self.rounds = 0
        self.missed = 0
        self._system = system
        self._application = application
        self._own = own
        self._history = history
        self._clock = clock
        self._wall_clock_ns = wall_clock_ns
        self._stop = threading.Event()
        self._wait = wait or self._stop.wait
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._not_at_exit: Callable[[], None] = lambda: None

    @property
    def ring(self) -> int | None:
        """The number of the ring that the history is kept in; None without one, or as yet."""
        return None if self._history is None else self._history.ring

    def collect(self) -> Collected:
        """Reads everything that is wanted, and keeps it if there is a history. Any thread."""
        with self._lock:
            found: dict[str, list[Reading]] = {}
            trouble: dict[str, str] = {}
            for name, read in self._sources():
                if self.configuration.wants(name):
                    try:
                        found[name] = read()
                    except Exception as error:
                        trouble[name] = f"{type(error).__name__}: {error}"
            if self._history is not None:
                for name, readings in found.items():
                    try:
                        self._history.record(name, readings)
                    except Exception as error:
                        trouble["history"] = f"{type(error).__name__}: {error}"
            self.latest = Collected(self._wall_clock_ns(), found, trouble)
            self.rounds += 1
            return self.latest

    def families(self) -> list[Family]:
        """As OpenMetrics has it: custom and own metrics of now, the others of the latest round."""
        found: list[Family] = []
        for name in ("system", "application"):
            found += _gauges(name, self.latest.readings.get(name, ()))
        if self.configuration.wants("custom"):
            found += self.registry.families()
        if self._own is not None and self.configuration.wants("own"):
            found += self._own.families()
        return found

    def start(self) -> Self:
        """Begins collecting in a thread; may be called once."""
        if self._thread is not None:
            raise RuntimeError("it collects already")
        self._thread = threading.Thread(target=self.run, name="whence-metrics", daemon=True)
        self._not_at_exit = end_at_exit(self.stop)
        self._thread.start()
        return self

    def stop(self, timeout_s: float = END_S) -> None:
        """Ends the thread, as the end of the program does. May come twice, and without a start."""
        self._stop.set()
        self._not_at_exit()
        if self._thread is not None and threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    def run(self) -> None:
        """What the thread does: a round at once, then one an interval, until it is stopped."""
        interval_s = self.configuration.interval_s
        next_s = self._clock()
        while True:
            self.collect()
            next_s += interval_s
            late = math.ceil(max(0.0, self._clock() - next_s) / interval_s)
            self.missed += late
            next_s += late * interval_s
            if self._wait(max(0.0, next_s - self._clock())) or self._stop.is_set():
                return

    def _sources(self) -> Iterator[tuple[str, Callable[[], list[Reading]]]]:
        system, application, own = self._system, self._application, self._own
        if system is not None:
            yield "system", lambda: system.read().readings()
        if application is not None:
            yield "application", lambda: application.read().readings()
        yield "custom", self.registry.read
        if own is not None:
            yield "own", own.readings


def _gauges(metric_type: str, readings: Sequence[Reading]) -> Iterator[Family]:
    for each in readings:
        if each.value is not None:
            help = f"{each.name.replace('_', ' ').capitalize()}, in {each.unit or 'shares of 1'}."
            samples = (Sample(each.labels, each.value),)
            yield Family(f"{metric_type}_{each.name}", "gauge", help, samples)
