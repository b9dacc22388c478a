"""Figures of traces: counts, durations and shares of groups, each computed from stored rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from whence.query.engines.traces import TraceRow

__all__ = ["GROUPS", "METRICS", "Aggregation", "GroupFigures", "figures_of", "percentile"]

GROUPS: Mapping[str, Callable[[TraceRow], str]] = {
    "trace_type": lambda row: row.trace_type,
    "status": lambda row: row.status,
    "context_id": lambda row: row.context_id,
    "execution_id": lambda row: row.execution_id,
    "name": lambda row: row.name,
    "has_errors": lambda row: "true" if row.has_errors else "false",
}
_PERCENTILES = {"p50_duration": 0.5, "p95_duration": 0.95, "p99_duration": 0.99}
METRICS = (
    "count", "avg_duration", "min_duration", "max_duration", *_PERCENTILES, "error_rate",
    "success_rate", "error_count", "event_count",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Aggregation:
    """Which figures, of which groups, in pieces of wall time of which length, if any.

    Traces are put into the piece that they started in. Raises ValueError for a piece of nothing.
    """

    group_by: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("count",)
    bucket_ns: int | None = None

    def __post_init__(self) -> None:
        if self.bucket_ns is not None and self.bucket_ns <= 0:
            raise ValueError("time_bucket is longer than nothing")


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """One group: what it was grouped by, when its piece of time begins, and its figures.

    Durations are in milliseconds, of traces that have ended; rates are from 0 to 1. What nothing
    is known of is None.
    """

    keys: Mapping[str, str]
    bucket_ns: int | None
    values: Mapping[str, float | None]


def figures_of(rows: Iterable[TraceRow], asked: Aggregation) -> tuple[GroupFigures, ...]:
    """The figures of each group, in order of time, then by the values grouped by."""
    groups: dict[tuple[int, tuple[str, ...]], list[TraceRow]] = {}
    for row in rows:
        bucket = 0 if asked.bucket_ns is None else row.started_wall_ns // asked.bucket_ns
        keys = tuple(GROUPS[name](row) for name in asked.group_by)
        groups.setdefault((bucket, keys), []).append(row)
    return tuple(
        GroupFigures(
            dict(zip(asked.group_by, keys, strict=True)),
            None if asked.bucket_ns is None else bucket * asked.bucket_ns,
            {name: _figure(name, members) for name in asked.metrics},
        )
        for (bucket, keys), members in sorted(groups.items())
    )


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """On the line between the two nearest of some values in order; None of none."""
    if not ordered:
        return None
    at = (len(ordered) - 1) * share
    low, part = math.floor(at), at - math.floor(at)
    high = ordered[min(low + 1, len(ordered) - 1)]
    return ordered[low] + (high - ordered[low]) * part


def _figure(name: str, rows: Sequence[TraceRow]) -> float | None:
    if name == "count":
        return _whole(sum(row.weight for row in rows))
    if name == "event_count":
        return sum(row.events for row in rows)
    if name == "error_count":
        return sum(row.errors for row in rows)
    if name == "error_rate":
        return _share(rows, lambda row: row.has_errors)
    if name == "success_rate":
        ended = [row for row in rows if row.status != "active"]
        return _share(ended, lambda row: row.status == "completed")
    timed = [row for row in rows if row.duration_ns is not None]
    ordered = sorted((row.duration_ns or 0) / 1e6 for row in timed)
    if not ordered:
        return None
    if name in _PERCENTILES:
        return percentile(ordered, _PERCENTILES[name])
    if name == "avg_duration":
        weights = sum(row.weight for row in timed)
        return sum((row.duration_ns or 0) / 1e6 * row.weight for row in timed) / weights
    return ordered[0] if name == "min_duration" else ordered[-1]


def _share(rows: Sequence[TraceRow], holds: Callable[[TraceRow], bool]) -> float | None:
    total = sum(row.weight for row in rows)
    return sum(row.weight for row in rows if holds(row)) / total if total else None


def _whole(number: float) -> float:
    return int(number) if float(number).is_integer() else number
