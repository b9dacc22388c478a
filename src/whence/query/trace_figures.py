"""Figures of traces: counts, durations and shares of groups, worked out where the traces are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from whence.model.names import TRACE_ENDED
from whence.model.query import TraceQuery
from whence.query.engines.engine import Engine
from whence.query.engines.shapes import UNLIMITED, Aggregate, Budget, GroupRow
from whence.query.engines.traces import TraceFilter

__all__ = [
    "GROUPS",
    "METRICS",
    "Aggregation",
    "GroupFigures",
    "TopError",
    "figures_of",
    "top_errors",
]

GROUPS = ("trace_type", "status", "context_id", "execution_id", "name", "has_errors")
# What a figure is called here, and the measure of the engines' that it is.
_DURATIONS = {
    "avg_duration": "avg",
    "min_duration": "min",
    "max_duration": "max",
    "p50_duration": "p50",
    "p95_duration": "p95",
    "p99_duration": "p99",
}
_SUMS = {"error_count": "errors", "event_count": "events"}
METRICS = ("count", *_DURATIONS, "error_rate", "success_rate", *_SUMS)
_Key = tuple[int | None, tuple[str, ...]]


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

    Durations are in milliseconds, of traces that have ended; rates are from 0 to 1. A trace counts
    for those that it stands for, where others were sampled out: so do its events and errors. What
    nothing is known of is None.
    """

    keys: Mapping[str, str]
    bucket_ns: int | None
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class TopError:
    """A type of events that are errors, and how many there are."""

    event_type: str
    component: str
    count: float


def figures_of(
    engine: Engine, asked: TraceFilter, wanted: Aggregation, budget: Budget = UNLIMITED
) -> tuple[GroupFigures, ...]:
    """The figures of each group, in order of time, then by the values grouped by.

    The engine works them out: one question for the durations and the rate of errors, one for each
    of the success rate and the two sums. Raises what the engine does.
    """
    names, bucket_ns = wanted.group_by, wanted.bucket_ns

    def ask(group_by: tuple[str, ...], measures: Iterable[str], of: str) -> list[GroupRow]:
        question = Aggregate(group_by, bucket_ns, tuple(measures), of)
        return engine.trace_figures(question, asked, budget)

    measures = dict.fromkeys(_DURATIONS[each] for each in wanted.metrics if each in _DURATIONS)
    if "error_rate" in wanted.metrics:
        measures["error_rate"] = None
    found = {
        (row.bucket_ns, row.keys): _told(row)
        for row in ask(names, measures or ("count",), "duration_ns")
    }
    for name, of in _SUMS.items():
        if name in wanted.metrics:
            sums = {(row.bucket_ns, row.keys): row.sum for row in ask(names, ("sum",), of)}
            for key, values in found.items():
                values[name] = _whole(sums.get(key) or 0.0)
    if "success_rate" in wanted.metrics:
        shares = _successes(ask((*names, "status"), ("count",), "duration_ns"))
        for key, values in found.items():
            values["success_rate"] = shares.get(key)
    return tuple(
        GroupFigures(
            dict(zip(names, keys, strict=True)), at, {name: values[name] for name in wanted.metrics}
        )
        for (at, keys), values in sorted(found.items(), key=lambda pair: (pair[0][0] or 0, pair[0]))
    )


def top_errors(
    engine: Engine,
    since_ns: int | None,
    until_ns: int | None,
    limit: int,
    budget: Budget = UNLIMITED,
) -> tuple[TopError, ...]:
    """The commonest types of events that are errors, by when they happened."""
    query = TraceQuery(has_errors=True, from_wall_ns=since_ns, until_wall_ns=until_ns)
    groups = engine.aggregate(Aggregate(("type", "component"), None, ("count",)), query, budget)
    named = [TopError(row.keys[0], row.keys[1], row.count) for row in groups]
    found = [each for each in named if each.event_type != TRACE_ENDED]
    return tuple(sorted(found, key=lambda each: -each.count)[:limit])


def _told(row: GroupRow) -> dict[str, float | None]:
    values: dict[str, float | None] = {"count": _whole(row.count), "error_rate": row.error_rate}
    for name, measure in _DURATIONS.items():
        value: float | None = getattr(row, measure)
        values[name] = None if value is None else value / 1e6
    return values


def _successes(rows: Iterable[GroupRow]) -> dict[_Key, float]:
    """The share of completed ones among those that ended, by group; status is the last key."""
    ended: dict[_Key, float] = {}
    completed: dict[_Key, float] = {}
    for row in rows:
        *keys, status = row.keys
        key = row.bucket_ns, tuple(keys)
        if status != "active":
            ended[key] = ended.get(key, 0) + row.count
        if status == "completed":
            completed[key] = row.count
    return {key: completed.get(key, 0) / total for key, total in ended.items()}


def _whole(number: float) -> float:
    return int(number) if float(number).is_integer() else number
