"""Metrics over time: the figures of recorded performance_metric events, a series for each group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from whence.model.query import TraceQuery
from whence.query.engines.engine import Engine
from whence.query.engines.shapes import UNLIMITED, Aggregate, Budget, GroupRow

__all__ = ["EMPTY", "STATISTICS", "Series", "SeriesQuestion", "series"]

METRIC = "performance_metric"
NAME, VALUE, UNIT = "metric_name", "metric_value", "metric_unit"
STATISTICS = ("count", "sum", "avg", "min", "max", "last", "p50", "p95", "p99")
Empty = Literal["left out", "none", "previous"]
_EVERY = TraceQuery()
LONGEST_SOUGHT = 200  # characters: a condition has its limit
MOST_POINTS = 1_000_000  # with empty buckets, whatever the budget
EMPTY: tuple[Empty, ...] = get_args(Empty)


@dataclass(frozen=True, slots=True)
class SeriesQuestion:
    """Which metrics, how long the buckets are, what series are told apart by, and which figures.

    Without `metrics` all that were recorded are meant. `group_by` are names as Aggregate takes
    them: attributes such as a tag, or columns such as session. A bucket without any value is left
    out; with `empty` "none" it is there with no figures, with "previous" it repeats the `last` of
    the one before. Raises ValueError for what makes no sense.
    """

    metrics: tuple[str, ...] = ()
    bucket_ns: int = 60_000_000_000
    group_by: tuple[str, ...] = ()
    statistics: tuple[str, ...] = ("count", "avg", "min", "max", "last")
    empty: Empty = "left out"

    def __post_init__(self) -> None:
        if unknown := [name for name in self.statistics if name not in STATISTICS]:
            raise ValueError(f"{unknown[0]!r} is not measured; {', '.join(STATISTICS)} are")
        if self.empty not in EMPTY:
            raise ValueError(f"an empty bucket is {', '.join(EMPTY)}, not {self.empty!r}")
        _ = self.aggregate

    @property
    def aggregate(self) -> Aggregate:
        """The same as figures of groups of events."""
        measures = self.statistics
        if self.empty == "previous" and "last" not in measures:
            measures = (*measures, "last")
        return Aggregate((NAME, UNIT, *self.group_by), self.bucket_ns, measures, VALUE)


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one group, bucket by bucket; `unit` is "" where none was recorded.

    `keys` are the values of what series are told apart by, in that order.
    """

    name: str
    unit: str
    keys: tuple[str, ...]
    points: tuple[GroupRow, ...]


def series(
    engine: Engine,
    question: SeriesQuestion,
    query: TraceQuery = _EVERY,
    budget: Budget = UNLIMITED,
) -> list[Series]:
    """The series of matching events, by name, unit and keys; of any engine the same.

    `query` narrows time, session and the like; its event type is performance_metric, whatever it
    says. Empty buckets are told from the first bucket of the series to its last, or to the ends of
    the time that was asked for. Raises BudgetExceeded, also for more points than its rows.
    """
    found: defaultdict[tuple[str, ...], list[GroupRow]] = defaultdict(list)
    asked = replace(query, event_type=METRIC, where=_where(question, query))
    for row in engine.aggregate(question.aggregate, asked, budget):
        if not question.metrics or row.keys[0] in question.metrics:
            found[row.keys].append(row)
    answer, points = [], 0
    for keys, rows in sorted(found.items()):
        name, unit, *rest = keys
        filled = tuple(_filled(question, query, rows, budget, points))
        points += len(filled)
        answer.append(Series(name, unit, tuple(rest), filled))
    return answer


def _where(question: SeriesQuestion, query: TraceQuery) -> str | None:
    """One metric is looked for where the events are; of several the others are left out here."""
    name = question.metrics[0] if len(question.metrics) == 1 else ""
    quote = "'" if '"' in name else '"'
    if not name or len(name) > LONGEST_SOUGHT or quote in name or "\\" in name:
        return query.where
    named = f"{NAME} = {quote}{name}{quote}"
    return named if query.where is None else f"{query.where} and {named}"


def _filled(
    question: SeriesQuestion,
    query: TraceQuery,
    rows: Sequence[GroupRow],
    budget: Budget,
    before: int,
) -> Iterator[GroupRow]:
    """With a row for each empty bucket, if that is asked for."""
    if question.empty == "left out":
        yield from rows
        return
    length = question.bucket_ns
    by_bucket = {row.bucket_ns: row for row in rows}
    since, until = rows[0].bucket_ns or 0, rows[-1].bucket_ns or 0
    if query.from_wall_ns is not None:
        since = min(since, query.from_wall_ns // length * length)
    if query.until_wall_ns is not None:
        until = max(until, (query.until_wall_ns - 1) // length * length)
    most = MOST_POINTS if budget.rows is None else min(budget.rows, MOST_POINTS)
    Budget(most).check(rows=before + (until - since) // length + 1)
    last = None
    for bucket_ns in range(since, until + 1, length):
        row = by_bucket.get(bucket_ns)
        if row is None:
            row = GroupRow(keys=rows[0].keys, bucket_ns=bucket_ns, rows=0, count=0.0)
            if question.empty == "previous":
                row = replace(row, last=last)
        last = row.last
        yield row
