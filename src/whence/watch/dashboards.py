"""Dashboards as data: a summary, series by time, the commonest errors and the trends of types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from whence.query.contracts.contract import parse_length
from whence.query.engines.engine import Engine
from whence.query.engines.shapes import UNLIMITED, Budget
from whence.query.engines.traces import TraceFilter
from whence.query.trace_figures import (
    Aggregation,
    GroupFigures,
    TopError,
    figures_of,
    top_errors,
)

__all__ = [
    "DASHBOARD_METRICS",
    "USUAL",
    "Dashboard",
    "DashboardPoint",
    "bucket_of",
    "check_metrics",
    "dashboard",
]

HOUR_NS = 3_600_000_000_000
MOST_POINTS = 10_000
MOST_ERRORS = 20
# What a dashboard shows, and which figure of the traces that began in a bucket it is.
DASHBOARD_METRICS = {
    "response_time": "avg_duration",
    "p95_response_time": "p95_duration",
    "error_rate": "error_rate",
    "success_rate": "success_rate",
    "throughput": "count",
}
USUAL = ("response_time", "error_rate", "throughput")
_BUCKETS = {"minute": HOUR_NS // 60, "hour": HOUR_NS, "day": 24 * HOUR_NS}
_WHOLE = ("count", "success_rate", "avg_duration", "error_count")


@dataclass(frozen=True, slots=True)
class DashboardPoint:
    """One bucket of wall time: when it begins, and its values; throughput is traces a second."""

    wall_ns: int
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """Traces that began from `since_ns` on and before `until_ns`. Durations are in milliseconds.

    `timeseries` has a point for every bucket, empty ones included: there nothing is known, and
    throughput is 0. `performance_trends` has for each type its durations by bucket, where any
    trace began. A trace counts for those that it stands for. What nothing is known of is None.
    """

    since_ns: int
    until_ns: int
    bucket_ns: int
    total_traces: float
    success_rate: float | None
    average_duration: float | None
    error_count: float
    timeseries: tuple[DashboardPoint, ...]
    top_errors: tuple[TopError, ...]
    performance_trends: tuple[GroupFigures, ...]


def dashboard(
    engine: Engine,
    since_ns: int,
    until_ns: int,
    metrics: Sequence[str],
    group_by: str,
    budget: Budget = UNLIMITED,
) -> Dashboard:
    """The dashboard of that wall time. Raises ValueError for unknown metrics and buckets.

    `group_by` is minute, hour, day, or a length such as 15min. The engine works out all of it.
    """
    check_metrics(metrics)
    bucket_ns = bucket_of(group_by)
    first, last = since_ns // bucket_ns, (until_ns - 1) // bucket_ns
    if last - first >= MOST_POINTS:
        raise ValueError(f"that is {last - first + 1} points, more than {MOST_POINTS}")
    asked = TraceFilter(started_after_ns=since_ns, started_before_ns=until_ns)
    names = tuple(DASHBOARD_METRICS[each] for each in metrics)
    by_time = figures_of(engine, asked, Aggregation((), names, bucket_ns), budget)
    found = {each.bucket_ns: each for each in by_time}
    whole = figures_of(engine, asked, Aggregation((), _WHOLE), budget)
    values = whole[0].values if whole else {}
    trends = Aggregation(("trace_type",), ("count", "avg_duration", "p95_duration"), bucket_ns)
    return Dashboard(
        since_ns=since_ns,
        until_ns=until_ns,
        bucket_ns=bucket_ns,
        total_traces=values.get("count") or 0,
        success_rate=values.get("success_rate"),
        average_duration=values.get("avg_duration"),
        error_count=values.get("error_count") or 0,
        timeseries=tuple(
            DashboardPoint(at * bucket_ns, _point(found.get(at * bucket_ns), metrics, bucket_ns))
            for at in range(first, last + 1)
        ),
        top_errors=top_errors(engine, since_ns, until_ns, MOST_ERRORS, budget),
        performance_trends=figures_of(engine, asked, trends, budget),
    )


def check_metrics(metrics: Sequence[str]) -> None:
    """Raises ValueError for what is on no dashboard."""
    if unknown := [each for each in metrics if each not in DASHBOARD_METRICS]:
        raise ValueError(f"{unknown[0]!r} is on no dashboard; {', '.join(DASHBOARD_METRICS)} are")


def bucket_of(group_by: str) -> int:
    """The length in ns of minute, hour, day, or of one such as 15min. Raises ValueError."""
    length_ns = _BUCKETS.get(group_by) or parse_length(group_by).nanos
    if length_ns <= 0:
        raise ValueError("group_by is longer than nothing")
    return length_ns


def _point(
    found: GroupFigures | None, metrics: Sequence[str], bucket_ns: int
) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for each in metrics:
        value = found.values[DASHBOARD_METRICS[each]] if found else None
        values[each] = (value or 0) * 1e9 / bucket_ns if each == "throughput" else value
    return values
