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

__all__ = ["MOST_METRICS", "MOST_SERIES", "RESERVED", "Registry"]

MOST_SERIES = 2_000  # of one metric; the rest is one series, as OpenTelemetry has it
MOST_METRICS = 1_000
RESERVED = ("whence_", "otel_", "system_", "application_")  # how names of ours begin
_SUFFIXES = {
    "counter": ("", "_total", "_created"),
    "gauge": ("",),
    "histogram": ("", "_bucket", "_count", "_sum", "_created"),
    "summary": ("", "_count", "_sum", "_created"),
}
I = TypeVar("I", bound=Instrument[Any])  # noqa: E741


class Registry:
    """Metrics by name. Any thread makes and measures them.

    Asking for a name a second time gives the same metric; ValueError if it is of another type or
    has other labels, for a name that begins as `reserved` ones do or of whose samples another
    metric has one, and once there are `most_metrics`. `window_s` is how far back rates and
    quantiles look, by a monotonic clock.
    """

    def __init__(
        self,
        *,
        window_s: float = 300.0,
        most_series: int = MOST_SERIES,
        most_metrics: int = MOST_METRICS,
        reserved: Sequence[str] = RESERVED,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._clocks = Clocks(window_s, clock, wall_clock)
        self._most_series = most_series
        self._most_metrics = most_metrics
        self._reserved = tuple(reserved)
        self._sample_names: dict[str, str] = {}  # of all metrics: whose each is
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
            for sample in [each for each, of in self._sample_names.items() if of == name]:
                del self._sample_names[sample]

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
                if name.startswith(self._reserved):
                    raise ValueError(f"{name}: names that begin so are ours")
                found = of(name, help, unit, labels, self._most_series, self._clocks, **more)
                samples = [name + suffix for suffix in _SUFFIXES[found.type]]
                if taken := [each for each in samples if each in self._sample_names]:
                    whose = self._sample_names[taken[0]]
                    raise ValueError(f"{name} would have a sample {taken[0]}, as {whose} has")
                self._metrics[name] = found
                self._sample_names |= dict.fromkeys(samples, name)
            if type(found) is not of or found.labels != tuple(labels):
                raise ValueError(
                    f"there is a {found.type} {name} with the labels"
                    f" {', '.join(found.labels) or 'none'}: another one needs another name"
                )
            return found
