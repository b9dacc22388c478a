"""ApplicationMetrics: what a store's events say of the application, over a window; nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from whence.model.errors import BudgetExceeded
from whence.model.query import TraceQuery
from whence.query.engines.engine import Engine
from whence.query.engines.shapes import Aggregate, Budget
from whence.query.engines.traces import TraceFilter
from whence.query.trace_figures import Aggregation, figures_of
from whence.watch.metrics.history import COMPONENT
from whence.watch.metrics.instruments import Reading

__all__ = ["ApplicationMetrics", "ApplicationReading"]

ACTIVE_WITHIN_S = 86_400.0
_BUDGET = Budget(time_s=30.0)
_TRACED = Aggregation(metrics=("count", "avg_duration", "error_rate"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationReading:
    """An application over the wall time from `since_ns` to `until_ns`.

    `request_count` is the number of traces that started then: requests are traces. Of these are
    `response_time_avg`, in milliseconds, where they have ended, and `error_rate`, a share.
    `active_traces` have not ended, however long before they started, up to a day.
    `events_per_second` leaves out the metrics' own events. Counts are those that rows stand for
    where others were sampled out. What nothing is known of is None, and where that is for another
    reason than that there is nothing, `missing` says which.
    """

    since_ns: int
    until_ns: int
    request_count: float | None = None
    response_time_avg: float | None = None
    error_rate: float | None = None
    active_traces: float | None = None
    events_per_second: float | None = None
    missing: Mapping[str, str] = field(default_factory=dict)

    def readings(self) -> list[Reading]:
        """The same as series; what is None is left out."""
        found = (
            ("request_count", "requests", self.request_count),
            ("response_time_avg", "ms", self.response_time_avg),
            ("error_rate", "", self.error_rate),
            ("active_traces", "traces", self.active_traces),
            ("events_per_second", "/s", self.events_per_second),
        )
        return [
            Reading(name, "gauge", unit, (), float(value))
            for name, unit, value in found
            if value is not None
        ]


class ApplicationMetrics:
    """Asks an engine for the figures of the last `window_s`. One thread at a time."""

    def __init__(
        self,
        engine: Engine,
        window_s: float = 300.0,
        *,
        budget: Budget = _BUDGET,
        wall_clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._engine = engine
        self._window_ns = int(window_s * 1e9)
        self._budget = budget
        self._wall_clock_ns = wall_clock_ns

    def read(self) -> ApplicationReading:
        """The figures up to now."""
        until_ns = self._wall_clock_ns()
        return self.within(until_ns - self._window_ns, until_ns)

    def within(self, since_ns: int, until_ns: int) -> ApplicationReading:
        """The figures of that wall time. ValueError for one that is empty."""
        if until_ns <= since_ns:
            raise ValueError("there is no time between the two")
        missing: dict[str, str] = {}
        found: dict[str, float | None] = {}
        for names, ask in (
            (("request_count", "response_time_avg", "error_rate"), self._traced),
            (("active_traces",), self._active),
            (("events_per_second",), self._events),
        ):
            try:
                found |= zip(names, ask(since_ns, until_ns), strict=True)
            except BudgetExceeded as error:
                missing |= dict.fromkeys(names, str(error))
        return ApplicationReading(since_ns=since_ns, until_ns=until_ns, missing=missing, **found)

    def _traced(self, since_ns: int, until_ns: int) -> tuple[float | None, ...]:
        asked = TraceFilter(started_after_ns=since_ns, started_before_ns=until_ns)
        found = figures_of(self._engine, asked, _TRACED, self._budget)
        if not found:
            return 0.0, None, None
        return tuple(found[0].values[name] for name in _TRACED.metrics)

    def _active(self, since_ns: int, until_ns: int) -> tuple[float]:
        earliest = min(since_ns, until_ns - int(ACTIVE_WITHIN_S * 1e9))
        asked = TraceFilter(
            statuses=("active",), started_after_ns=earliest, started_before_ns=until_ns
        )
        return (float(self._engine.traces(asked, limit=1, budget=self._budget).total),)

    def _events(self, since_ns: int, until_ns: int) -> tuple[float]:
        rows = self._engine.aggregate(
            Aggregate(("component",), measures=("count",)),
            TraceQuery(from_wall_ns=since_ns, until_wall_ns=until_ns),
            self._budget,
        )
        count = sum(row.count for row in rows if row.keys != (COMPONENT,))
        return (count * 1e9 / (until_ns - since_ns),)
