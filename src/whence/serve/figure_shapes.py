"""The shapes of figures over HTTP: of traces, of groups of them, and of groups of events."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from whence.serve.shapes import PageOf
from whence.serve.trace_shapes import TraceRowShape

__all__ = [
    "AskedTraces",
    "DashboardPointShape",
    "DashboardShape",
    "EventGroupShape",
    "FoundTraces",
    "GroupShape",
    "PerformanceShape",
    "StatisticsShape",
    "TopErrorShape",
]


class StatisticsShape(BaseModel):
    """Traces in figures; durations in milliseconds, null where nothing is known."""

    model_config = ConfigDict(title="Statistics")

    total_traces: float
    by_status: dict[str, float]
    by_type: dict[str, float]
    total_events: float
    error_count: float
    success_rate: float | None
    error_rate: float | None
    average_duration: float | None
    p50_duration: float | None
    p95_duration: float | None
    p99_duration: float | None


class GroupShape(BaseModel):
    """The figures of one group of traces; durations in milliseconds."""

    model_config = ConfigDict(title="TraceGroup")

    keys: dict[str, str]
    bucket_ns: int | None
    values: dict[str, float | None]


class PerformanceShape(BaseModel):
    """What took long."""

    model_config = ConfigDict(title="Performance")

    slowest: list[TraceRowShape]
    by_type: list[GroupShape]


class AskedTraces(BaseModel):
    """A question about traces in one object."""

    model_config = ConfigDict(extra="forbid", title="TraceQuestion")

    filter: dict[str, Any] = Field(
        {}, description="context_ids, trace_types, status, time_range {start, end}, has_errors, ..."
    )
    aggregation: dict[str, Any] | None = Field(
        None, description="group_by, metrics and time_bucket.",
        examples=[{"group_by": ["trace_type"], "metrics": ["count", "avg_duration"]}],
    )  # fmt: skip
    pagination: dict[str, Any] = Field({}, description="page or cursor, limit and sort.")


class FoundTraces(PageOf[TraceRowShape]):
    """A page of traces, and the figures of all that match, if they were asked for."""

    model_config = ConfigDict(title="FoundTraces")

    aggregations: list[GroupShape] | None


class EventGroupShape(BaseModel):
    """The figures of one group of events."""

    model_config = ConfigDict(title="EventGroup")

    keys: list[str]
    bucket_ns: int | None
    rows: int
    count: float = Field(description="The events that the rows stand for.")
    rate: float | None = Field(description="A second.")
    avg: float | None
    p50: float | None
    p95: float | None
    p99: float | None
    error_rate: float | None
    weighted: bool
    approx: bool


class DashboardPointShape(BaseModel):
    """One bucket of wall time."""

    model_config = ConfigDict(title="DashboardPoint")

    wall_ns: int
    values: dict[str, float | None]


class TopErrorShape(BaseModel):
    """A type of events that are errors, and how many there are."""

    model_config = ConfigDict(title="TopError")

    event_type: str
    component: str
    count: float


class DashboardShape(BaseModel):
    """The traces of some time; durations in milliseconds, null where nothing is known."""

    model_config = ConfigDict(title="Dashboard")

    since_ns: int
    until_ns: int
    bucket_ns: int
    total_traces: float
    success_rate: float | None
    average_duration: float | None
    error_count: float
    timeseries: list[DashboardPointShape]
    top_errors: list[TopErrorShape]
    performance_trends: list[GroupShape]
