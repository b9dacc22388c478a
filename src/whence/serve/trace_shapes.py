"""The shapes of traces and their events over HTTP, and how stored ones are told in them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from whence.model.event import TraceEvent
from whence.model.nested import whole
from whence.model.query import is_error
from whence.query.engines.traces import TraceRow
from whence.query.plain import plain
from whence.serve.shapes import PageOf

__all__ = ["StepShape", "TraceRowShape", "TraceShape", "plain_row", "plain_step"]


class TraceRowShape(BaseModel):
    """A trace in one row."""

    model_config = ConfigDict(title="TraceRow")

    trace_id: str = Field(description="32 hexadecimal digits.")
    name: str
    trace_type: str = Field(description='"" where nobody said, as of spans of others.')
    status: str = Field(description="active, completed, failed, cancelled or expired.")
    context_id: str
    execution_id: str
    description: str
    tags: list[str]
    started_wall_ns: int
    ended_wall_ns: int | None = Field(description="null while it is active.")
    duration_ns: int | None = Field(description="null while it is active.")
    events: int
    errors: int
    warnings: int
    by_level: dict[str, int]
    sessions: list[str] = Field(description="The processes that it ran in.")
    weight: float = Field(description="How many traces it stands for where others were left out.")
    has_errors: bool


class StepShape(BaseModel):
    """An event of a trace."""

    model_config = ConfigDict(title="TraceEvent")

    event_id: str
    trace_id: str
    event_type: str
    level: str = Field(description="debug, info, warn, error or critical.")
    message: str
    data: dict[str, Any] = Field(description="As it was recorded, nested values too.")
    timestamp_ns: int | None = Field(description="Nanoseconds since 1970.")
    duration_ns: int | None
    parent_event_id: str
    component: str
    model_id: str
    request_id: str
    is_error: bool


class TraceShape(TraceRowShape):
    """A trace with the first of its events."""

    model_config = ConfigDict(title="Trace")

    metadata: dict[str, Any]
    reason: str = Field(description="Why it failed or was cancelled, if somebody said.")
    steps: PageOf[StepShape] = Field(
        description="Its events, the oldest first; GET /traces/{id}/events goes on behind them."
    )


def plain_row(row: TraceRow) -> dict[str, Any]:
    """The row as it is answered."""
    found: dict[str, Any] = plain(row)
    return {**found, "has_errors": row.has_errors}


def plain_step(event: TraceEvent, wall_ns: int | None) -> dict[str, Any]:
    """An event of a trace as it is answered; it has the wall time that is given."""
    return {
        "event_id": event.event_id,
        "trace_id": event.trace_id,
        "event_type": event.event_type,
        "level": event.severity.level_name(),
        "message": event.rationale or event.status_message,
        "data": whole(event.attributes),
        "timestamp_ns": wall_ns,
        "duration_ns": event.duration.nanos or None,
        "parent_event_id": event.caused_by,
        "component": event.component,
        "model_id": event.model_id,
        "request_id": event.request_id,
        "is_error": is_error(event),
    }
