"""Questions about traces: pages of them, their figures, their errors, what explains them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from whence.model.names import TRACE_ENDED
from whence.model.query import TraceQuery
from whence.model.trace import Event, TraceStatus
from whence.query.chain import Chain, find_chain
from whence.query.engines.engine import Engine
from whence.query.engines.traces import TraceFilter, TraceRow
from whence.query.index import Index
from whence.query.reach import around
from whence.query.trace_figures import (
    METRICS,
    Aggregation,
    GroupFigures,
    TopError,
    figures_of,
    top_errors,
)
from whence.query.why import Answer, why
from whence.traces.asked import Asked, interval_of
from whence.traces.values import event_value
from whence.traces.whole import rows_of

__all__ = [
    "ErrorsAnswer",
    "PerformanceAnswer",
    "Statistics",
    "TracesAnswer",
    "chain_of_trace",
    "ended_before",
    "errors",
    "performance",
    "statistics",
    "traces_page",
    "why_trace",
]

ENDED = tuple(each.value for each in TraceStatus if each is not TraceStatus.ACTIVE)


@dataclass(frozen=True, slots=True)
class TracesAnswer:
    """A page of traces, a row each, and, if asked for, the figures of all that match."""

    items: tuple[TraceRow, ...]
    total: int
    page: int | None
    limit: int
    pages: int
    next_cursor: str | None = None
    aggregations: tuple[GroupFigures, ...] | None = None


@dataclass(frozen=True, slots=True)
class Statistics:
    """All traces of some time in figures, in milliseconds; what nothing is known of is None.

    A trace counts for those that it stands for, where others were sampled out.
    """

    total_traces: float
    by_status: Mapping[str, float]
    by_type: Mapping[str, float]
    total_events: float
    error_count: float
    success_rate: float | None
    error_rate: float | None
    average_duration: float | None
    p50_duration: float | None
    p95_duration: float | None
    p99_duration: float | None


@dataclass(frozen=True, slots=True)
class ErrorsAnswer:
    """Traces with errors, the newest first; the newest such events; and which sorts there are."""

    traces: TracesAnswer
    events: tuple[Event, ...]
    top_errors: tuple[TopError, ...]


@dataclass(frozen=True, slots=True)
class PerformanceAnswer:
    """The traces that lasted longest, and the figures of each type. In milliseconds."""

    slowest: tuple[TraceRow, ...]
    by_type: tuple[GroupFigures, ...]


def traces_page(engine: Engine, asked: Asked) -> TracesAnswer:
    """The page that is asked for."""
    found = engine.traces(
        asked.filter, sort=asked.sort, limit=asked.limit, page=asked.page, after=asked.after
    )
    groups = None
    if asked.aggregation is not None:
        groups = figures_of(engine, asked.filter, asked.aggregation)
    return TracesAnswer(
        found.items,
        found.total,
        found.page,
        found.limit,
        found.pages,
        str(found.next) if found.next else None,
        groups,
    )


def statistics(engine: Engine, asked: TraceFilter) -> Statistics:
    """The figures of the traces that match."""
    (whole,) = figures_of(engine, asked, Aggregation((), METRICS)) or (GroupFigures({}, None, {}),)
    value = whole.values.get
    return Statistics(
        total_traces=value("count") or 0,
        by_status=_counts(engine, asked, "status"),
        by_type=_counts(engine, asked, "trace_type"),
        total_events=value("event_count") or 0,
        error_count=value("error_count") or 0,
        success_rate=value("success_rate"),
        error_rate=value("error_rate"),
        average_duration=value("avg_duration"),
        p50_duration=value("p50_duration"),
        p95_duration=value("p95_duration"),
        p99_duration=value("p99_duration"),
    )


def errors(engine: Engine, time_range: object, limit: int, now_ns: int) -> ErrorsAnswer:
    """What went wrong in that time."""
    since, until = interval_of(time_range, now_ns)
    wrong = TraceFilter(has_errors=True, started_after_ns=since, started_before_ns=until)
    query = TraceQuery(has_errors=True, from_wall_ns=since, until_wall_ns=until)
    page = engine.select(query, order="newest", limit=limit)
    events = tuple(
        event_value(event, event.timestamp.value_ns if wall is None else wall)
        for event, wall in zip(page.events, page.wall_ns, strict=True)
        if event.event_type != TRACE_ENDED
    )
    top = top_errors(engine, since, until, limit)
    return ErrorsAnswer(traces_page(engine, Asked(wrong, limit=limit)), events, top)


def performance(engine: Engine, time_range: object, limit: int, now_ns: int) -> PerformanceAnswer:
    """What took long in that time."""
    since, until = interval_of(time_range, now_ns)
    asked = TraceFilter(
        statuses=ENDED,
        started_after_ns=since,
        started_before_ns=until,
    )
    slowest = engine.traces(asked, sort="longest", limit=limit).items
    measures = ("count", *(name for name in METRICS if "duration" in name))
    by_type = figures_of(engine, asked, Aggregation(("trace_type",), measures))
    return PerformanceAnswer(slowest, by_type)


def ended_before(engine: Engine, before_ns: int) -> list[str]:
    """The ids of all traces that ended before that wall time."""
    asked = TraceFilter(statuses=ENDED, started_before_ns=max(before_ns, 0))
    rows = rows_of(lambda question: question(engine), asked)
    return [row.trace_id for row in rows if (row.ended_wall_ns or 0) < before_ns]


def chain_of_trace(engine: Engine, trace_id: str) -> Chain:
    """The chain that the trace is, or that of its request. IdNotFound, AmbiguousId."""
    recording, name = around(engine, trace_id)
    return find_chain(recording, name)


def why_trace(engine: Engine, trace_id: str) -> Answer:
    """What explains the trace: its verdict, its times, its story, and what is missing."""
    recording, name = around(engine, trace_id)
    return why(Index(recording), name)


def _counts(engine: Engine, asked: TraceFilter, name: str) -> dict[str, float]:
    groups = figures_of(engine, asked, Aggregation((name,)))
    return {each.keys[name]: each.values["count"] or 0 for each in groups}
