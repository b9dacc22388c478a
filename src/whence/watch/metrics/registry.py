"""A registry of a program's own metrics, by name; as families, as readings, with a bound."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from whence.export.openmetrics import Family, Sample
from whence.watch.metrics.instruments import (
    Clocks,
    Counter,
    Gauge,
    Histogram,
    Instrument,
    Reading,
    Summary,
)

__all__ = ["MOST_METRICS", "MOST_SERIES", "Registry"]

MOST_SERIES = 2_000  # of one metric; the rest is one series, as OpenTelemetry has it
MOST_METRICS = 1_000
I = TypeVar("I", bound=Instrument[Any])  # noqa: E741


class Registry:
    """Metrics by name. Any thread makes and measures them.

    Asking for a name a second time gives the same metric; ValueError if it is of another type or
    has other labels, and once there are `most_metrics`. `window_s` is how far back rates and
    quantiles look, by a monotonic clock.
    """

    def __init__(
        self,
        *,
        window_s: float = 300.0,
        most_series: int = MOST_SERIES,
        most_metrics: int = MOST_METRICS,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._clocks = Clocks(window_s, clock, wall_clock)
        self._most_series = most_series
        self._most_metrics = most_metrics
        self._lock = threading.Lock()
        self._metrics: dict[str, Instrument[Any]] = {}

    def counter(
        self, name: str, help: str = "", *, unit: str = "", labels: Sequence[str] = ()
    ) -> Counter:
        """What only grows. The name goes without _total."""
        return self._made(Counter, name.removesuffix("_total"), help, unit, labels)

    def gauge(
        self, name: str, help: str = "", *, unit: str = "", labels: Sequence[str] = ()
    ) -> Gauge:
        """What goes up and down."""
        return self._made(Gauge, name, help, unit, labels)

    def histogram(
        self,
        name: str,
        help: str = "",
        *,
        buckets: Sequence[float] | None = None,
        unit: str = "",
        labels: Sequence[str] = (),
    ) -> Histogram:
        """Values by size, in buckets up to these edges; without them in exponential ones."""
        made = self._made(Histogram, name, help, unit, labels, buckets=buckets)
        if made.buckets != (None if buckets is None else tuple(map(float, buckets))):
            raise ValueError(f"there is a histogram {name} with other buckets")
        return made

    def summary(
        self,
        name: str,
        help: str = "",
        *,
        quantiles: Sequence[float] = (0.5, 0.9, 0.95, 0.99),
        unit: str = "",
        labels: Sequence[str] = (),
    ) -> Summary:
        """Quantiles of the values in the window."""
        return self._made(Summary, name, help, unit, labels, quantiles=quantiles)

    def remove(self, name: str) -> None:
        """Takes a metric away, if there is one of that name."""
        with self._lock:
            self._metrics.pop(name, None)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all metrics, in the order in which they were made."""
        return tuple(self._metrics)

    def read(self) -> list[Reading]:
        """Every series of every metric, as of now."""
        return [reading for metric in self._all() for reading in metric.read()]

    def families(self) -> Iterator[Family]:
        """All metrics as families; and, if there is any, how much fell into overflow series."""
        over = []
        for metric in self._all():
            yield from metric.families()
            if metric.overflowed:
                over.append(Sample((("metric", metric.name),), metric.overflowed))
        if over:
            help = "Measurements that had no room for their labels."
            yield Family("whence_metric_overflow", "counter", help, tuple(over))

    def _all(self) -> list[Instrument[Any]]:
        with self._lock:
            return list(self._metrics.values())

    def _made(
        self, of: type[I], name: str, help: str, unit: str, labels: Sequence[str], **more: Any
    ) -> I:
        with self._lock:
            found = self._metrics.get(name)
            if found is None:
                if len(self._metrics) >= self._most_metrics:
                    raise ValueError(f"there are {self._most_metrics} metrics: remove one first")
                found = of(name, help, unit, labels, self._most_series, self._clocks, **more)
                self._metrics[name] = found
            if type(found) is not of or found.labels != tuple(labels):
                raise ValueError(
                    f"there is a {found.type} {name} with the labels"
                    f" {', '.join(found.labels) or 'none'}: another one needs another name"
                )
            return found
