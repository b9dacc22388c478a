"""What routes that write traces take, and what they answer with."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from whence.model.trace import Event, Trace
from whence.serve.asked import Level

__all__ = [
    "AskedExport",
    "Batch",
    "Cleanup",
    "Deleted",
    "NewEvent",
    "NewTrace",
    "Reason",
    "Recorded",
    "TraceHead",
    "plain_head",
    "plain_new_step",
]

MOST_EVENTS = 1_000
Word = Annotated[str, Field(max_length=1_000)]
Words = Annotated[str, Field(max_length=65_536)]
TraceTypeName = Literal[
    "workflow_execution", "module_operation", "api_request", "background_task", "custom"
]


class _Strict(BaseModel):
    """A misspelled member is refused: it would be left out of what is recorded."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class NewTrace(_Strict):
    """A trace to begin."""

    name: Word = ""
    trace_type: TraceTypeName = "custom"
    context_id: Word = ""
    execution_id: Word = ""
    description: Words = ""
    metadata: dict[str, Any] = Field({}, description="Whatever is to be kept with it; may nest.")
    tags: list[Word] = Field([], max_length=100)
    timeout_ms: float | None = Field(None, gt=0, le=1e12, description="After which it expires.")


class NewEvent(_Strict):
    """An event of a trace."""

    event_type: str = Field(min_length=1, max_length=1_000)
    level: Level = "info"
    message: Words = ""
    data: dict[str, Any] = Field({}, description="Whatever is to be kept with it; may nest.")
    timestamp: str | int | None = Field(
        None, description="Wall time: nanoseconds since 1970 or ISO 8601; by default now."
    )
    duration_ms: float | None = Field(None, ge=0, le=1e12)
    parent_event_id: Word = ""
    component: Word = ""
    model_id: Word = ""
    request_id: Word = ""


class Batch(_Strict):
    """Several events of a trace."""

    events: list[NewEvent] = Field(min_length=1, max_length=MOST_EVENTS)


class Recorded(BaseModel):
    """The events that were recorded."""

    recorded: int
    event_ids: list[str]


class Reason(_Strict):
    """Why a trace ends."""

    reason: Words = ""


class Cleanup(_Strict):
    """What to delete."""

    older_than_days: float = Field(gt=0, le=100_000)


class AskedExport(_Strict):
    """What is to be exported."""

    filter: dict[str, Any] = Field({}, description="As POST /traces/query takes it.")
    format: Literal["json", "csv", "parquet"] = "json"
    compression: Literal["gzip"] | None = None
    include_events: bool = True
    include_metrics: bool = False


class Deleted(BaseModel):
    """What was deleted."""

    deleted_count: int


class TraceHead(BaseModel):
    """A trace without its events."""

    model_config = ConfigDict(title="TraceHead")

    trace_id: str
    name: str
    trace_type: str
    status: str
    context_id: str
    execution_id: str
    description: str
    reason: str
    tags: list[str]
    metadata: dict[str, Any]
    started_wall_ns: int
    ended_wall_ns: int | None
    duration_ns: int | None


def plain_head(trace: Trace) -> dict[str, Any]:
    """The trace as it is answered."""
    return {
        "trace_id": trace.trace_id,
        "name": trace.name,
        "trace_type": str(trace.trace_type),
        "status": str(trace.status),
        "context_id": trace.context_id,
        "execution_id": trace.execution_id,
        "description": trace.description,
        "reason": trace.reason,
        "tags": list(trace.tags),
        "metadata": dict(trace.metadata),
        "started_wall_ns": trace.started_ns,
        "ended_wall_ns": trace.ended_ns,
        "duration_ns": trace.duration_ns,
    }


def plain_new_step(event: Event) -> dict[str, Any]:
    """The event as it is answered."""
    return {
        "event_id": event.event_id,
        "trace_id": event.trace_id,
        "event_type": event.event_type,
        "level": str(event.level),
        "message": event.message,
        "data": dict(event.data),
        "timestamp_ns": event.timestamp_ns,
        "duration_ns": event.duration_ns,
        "parent_event_id": event.parent_event_id,
        "component": event.component,
        "model_id": event.model_id,
        "request_id": event.request_id,
        "is_error": event.is_error(),
    }
