"""Figures: what the metrics of alert rules come to over a window, asked of the store."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from whence.model.errors import BudgetExceeded
from whence.model.names import spellings
from whence.model.query import TraceQuery
from whence.query.contracts.contract import Contract
from whence.query.contracts.declared import BUILT_IN
from whence.query.contracts.verify import Verification, verify
from whence.query.engines.engine import Engine
from whence.query.engines.figures import percentile
from whence.query.engines.shapes import Aggregate, Budget, GroupRow
from whence.query.engines.traces import TraceFilter, TraceRow
from whence.query.words import command_text
from whence.watch.alerts.grammar import METRICS, TIME_NS, Measured
from whence.watch.alerts.message import Cause
from whence.watch.metrics.history import COMPONENT, METRIC

__all__ = ["Figures", "Losses", "Stretch", "shown"]

Stretch = tuple[int, int]  # of wall time: since, until
ACTIVE_WITHIN_NS = 86_400_000_000_000
MOST_CAUSES = 5
MOST_FOLDED = 50_000
_BUDGET = Budget(rows=200_000, time_s=30.0)
_TRACED = Aggregate((), None, ("count", "avg", "p95", "error_rate"))
_EMPTY = "nothing of that was stored in this time"


class _Traced(NamedTuple):
    started: float = 0
    error_rate: float | None = None
    avg_duration_ns: float | None = None
    p95_duration_ns: float | None = None


class Losses:
    """What was seen of losses and of lag, each with when that was, as far back as windows reach.

    `start` is what was lost at the beginning; None where that is what is found first.
    """

    def __init__(self, most_ns: int, start: int | None = None) -> None:
        self._most_ns = most_ns
        self._start = start
        self._lost: deque[tuple[int, int]] = deque()
        self._lags: deque[tuple[int, int]] = deque()

    def saw_lost(self, now_ns: int, lost: int) -> None:
        """So many events were lost in all."""
        if not self._lost or self._lost[-1][1] != lost:
            self._lost.append((now_ns, lost))
        while len(self._lost) > 1 and self._lost[1][0] <= now_ns - self._most_ns:
            self._lost.popleft()

    def saw_lag(self, now_ns: int, lag_ns: int) -> None:
        """The newest event was that old when it was stored."""
        self._lags.append((now_ns, lag_ns))
        while self._lags[0][0] <= now_ns - self._most_ns:
            self._lags.popleft()

    def lost(self, now_ns: int, window_ns: int) -> Measured:
        """What was lost within the window. Counters that fell, as of removed sessions, are 0."""
        if not self._lost:
            return Measured(None, why="the store's losses were not read yet")
        before = self._lost[0][1] if self._start is None else self._start
        total = 0
        for at_ns, lost in self._lost:
            if at_ns > now_ns - window_ns:
                total += max(0, lost - before)
            before = lost
        return Measured(total)

    def lag(self, now_ns: int, window_ns: int) -> Measured:
        """The longest lag within the window."""
        found = [lag for at_ns, lag in self._lags if at_ns > now_ns - window_ns]
        if not found:
            return Measured(None, why="nothing was stored while this watched")
        return Measured(max(found), "ns")


class Figures:
    """The metrics of one window, each asked for at most once, when it is needed.

    The window is one stretch of wall time, or several where the clock was set meanwhile. What
    cannot be known is None, and why that is. One thread at a time.
    """

    def __init__(
        self,
        engine: Engine,
        stretches: Sequence[Stretch],
        *,
        lost: Callable[[], Measured],
        lag: Callable[[], Measured],
        contracts: Sequence[Contract] = BUILT_IN,
        store: str = "",
        links: str = "",
    ) -> None:
        self._engine = engine
        self._stretches = stretches
        self._lost, self._lag = lost, lag
        self._contracts = contracts
        self._options = ("--from", store) if store and store.isprintable() else ()
        self._links = links.rstrip("/")
        self._known: dict[str, Measured] = {}
        self._once: dict[str, Any] = {}

    def measure(self, metric: str) -> Measured:
        """The value of a metric; of any other name than those of METRICS, of a custom one."""
        if metric not in self._known:
            try:
                self._known[metric] = self._measure(metric)
            except BudgetExceeded as error:
                self._known[metric] = Measured(None, why=str(error))
        return self._known[metric]

    def causes(self, metrics: Sequence[str]) -> tuple[Cause, ...]:
        """The traces, and the decisions in them, that these metrics are what they are by."""
        found: dict[str, Cause] = {}
        for metric in metrics:
            if metric == "incomplete_chain_rate":
                for name in self._incomplete_names():
                    found.setdefault(name, self._cause("chain", name))
                continue
            for row in self._responsible(metric):
                if row.trace_id not in found:
                    found[row.trace_id] = self._cause("trace", row.trace_id)
                    event = self._engine.newest_wrong(TraceQuery(trace_id=row.trace_id), _BUDGET)
                    if event is not None and event.decision:
                        found[event.event_id] = self._cause("decision", event.event_id)
        return tuple(found.values())[: 2 * MOST_CAUSES]

    def _measure(self, metric: str) -> Measured:
        match metric:
            case "error_rate":
                return _known(self._traced().error_rate, "%")
            case "avg_response_time":
                return _known(self._traced().avg_duration_ns, "ns")
            case "p95_response_time":
                return _known(self._traced().p95_duration_ns, "ns")
            case "throughput":
                return Measured(self._traced().started / self._seconds)
            case "active_traces":
                return Measured(self._engine.traces(self._active(), limit=1, budget=_BUDGET).total)
            case "events_per_second":
                return Measured(self._events() / self._seconds)
            case "lost_events":
                return self._lost()
            case "collector_lag":
                return self._lag()
            case "incomplete_chain_rate":
                return self._incomplete()
        return self._custom(metric)

    @property
    def _seconds(self) -> float:
        return sum(until - since for since, until in self._stretches) / 1e9

    def _traced(self) -> _Traced:
        if "traced" not in self._once:
            one = len(self._stretches) == 1
            self._once["traced"] = self._counted() if one else self._folded()
        found: _Traced = self._once["traced"]
        return found

    def _counted(self) -> _Traced:
        """Of one stretch the engine makes them, however many traces there are."""
        rows = self._engine.trace_figures(_TRACED, _started(self._stretches[0]), _BUDGET)
        if not rows:
            return _Traced()
        return _Traced(rows[0].count, rows[0].error_rate, rows[0].avg, rows[0].p95)

    def _folded(self) -> _Traced:
        """The same of several: percentiles of parts do not add up, so their traces are read."""
        rows: list[TraceRow] = []
        for stretch in self._stretches:
            page = self._engine.traces(_started(stretch), limit=MOST_FOLDED, budget=_BUDGET)
            rows += page.items
            if page.next is not None or len(rows) > MOST_FOLDED:
                raise BudgetExceeded(
                    f"the clock was set, and more than {MOST_FOLDED} traces began in this time"
                )
        count = sum(row.weight for row in rows)
        lasted = [(row.duration_ns, row.weight) for row in rows if row.duration_ns is not None]
        if not rows:
            return _Traced()
        wrong = sum(row.weight for row in rows if row.has_errors)
        if not lasted:
            return _Traced(count, wrong / count)
        average = sum(ns * each for ns, each in lasted) / sum(each for _, each in lasted)
        return _Traced(
            count, wrong / count, average, percentile(sorted(ns for ns, _ in lasted), 0.95)
        )

    def _active(self) -> TraceFilter:
        since_ns, until_ns = self._stretches[0][0], self._stretches[-1][1]
        earliest_ns = min(since_ns, until_ns - ACTIVE_WITHIN_NS)
        return TraceFilter(
            statuses=("active",), started_after_ns=earliest_ns, started_before_ns=until_ns + 1
        )

    def _rows(self, question: Aggregate, **filters: Any) -> list[GroupRow]:
        found: list[GroupRow] = []
        for since_ns, until_ns in self._stretches:
            query = TraceQuery(from_wall_ns=since_ns, until_wall_ns=until_ns + 1, **filters)
            found += self._engine.aggregate(question, query, _BUDGET)
        return found

    def _events(self) -> float:
        rows = self._rows(Aggregate(("component",), measures=("count",)))
        return sum(row.count for row in rows if row.keys != (COMPONENT,))

    def _custom(self, metric: str) -> Measured:
        """The average of the values that were kept, in nanoseconds where they are times."""
        if "custom" not in self._once:
            question = Aggregate(("metric_name", "metric_unit"), None, ("sum",), "metric_value")
            self._once["custom"] = self._rows(question, event_type=spellings(METRIC))
        rows = [
            row for row in self._once["custom"] if row.keys[0] == metric and row.sum is not None
        ]
        if not rows:
            names = sorted({row.keys[0] for row in self._once["custom"] if row.keys[0]})
            there = f"; there are {', '.join(names[:10])}" if names else ""
            return Measured(None, why=f"no metric {metric} was stored in this time{there}")
        units = {row.keys[1] for row in rows}
        if len(units) > 1:
            return Measured(None, why=f"{metric} is stored in several units: {sorted(units)}")
        unit = units.pop()
        value = sum(row.sum for row in rows) / sum(row.count for row in rows)
        if unit in TIME_NS:
            return Measured(value * TIME_NS[unit], "ns")
        return Measured(value / 100, "%") if unit == "%" else Measured(value, unit)

    def _verified(self) -> Verification:
        if "verified" not in self._once:
            chains = (
                chain
                for since_ns, until_ns in self._stretches
                for chain in self._engine.whole_chains(
                    TraceQuery(from_wall_ns=since_ns, until_wall_ns=until_ns + 1)
                )
            )
            self._once["verified"] = verify(chains, self._contracts)
        found: Verification = self._once["verified"]
        return found

    def _incomplete(self) -> Measured:
        verdicts = self._verified().contracts
        covered = sum(each.chains - each.open for each in verdicts)
        flawed = sum(each.chains - each.open - each.complete for each in verdicts)
        return _known(flawed / covered if covered else None, "%")

    def _incomplete_names(self) -> list[str]:
        verdicts = self._verified().contracts
        return [flaw.name for each in verdicts for flaw in each.flaws][:MOST_CAUSES]

    def _responsible(self, metric: str) -> Sequence[TraceRow]:
        """The traces that made a metric what it is: none that is not of traces."""
        if metric == "active_traces":
            asked, sort = self._active(), "oldest"
        elif metric in ("error_rate", "avg_response_time", "p95_response_time"):
            since_ns, until_ns = self._stretches[0][0], self._stretches[-1][1] + 1
            wrong = True if metric == "error_rate" else None
            asked = TraceFilter(
                has_errors=wrong, started_after_ns=since_ns, started_before_ns=until_ns
            )
            sort = "newest" if wrong else "longest"
        else:
            return ()
        page = self._engine.traces(asked, sort=sort, limit=MOST_CAUSES, budget=_BUDGET)  # type: ignore[arg-type]
        return page.items

    def _cause(self, kind: Any, name: str) -> Cause:
        path = {"trace": "traces", "decision": "decisions"}.get(kind)
        url = f"{self._links}/api/v1/{path}/{name}" if self._links and path else ""
        return Cause(kind, name, command_text("why", name, self._options), url)


def shown(metric: str, found: Measured) -> str:
    """A value as people read it."""
    value = found.value
    if value is None:
        return f"unknown ({found.why})"
    if found.unit == "%":
        return f"{value * 100:.4g}%"
    if found.unit == "ns":
        for unit, nanos in (("h", TIME_NS["h"]), ("m", TIME_NS["m"]), ("s", 10**9), ("ms", 10**6)):
            if abs(value) >= nanos:
                return f"{value / nanos:.4g}{unit}"
        return f"{value / 1_000:.4g}us" if abs(value) >= 1_000 else f"{value:.4g}ns"
    unit = "/s" if METRICS.get(metric) == "rate" else found.unit
    return f"{value:.6g}{unit}"


def _started(stretch: Stretch) -> TraceFilter:
    return TraceFilter(started_after_ns=stretch[0], started_before_ns=stretch[1] + 1)


def _known(value: float | None, unit: str) -> Measured:
    return Measured(value, unit, "" if value is not None else _EMPTY)
