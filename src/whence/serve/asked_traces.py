"""Filters on traces as routes take them."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from fastapi import Path, Query

from whence.model.severity import Severity
from whence.query.engines.traces import TraceFilter
from whence.serve.asked import Level, Text, When, moment_ns, plain_text
from whence.serve.problem import Problem

__all__ = ["Several", "Sort", "TraceFilters", "TraceId", "trace_id_of"]

Sort = Literal["newest", "oldest", "longest", "errors"]
Status = Literal["active", "completed", "failed", "cancelled", "expired"]
Several = Annotated[list[str] | None, Query(max_length=50, description="Of several any will do.")]
TraceId = Annotated[
    str,
    Path(
        max_length=64,
        description="32 hexadecimal digits, or a UUID.",
        examples=["0af7651916cd43dd8448eb211c80319c"],
    ),
]


def trace_id_of(text: str) -> str:
    """The id as it is kept; Problem for what is none."""
    try:
        found = uuid.UUID(text).hex if text.isascii() else ""
    except ValueError:
        found = ""
    if not found.strip("0"):
        advice = "32 hexadecimal digits, or a UUID; GET /api/v1/traces lists them"
        raise Problem(404, "not_found", f"{text[:100]!r} is no trace id", advice)
    return found


class TraceFilters:
    """Filters on traces; all that are given must hold together."""

    def __init__(
        self,
        context_id: Several = None,
        execution_id: Several = None,
        trace_type: Several = None,
        status: Annotated[
            list[Status] | None, Query(max_length=50, description="Of several any will do.")
        ] = None,
        level: Annotated[Level | None, Query(description="With an event at least so serious.")] = (
            None
        ),
        event_type: Several = None,
        component: Several = None,
        model_id: Text = None,
        request_id: Text = None,
        tag: Text = None,
        started_after: When = None,
        started_before: When = None,
        has_errors: Annotated[
            bool | None, Query(description="Only those with errors, or without; left out, both.")
        ] = None,
        q: Annotated[
            str | None,
            Query(max_length=1_000, description="Looked for in name, description and rationales."),
        ] = None,
    ) -> None:
        several = {
            "context_id": context_id, "execution_id": execution_id, "trace_type": trace_type,
            "event_type": event_type, "component": component,
        }  # fmt: skip
        for name, texts in several.items():
            for text in texts or ():
                plain_text(text, name)
        one = {"model_id": model_id, "request_id": request_id, "tag": tag, "q": q}
        for name, each in one.items():
            plain_text(each, name)
        self.filter = TraceFilter(
            context_ids=context_id or None,
            execution_ids=execution_id or None,
            trace_types=trace_type or None,
            statuses=list(status) if status else None,
            started_after_ns=moment_ns(started_after, "started_after"),
            started_before_ns=moment_ns(started_before, "started_before"),
            has_errors=has_errors,
            event_type=tuple(event_type) if event_type else None,
            component=tuple(component) if component else None,
            model_id=model_id,
            request_id=request_id,
            min_severity=Severity.from_level(level) if level is not None else None,
            tag=tag,
            text=q,
        )
