"""The instruments of a registry: counters, gauges, histograms, summaries; a series per labels."""

from __future__ import annotations

import math
import re
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from whence.export.openmetrics import Exemplar, Family, Labels, Sample, visible
from whence.watch.metrics.exponential import ExponentialHistogram, Figures, bucket_of
from whence.watch.metrics.windows import Mergeable, SlidingWindow, Total

__all__ = [
    "OVERFLOW",
    "Clocks",
    "Counter",
    "Gauge",
    "Histogram",
    "Instrument",
    "Reading",
    "Summary",
    "check_name",
]

OVERFLOW: Labels = (("otel_metric_overflow", "true"),)
LONGEST_LABEL = 256
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
S = TypeVar("S")
M = TypeVar("M", bound=Mergeable)


class Clocks(NamedTuple):
    """What an instrument tells time by, and how long its window is."""

    window_s: float = 300.0
    monotonic_s: Callable[[], float] = time.monotonic
    wall_s: Callable[[], float] = time.time

    def window(self, make: Callable[[], M]) -> SlidingWindow[M]:
        """A window by these clocks."""
        return SlidingWindow(self.window_s, make, clock=self.monotonic_s)


class Reading(NamedTuple):
    """One series at one moment, as history keeps it.

    `value` is the number that stands for it: a counter's total, a gauge's value, the average of
    a histogram's or summary's window (None if that is empty). `figures` are those of the window,
    `rate` is what a counter gained in it, by the second.
    """

    name: str
    type: str
    unit: str
    labels: Labels
    value: float | None
    rate: float | None = None
    figures: Figures | None = None


class Instrument(Generic[S]):
    """Holds a series of its kind for each set of labels. Any thread measures.

    Beyond `most_series` sets of labels, what comes with others goes into one series that is
    labelled otel_metric_overflow="true", and `overflowed` counts it.
    """

    type: ClassVar[str] = ""
    reserved: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self, name: str, help: str, unit: str, labels: Sequence[str], most_series: int,
        clocks: Clocks,
    ) -> None:  # fmt: skip
        check_name(name)
        for label in labels:
            if not _LABEL.fullmatch(label) or label in self.reserved:
                raise ValueError(f"{label!r} is no name for a label of a {self.type}")
        if len(set(labels)) != len(labels):
            raise ValueError("a label is named once")
        if most_series < 1:
            raise ValueError("there is room for one series at least")
        self.name, self.help, self.unit = name, help, unit
        self.labels = tuple(labels)
        self.overflowed = 0
        self._most_series = most_series
        self._clocks = clocks
        self._lock = threading.Lock()
        self._series: dict[Labels, S] = {}

    def families(self) -> Iterator[Family]:
        """Its metric family, as OpenMetrics has it."""
        with self._lock:
            series = self._ordered()
            samples = tuple(each for of in series for each in self._samples(*of))
        unit = self.unit if self.name.endswith(f"_{self.unit}") else ""
        yield Family(self.name, self.type, self.help, samples, unit)

    def read(self) -> list[Reading]:
        """Each series, as of now."""
        with self._lock:
            return [self._reading(labels, one) for labels, one in self._ordered()]

    def remove(self, **labels: object) -> None:
        """Forgets the series with these labels, if there is one; its room is free again."""
        with self._lock:
            self._series.pop(self._key(labels), None)

    @property
    def series(self) -> int:
        """How many there are."""
        return len(self._series)

    def _make(self) -> S:
        raise NotImplementedError

    def _samples(self, labels: Labels, one: S) -> Iterator[Sample]:
        raise NotImplementedError

    def _reading(self, labels: Labels, one: S) -> Reading:
        raise NotImplementedError

    def _of(self, labels: Mapping[str, object]) -> S:
        """The series of these labels; with the lock held."""
        key = self._key(labels)
        found = self._series.get(key)
        if found is None:
            if len(self._series) - (OVERFLOW in self._series) >= self._most_series:
                self.overflowed += 1
                key = OVERFLOW
            found = self._series.setdefault(key, self._make())
        return found

    def _key(self, labels: Mapping[str, object]) -> Labels:
        if labels.keys() != set(self.labels):
            wanted = ", ".join(self.labels) or "none"
            raise ValueError(f"{self.name} has these labels: {wanted}; not {', '.join(labels)}")
        return tuple((name, visible(str(labels[name]))[:LONGEST_LABEL]) for name in self.labels)

    def _ordered(self) -> list[tuple[Labels, S]]:
        return sorted(self._series.items(), key=lambda item: (item[0] == OVERFLOW, item[0]))


class _Counted:
    def __init__(self, window: SlidingWindow[Total]) -> None:
        self.value = 0.0
        self.window = window


class Counter(Instrument[_Counted]):
    """Only ever grows. Its rate is of the window."""

    type = "counter"

    def add(self, value: float = 1, **labels: object) -> None:
        """Counts so many more. Raises ValueError for less than nothing, and for other labels."""
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(f"a counter grows: {value} cannot be added")
        with self._lock:
            one = self._of(labels)
            one.value += value
            one.window.current.add(value)

    def _make(self) -> _Counted:
        return _Counted(self._clocks.window(Total))

    def _samples(self, labels: Labels, one: _Counted) -> Iterator[Sample]:
        yield Sample(labels, _whole(one.value))

    def _reading(self, labels: Labels, one: _Counted) -> Reading:
        covered_s = one.window.covered_s
        rate = one.window.merged().sum / covered_s if covered_s > 0 else None
        return Reading(self.name, self.type, self.unit, labels, one.value, rate)


class Gauge(Instrument[list[float]]):
    """Goes up and down: the last value counts."""

    type = "gauge"

    def set(self, value: float, **labels: object) -> None:
        """This is how it stands now. Raises ValueError for other labels."""
        with self._lock:
            self._of(labels)[0] = float(value)

    def add(self, value: float, **labels: object) -> None:
        """So much more, or less."""
        with self._lock:
            self._of(labels)[0] += value

    def _make(self) -> list[float]:
        return [0.0]

    def _samples(self, labels: Labels, one: list[float]) -> Iterator[Sample]:
        yield Sample(labels, _whole(one[0]))

    def _reading(self, labels: Labels, one: list[float]) -> Reading:
        return Reading(self.name, self.type, self.unit, labels, one[0])


class _Observed:
    """Values since the beginning, and those of the window."""

    def __init__(self, edges: Sequence[float] | None, clocks: Clocks) -> None:
        self.window = clocks.window(ExponentialHistogram)
        self.counts = [0] * (len(edges) + 1) if edges is not None else []
        self.exemplars: dict[float, Exemplar] = {}  # by the upper edge of their bucket
        self.all = ExponentialHistogram()


class Histogram(Instrument[_Observed]):
    """Counts values by size: in buckets up to given edges, or in those of an exponential histogram.

    Without `buckets` any value is kept with the error of an ExponentialHistogram, and OpenMetrics
    text has an edge at each power of 2. Values that are no finite numbers are left out, and counted
    in `refused`.
    """

    type = "histogram"
    reserved = frozenset({"le"})

    def __init__(self, *described: Any, buckets: Sequence[float] | None = None) -> None:
        super().__init__(*described)
        self.buckets = None if buckets is None else tuple(map(float, buckets))
        self.refused = 0
        if self.buckets is not None and (
            not self.buckets
            or not all(map(math.isfinite, self.buckets))
            or list(self.buckets) != sorted(set(self.buckets))
        ):
            raise ValueError("buckets are finite edges, each larger than the one before")

    def observe(self, value: float, *, trace_id: str = "", **labels: object) -> None:
        """One more value; `trace_id` is kept as the newest example of its bucket."""
        if not math.isfinite(value):
            self.refused += 1
            return
        with self._lock:
            one = self._of(labels)
            one.all.add(value)
            one.window.current.add(value)
            if self.buckets is not None:
                place = bisect_left(self.buckets, value)
                one.counts[place] += 1
                edge = (*self.buckets, math.inf)[place]
            elif trace_id:
                edge = math.ldexp(1.0, bucket_of(value, 0) + 1) if value > 0 else 0.0
            if trace_id:
                of = (("trace_id", visible(trace_id)[:64]),)
                one.exemplars[edge] = Exemplar(of, value, self._clocks.wall_s())

    def exponential(self, **labels: object) -> ExponentialHistogram:
        """All values since the beginning, a copy."""
        with self._lock:
            return self._of(labels).all.copy()

    def _make(self) -> _Observed:
        return _Observed(self.buckets, self._clocks)

    def _samples(self, labels: Labels, one: _Observed) -> Iterator[Sample]:
        edges = _powers(one.all)
        if self.buckets is not None:
            edges = list(zip(self.buckets, one.counts, strict=False))
        total = 0
        for edge, count in edges:
            total += count
            named = (*labels, ("le", repr(edge)))
            yield Sample(named, total, "_bucket", one.exemplars.get(edge))
        last = one.exemplars.get(math.inf)
        yield Sample((*labels, ("le", "+Inf")), one.all.count, "_bucket", last)
        if one.all.min >= 0 and not (edges and edges[0][0] < 0):  # else the sum may fall
            yield Sample(labels, one.all.count, "_count")
            yield Sample(labels, one.all.sum, "_sum")

    def _reading(self, labels: Labels, one: _Observed) -> Reading:
        figures = one.window.merged().figures()
        return Reading(self.name, self.type, self.unit, labels, figures.avg, figures=figures)


class Summary(Instrument[_Observed]):
    """Quantiles of the window's values, with the count and sum of all."""

    type = "summary"
    reserved = frozenset({"quantile"})

    def __init__(
        self, *described: Any, quantiles: Sequence[float] = (0.5, 0.9, 0.95, 0.99)
    ) -> None:
        super().__init__(*described)
        if not all(0 <= share <= 1 for share in quantiles):
            raise ValueError("quantiles are shares from 0 to 1")
        self.quantiles = tuple(quantiles)
        self.refused = 0

    def observe(self, value: float, **labels: object) -> None:
        """One more value."""
        if not math.isfinite(value):
            self.refused += 1
            return
        with self._lock:
            one = self._of(labels)
            one.all.add(value)
            one.window.current.add(value)

    def _make(self) -> _Observed:
        return _Observed(None, self._clocks)

    def _samples(self, labels: Labels, one: _Observed) -> Iterator[Sample]:
        window = one.window.merged()
        for share in self.quantiles:
            value = window.quantile(share)
            named = (*labels, ("quantile", repr(float(share))))
            if value is None or value >= 0:  # the format has no others
                yield Sample(named, math.nan if value is None else value)
        yield Sample(labels, one.all.count, "_count")
        if one.all.min >= 0:
            yield Sample(labels, one.all.sum, "_sum")

    def _reading(self, labels: Labels, one: _Observed) -> Reading:
        figures = one.window.merged().figures()
        return Reading(self.name, self.type, self.unit, labels, figures.avg, figures=figures)


def check_name(name: str) -> None:
    """Raises ValueError for what OpenMetrics has no name for."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a metric: letters, digits and _ make one")


def _whole(value: float) -> int | float:
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _powers(histogram: ExponentialHistogram) -> list[tuple[float, int]]:
    """How many values lie up to each power of 2 and above the one before; none below 0."""
    coarse = histogram.copy()
    coarse.downscale(coarse.scale)
    least = coarse.zero_count + sum(coarse.negative.values())
    found = [(0.0, least)] if least else []
    return found + [(edge, count) for edge, count in coarse.buckets() if edge > 0]
