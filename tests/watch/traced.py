"""Traces of a program that is watched: begun, with events, and ended, at times of one's choice."""

from __future__ import annotations

from collections.abc import Iterator

from tests.watch.growing import Program
from whence.model.event import TraceEvent
from whence.model.names import TRACE_ENDED, TRACE_STARTED
from whence.model.severity import Severity
from whence.model.time import Duration

__all__ = ["MS", "SECOND", "trace"]

MS = 1_000_000
SECOND = 1_000 * MS


def trace(
    program: Program,
    number: int,
    at_ns: int = 0,
    *,
    status: str = "completed",
    lasts_ns: int = MS,
    errors: int = 0,
    name: str = "job",
    trace_type: str = "workflow_execution",
) -> Iterator[TraceEvent]:
    """The events of a trace with so many errors; one that is "active" has no end."""
    of = {"trace_id": f"{number:032x}", "component": "traces"}
    attributes = {"trace_name": name, "trace_type": trace_type}
    yield program.event(at_ns, event_type=TRACE_STARTED, attributes=attributes, **of)
    for each in range(errors):
        yield program.event(
            at_ns + each + 1,
            event_type="stage_failed",
            severity=Severity.Error,
            rationale=f"stage {each} of {name} failed",
            **of,
        )
    if status != "active":
        yield program.event(
            at_ns + lasts_ns,
            event_type=TRACE_ENDED,
            attributes={"trace_status": status},
            duration=Duration(lasts_ns),
            **of,
        )
