"""What many routes are asked with: times, levels, and filters on events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Query

from whence.model.ids import ModelID
from whence.model.query import TraceQuery
from whence.model.severity import Severity
from whence.serve.problem import Problem

__all__ = ["Cursor", "EventFilters", "Level", "Limit", "Text", "When", "moment_ns", "plain_text"]

MOST = 1_000
Level = Literal["debug", "info", "warn", "error", "critical"]
Text = Annotated[str | None, Query(max_length=1_000)]
Limit = Annotated[int, Query(ge=1, le=MOST, description="How many at most.")]
Cursor = Annotated[
    str | None, Query(max_length=500, description="The `next_cursor` of the page before.")
]
When = Annotated[
    str | None,
    Query(
        max_length=64,
        description="Nanoseconds since 1970, or a time such as 2026-01-31T12:00:00Z.",
        examples=["2026-01-31T12:00:00Z"],
    ),
]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_NS = 2**63 - 1


def moment_ns(text: str | None, name: str) -> int | None:
    """The wall time that a text says; Problem for what is none."""
    if text is None:
        return None
    try:
        if text.lstrip("-").isdecimal():
            found = int(text)
        else:
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            length = moment - _EPOCH
            found = (length.days * 86_400 + length.seconds) * 1_000_000_000
            found += length.microseconds * 1_000
    except (ValueError, OverflowError):
        found = _MOST_NS + 1
    if not -_MOST_NS <= found <= _MOST_NS:
        advice = "nanoseconds since 1970, or a time such as 2026-01-31T12:00:00Z"
        raise Problem(400, "bad_time", f"{name}: {text!r} is no time", advice)
    return found


def plain_text(text: str | None, name: str) -> str | None:
    """The text, unless it has letters that nothing stored has."""
    if text is not None and "\0" in text:
        raise Problem(400, "bad_text", f"{name} has a NUL in it", "leave it out")
    return text


class EventFilters:
    """Filters on events as a route takes them; all that are given must hold together."""

    def __init__(
        self,
        event_type: Annotated[
            list[str] | None, Query(max_length=50, description="Of several any will do.")
        ] = None,
        component: Annotated[
            list[str] | None, Query(max_length=50, description="Of several any will do.")
        ] = None,
        model_id: Text = None,
        request_id: Text = None,
        decision_chain_id: Text = None,
        trace_id: Annotated[
            str | None, Query(max_length=32, description="32 hexadecimal digits.")
        ] = None,
        session: Text = None,
        status: Annotated[Literal["ok", "error"] | None, Query(description="A span's end.")] = None,
        level: Annotated[Level | None, Query(description="At least so serious.")] = None,
        has_errors: Annotated[
            bool | None, Query(description="Only errors, or only what is none; left out, both.")
        ] = None,
        q: Annotated[
            str | None, Query(max_length=1_000, description="Looked for in the rationale.")
        ] = None,
        where: Annotated[
            str | None,
            Query(
                max_length=1_000,
                description="A condition on fields.",
                examples=["admitted = false and slack_ns > 5ms"],
            ),
        ] = None,
        started_after: When = None,
        started_before: When = None,
    ) -> None:
        texts = {
            "model_id": model_id, "request_id": request_id, "session": session,
            "decision_chain_id": decision_chain_id, "trace_id": trace_id, "q": q, "where": where,
        }  # fmt: skip
        for name, text in texts.items():
            plain_text(text, name)
        for name, several in (("event_type", event_type), ("component", component)):
            for text in several or ():
                plain_text(text, name)
        model = model_id if model_id == "" or model_id is None else ModelID(model_id)
        self.query = TraceQuery(
            event_type=tuple(event_type) if event_type else None,
            component=tuple(component) if component else None,
            model_id=model,
            request_id=request_id,
            decision_chain_id=decision_chain_id,
            trace_id=trace_id.lower() if trace_id is not None else None,
            session=session,
            status=status,
            min_severity=Severity.from_level(level) if level is not None else None,
            has_errors=has_errors,
            text=q,
            where=where,
            from_wall_ns=moment_ns(started_after, "started_after"),
            until_wall_ns=moment_ns(started_before, "started_before"),
        )
