"""get_metrics(): the metrics of a stretch of time, system, application and custom, from a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from whence.query.engines.engine import Engine
from whence.query.engines.shapes import Budget
from whence.watch.metrics.application import ApplicationMetrics, ApplicationReading
from whence.watch.metrics.configuration import METRIC_TYPES
from whence.watch.metrics.history import Series, series_of

__all__ = ["Metrics", "get_metrics"]

MOST_POINTS = 1_440  # of one series
_BUDGET = Budget(rows=200_000, time_s=60.0)
_BUCKETS_S = (1, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400, 604_800)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The metrics of the wall time from `since_ns` to `until_ns`; a sort not asked for is empty.

    `application_now` is worked out of the stored events of that time, the series are what was
    collected in it: one point for each `bucket_ns` in which anything was.
    """

    since_ns: int
    until_ns: int
    bucket_ns: int
    system: tuple[Series, ...] = ()
    application: tuple[Series, ...] = ()
    custom: tuple[Series, ...] = ()
    own: tuple[Series, ...] = ()
    application_now: ApplicationReading | None = field(default=None)


def get_metrics(
    engine: Engine,
    time_range: tuple[int, int],
    metric_types: Sequence[str] | None = None,
    *,
    names: Sequence[str] = (),
    bucket_ns: int | None = None,
    budget: Budget = _BUDGET,
) -> Metrics:
    """The metrics of that wall time, from its first nanosecond to before its last.

    `metric_types` are of METRIC_TYPES, all if left out; `names` those of single metrics. Buckets
    are made so that a series has a few hundred points, unless their length is given. Raises
    ValueError for an empty time or unknown sorts and for buckets that are too many, BudgetExceeded.
    """
    since_ns, until_ns = time_range
    if until_ns <= since_ns:
        raise ValueError("there is no time between the two ends of time_range")
    types = METRIC_TYPES if metric_types is None else tuple(metric_types)
    if unknown := [each for each in types if each not in METRIC_TYPES]:
        raise ValueError(f"{unknown[0]!r} is no type of metric; {', '.join(METRIC_TYPES)} are")
    length_ns = until_ns - since_ns
    if bucket_ns is None:
        bucket_ns = _bucket_ns(length_ns)
    elif bucket_ns <= 0 or length_ns > bucket_ns * MOST_POINTS:
        raise ValueError(f"a series has {MOST_POINTS} points at most: make buckets longer")
    found = series_of(
        engine, since_ns, until_ns, names=names, types=types, bucket_ns=bucket_ns, budget=budget
    )
    by_type = {name: tuple(each for each in found if each.type == name) for name in METRIC_TYPES}
    now = None
    if "application" in types:
        now = ApplicationMetrics(engine).within(since_ns, until_ns)
    return Metrics(
        since_ns=since_ns,
        until_ns=until_ns,
        bucket_ns=bucket_ns,
        application_now=now,
        **by_type,
    )


def _bucket_ns(length_ns: int) -> int:
    """The shortest usual bucket of which no more than 300 are needed."""
    for seconds in _BUCKETS_S:
        if length_ns <= 300 * seconds * 1_000_000_000:
            return seconds * 1_000_000_000
    return -(-length_ns // 300)
