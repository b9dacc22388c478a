"""The traces of a stretch of time, read once, for whoever makes figures of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from whence.query.engines.engine import Engine
from whence.query.engines.shapes import UNLIMITED, Budget
from whence.query.engines.traces import TraceFilter, TraceRow

__all__ = ["MOST_TRACES", "TraceFigures", "figures_of", "traces_within"]

MOST_TRACES = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFigures:
    """What some traces come to; shares and averages are None where there is nothing to divide by.

    `count` is how many there are, each by its weight where others were sampled out (then
    `weighted`). `failed` ended so; `errors` have an error, or failed; of these is `error_rate`.
    `success_rate` is the share of completed ones among those that have ended. Durations are
    of those that have ended.
    """

    count: float = 0
    ended: float = 0
    completed: float = 0
    failed: float = 0
    active: float = 0
    errors: float = 0
    avg_duration_ns: float | None = None
    p95_duration_ns: float | None = None
    error_rate: float | None = None
    success_rate: float | None = None
    weighted: bool = False


def traces_within(
    engine: Engine,
    since_ns: int,
    until_ns: int,
    *,
    most: int = MOST_TRACES,
    budget: Budget = UNLIMITED,
) -> tuple[TraceRow, ...] | None:
    """The traces that started then, the newest first; None if there are more than `most`."""
    asked = TraceFilter(started_after_ns=since_ns, started_before_ns=until_ns)
    page = engine.traces(asked, limit=most, budget=budget)
    return page.items if page.total <= most else None


def figures_of(rows: Iterable[TraceRow]) -> TraceFigures:
    """The figures of these traces."""
    found = list(rows)
    count = sum(row.weight for row in found)
    ended = [row for row in found if row.status != "active"]
    lasted = [(row.duration_ns, row.weight) for row in ended if row.duration_ns is not None]
    completed = sum(row.weight for row in ended if row.status == "completed")
    errors = sum(row.weight for row in found if row.has_errors)
    weight = sum(weight for _, weight in lasted)
    total = sum(row.weight for row in ended)
    return TraceFigures(
        count=count,
        ended=total,
        completed=completed,
        failed=sum(row.weight for row in ended if row.status == "failed"),
        active=count - total,
        errors=errors,
        avg_duration_ns=sum(ns * each for ns, each in lasted) / weight if weight else None,
        p95_duration_ns=_percentile(sorted(ns for ns, _ in lasted), 0.95),
        error_rate=errors / count if count else None,
        success_rate=completed / total if total else None,
        weighted=any(row.weight != 1 for row in found),
    )


def _percentile(ordered: list[int], share: float) -> float | None:
    """Between the two nearest values in proportion, of the rows that are there."""
    if not ordered:
        return None
    at = share * (len(ordered) - 1)
    low = int(at)
    rest = at - low
    return ordered[low] + (ordered[low + 1] - ordered[low]) * rest if rest else float(ordered[low])
