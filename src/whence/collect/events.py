"""Rows of a native batch become TraceEvents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from whence.model.event import Option, SpanLink, TraceEvent
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp

if TYPE_CHECKING:
    from whence._native import EventRow

__all__ = ["to_events"]

_SEVERITIES = tuple(Severity)


def to_events(rows: Iterable[EventRow]) -> list[TraceEvent]:
    """The events of `Batch.rows()`, in the same order: about 6 us each."""
    return [_to_event(row) for row in rows]


def _to_event(row: EventRow) -> TraceEvent:
    return TraceEvent(
        event_id=row[0],
        event_type=row[1] or "unnamed",
        component=row[2] or "unnamed",
        timestamp=Timestamp(row[3] & 0x7FFF_FFFF_FFFF_FFFF),
        duration=Duration(row[4]),
        model_id=row[5],
        request_id=row[6],
        rationale=row[7],
        severity=_SEVERITIES[min(row[8], 4)],
        attributes=row[9],
        decision_chain_id=row[10],
        options=tuple(Option(*option) for option in row[11]),
        caused_by=row[12],
        lineage_id=row[13],
        decision=row[14],
        text_lost=row[15],
        truncated=row[16],
        session=row[17],
        ring=row[18],
        ticket=row[19],
        weight=row[20],
        trace_id=row[21],
        span_id=row[22],
        parent_span_id=row[23],
        span=row[24],
        status=row[25],
        status_message=row[26],
        links=tuple(SpanLink(*link) for link in row[27]) if row[27] else (),
    )
