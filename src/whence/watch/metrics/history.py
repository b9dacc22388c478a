"""The history of metrics: readings as `performance_metric` events, and series of them read back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from whence import _native
from whence.model.event import AttributeValue
from whence.model.names import spellings
from whence.model.nested import flat, whole
from whence.model.query import TraceQuery
from whence.query.engines.engine import Engine
from whence.query.engines.memory import group_value, measured_value
from whence.query.engines.shapes import UNLIMITED, Aggregate, Budget
from whence.watch.metrics.instruments import Reading

__all__ = ["COMPONENT", "METRIC", "MetricHistory", "Point", "Series", "series_of"]

METRIC = "performance_metric"
COMPONENT = "whence.metrics"  # of the events that are recorded here
_RING = 4_096
_TIMED = ("p50", "p95", "p99")
_NEWEST = 1_000


class MetricHistory:
    """Records readings as `performance_metric` events into this process's session.

    Each has the attributes metric_name, metric_value, metric_unit, metric_type ("system",
    "application", "custom" or "own"), and tags, the labels; a counter's also metric_rate, a
    histogram's metric_count, metric_p50, metric_p95 and metric_p99, those of its window.
    The ring is made with the first one. Any thread.
    """

    def __init__(self, ring_slots: int = _RING) -> None:
        self._ring_slots = ring_slots
        self._ring: _native.SharedRing | None = None
        self._number: int | None = None
        self.recorded = 0

    @property
    def ring(self) -> int | None:
        """The number of its ring in this process's session; None before the first event."""
        if self._number is None and self._ring is not None:
            reader = _native.shared_ring_reader(self._ring)
            self._number = None if reader is None else reader.ring
        return self._number

    def record(self, metric_type: str, readings: Iterable[Reading]) -> int:
        """One event for each that has a value; how many these are."""
        count = 0
        for each in readings:
            if each.value is not None:
                if self._ring is None:
                    self._ring = _native.SharedRing(self._ring_slots)
                self._ring.record_now(
                    METRIC, COMPONENT, _sentence(each), attributes=_attributes(metric_type, each)
                )
                count += 1
        self.recorded += count
        return count


@dataclass(frozen=True, slots=True)
class Point:
    """A series in one bucket of wall time: how many values were kept in it, their average, and
    their percentiles by linear interpolation."""

    at_ns: int
    count: int
    value: float
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Series:
    """One metric with one set of tags, through time, the earliest point first.

    `latest` is the newest value that was kept; None where it is not among the newest 1,000 of all.
    """

    name: str
    type: str
    unit: str
    tags: Mapping[str, Any]
    points: tuple[Point, ...]
    latest: float | None = None


def series_of(
    engine: Engine,
    since_ns: int,
    until_ns: int,
    *,
    names: Sequence[str] = (),
    types: Sequence[str] = (),
    bucket_ns: int = 60_000_000_000,
    budget: Budget = UNLIMITED,
) -> list[Series]:
    """The stored metrics of that wall time, by name and tags, in their order.

    `names` and `types` are those wanted, all if empty; events recorded by programs under the
    standard name are "custom". Raises BudgetExceeded.
    """
    keys = ("metric_type", "metric_name", "metric_unit", "tags")
    asked = Aggregate(keys, bucket_ns, ("count", "avg", *_TIMED), "metric_value")
    query = TraceQuery(event_type=spellings(METRIC), from_wall_ns=since_ns, until_wall_ns=until_ns)
    latest: dict[tuple[str, ...], float] = {}
    for event in engine.select(query, order="newest", limit=_NEWEST, budget=budget).events:
        value = measured_value(event, "metric_value")
        if value is not None:
            latest.setdefault(tuple(group_value(event, name) for name in keys), value)
    found: dict[tuple[str, ...], list[Point]] = {}
    for row in engine.aggregate(asked, query, budget):
        kind = row.keys[0] or "custom"
        wanted = (not names or row.keys[1] in names) and (not types or kind in types)
        if wanted and row.avg is not None:
            point = Point(row.bucket_ns or 0, row.rows, row.avg, row.p50, row.p95, row.p99)
            found.setdefault(row.keys, []).append(point)
    made = []
    for key, points in sorted(found.items()):
        kind, name, unit, tags = key
        points.sort(key=lambda point: point.at_ns)
        newest = latest.get(key)
        made.append(Series(name, kind or "custom", unit, _tags(tags), tuple(points), newest))
    return made


def _attributes(metric_type: str, reading: Reading) -> dict[str, AttributeValue]:
    found: dict[str, Any] = {
        "metric_name": reading.name,
        "metric_value": float(reading.value or 0.0),
        "metric_unit": reading.unit,
        "metric_type": metric_type,
    }
    if reading.labels:
        found["tags"] = dict(reading.labels)
    if reading.rate is not None:
        found["metric_rate"] = reading.rate
    if reading.figures is not None:
        found["metric_count"] = reading.figures.count
        for name in _TIMED:
            if (value := getattr(reading.figures, name)) is not None:
                found[f"metric_{name}"] = value
    return flat(found)


def _sentence(reading: Reading) -> str:
    tags = ", ".join(f"{name}={value}" for name, value in reading.labels)
    unit = f" {reading.unit}" if reading.unit and reading.unit != "%" else reading.unit
    return f"{reading.name}{f' ({tags})' if tags else ''}: {reading.value:.6g}{unit}"


def _tags(text: str) -> Mapping[str, Any]:
    found = whole({"tags": text, "whence.json": json.dumps(["tags"])}).get("tags")
    return found if isinstance(found, dict) else {}
