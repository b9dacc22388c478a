"""The routes that tell what traces and events come to: statistics, queries, metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Depends, Path, Query

from whence.model.errors import ContractError
from whence.query.contracts.contract import parse_length
from whence.query.engines.engine import Engine
from whence.query.engines.shapes import MEASURES, Aggregate
from whence.query.plain import plain
from whence.serve.asked import EventFilters, Limit, When, moment_ns, plain_text
from whence.serve.asked_traces import TraceFilters
from whence.serve.figure_shapes import (
    AskedTraces,
    DashboardShape,
    EventGroupShape,
    FoundTraces,
    PerformanceShape,
    StatisticsShape,
)
from whence.serve.json import Json
from whence.serve.parts import Parts
from whence.serve.problem import Problem
from whence.serve.routing import Routes
from whence.serve.shapes import PageOf, page
from whence.serve.trace_shapes import plain_row
from whence.traces.asked import asked_of
from whence.traces.questions import performance, statistics, traces_page
from whence.watch.dashboards import DASHBOARD_METRICS, USUAL, dashboard

__all__ = ["add_trace_figures", "understood"]

T = TypeVar("T")
DAY_NS = 86_400_000_000_000
Measure = Literal["count", "rate", "avg", "p50", "p95", "p99", "error_rate"]


def add_trace_figures(routes: Routes, parts: Parts) -> None:
    """The routes that tell figures."""
    asking = parts.asking

    async def get_trace_statistics(filters: Annotated[TraceFilters, Depends()]) -> Json:
        """The traces that pass all filters in figures."""
        return Json(await asking.ask(lambda engine: statistics(engine, filters.filter)))

    async def get_trace_performance(
        started_after: When = None, started_before: When = None, limit: Limit = 20
    ) -> Json:
        """The traces that lasted longest, and the durations of each type."""
        since = moment_ns(started_after, "started_after") or 0
        until = moment_ns(started_before, "started_before")
        now_ns = time.time_ns()
        if not 0 <= since < (now_ns if until is None else until):
            raise Problem(400, "bad_time", "the time ends before it begins", "give another one")
        interval = {"start": since, "end": now_ns if until is None else until}
        found = await asking.ask(lambda engine: performance(engine, interval, limit, now_ns))
        slowest = [plain_row(row) for row in found.slowest]
        return Json({"slowest": slowest, "by_type": found.by_type})

    async def query_traces(asked: AskedTraces) -> Json:
        """A page of traces, with the figures of all that match where they are asked for."""
        question = understood(
            lambda: asked_of(
                asked.filter or None, asked.aggregation, asked.pagination, {}, time.time_ns()
            )
        )
        found = await asking.ask(lambda engine: traces_page(engine, question))
        items = [plain_row(row) for row in found.items]
        answer = page(
            items, found.limit, found.next_cursor, total=found.total, number=found.page
        )  # fmt: skip
        return Json({**answer, "aggregations": plain(found.aggregations)})

    async def query_metrics(
        filters: Annotated[EventFilters, Depends()],
        group_by: Annotated[
            list[str] | None,
            Query(
                max_length=8,
                description="type, component, model, request, severity, status, session, or the "
                "name of an attribute.",
            ),
        ] = None,
        bucket: Annotated[
            str | None, Query(max_length=32, description="Pieces of time: 10s, 5m, 1h.")
        ] = None,
        measure: Annotated[list[Measure] | None, Query(max_length=7)] = None,
        of: Annotated[
            str, Query(max_length=200, description="duration_ns, or an attribute of numbers.")
        ] = "duration_ns",
    ) -> Json:
        """Figures of the events that pass all filters, in groups and pieces of time."""
        for name in (of, *(group_by or ())):
            plain_text(name, "a name")
        question = understood(
            lambda: Aggregate(
                group_by=tuple(group_by or ()),
                bucket_ns=None if bucket is None else parse_length(bucket).nanos,
                measures=tuple(measure or MEASURES),
                of=of,
            )
        )
        budget = asking.budget()

        def ask(engine: Engine) -> Any:
            return engine.aggregate(question, filters.query, budget)

        found = [{**plain(row), "keys": list(row.keys)} for row in await asking.ask(ask)]
        return Json(page(found, max(1, len(found)), total=len(found), number=1))

    async def get_dashboard(
        name: Annotated[Literal["overview"], Path(description="There is one: overview.")],
        started_after: When = None,
        started_before: When = None,
        metric: Annotated[
            list[str] | None,
            Query(max_length=20, description=f"Of {', '.join(DASHBOARD_METRICS)}; several may be."),
        ] = None,
        group_by: Annotated[
            str, Query(max_length=32, description="minute, hour, day, or a length such as 15min.")
        ] = "hour",
    ) -> Json:
        """The traces of some time, by default the last 24 hours, as a dashboard shows them: a
        summary, figures bucket by bucket, the commonest errors, and the trends of each type.
        """
        until = moment_ns(started_before, "started_before")
        until = time.time_ns() if until is None else until
        since = moment_ns(started_after, "started_after")
        since = max(0, until - DAY_NS) if since is None else since
        metrics = tuple(metric or USUAL)
        if not 0 <= since < until:
            raise Problem(400, "bad_time", "the time ends before it begins", "give another one")

        def ask(engine: Engine) -> Any:
            return dashboard(engine, since, until, metrics, group_by)

        return Json(await asking.ask(ask))

    costly = {422: "It would cost more than a question may."}
    add = routes.add
    statistics_shape, groups = StatisticsShape, PageOf[EventGroupShape]
    path = "/traces/statistics"
    add("GET", path, get_trace_statistics, tag="traces", shape=statistics_shape, problems=costly)
    path = "/traces/performance"
    add("GET", path, get_trace_performance, tag="traces", shape=PerformanceShape, problems=costly)
    large = {413: "The body is too large.", 415: "The body's encoding or type is another."}
    path = "/traces/query"
    add("POST", path, query_traces, tag="traces", shape=FoundTraces, problems=costly | large)
    path = "/dashboards/{name}"
    add("GET", path, get_dashboard, tag="traces", shape=DashboardShape, problems=costly)
    add("GET", "/metrics/query", query_metrics, tag="events", shape=groups, problems=costly)


def understood(make: Callable[[], T]) -> T:
    """What a question is made into; Problem for one that makes no sense."""
    try:
        return make()
    except (TypeError, ValueError, ContractError, OverflowError) as error:
        raise Problem(400, "bad_question", str(error), "docs/traces.md names what fits") from None
