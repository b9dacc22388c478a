"""What the tools are asked with: a model of each one's arguments, refusing unknown ones."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from whence.model.errors import BadQuestion, ContractError
from whence.model.query import TraceQuery
from whence.model.severity import Severity
from whence.query.contracts.contract import parse_length
from whence.query.engines.traces import TraceFilter

__all__ = ["AskChain", "AskCompare", "AskLedger", "AskLineage", "AskSelect", "AskTraces",
           "AskVerify", "AskWhy"]  # fmt: skip

Text = Annotated[str, StringConstraints(max_length=1_000, pattern=r"^[^\x00]*$")]
Texts = Annotated[list[Text], Field(min_length=1, max_length=50)] | Text
Rows = Annotated[int, Field(ge=1, le=1_000)]
Level = Literal["debug", "info", "warn", "error", "critical"]
_ID = "The id of a request, a decision chain, a trace or an event, or its beginning or end."
_CURSOR = "`next` of the page before, to go on behind it."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Spanned(_Asked):
    """What lies between two moments."""

    last: Text | None = Field(
        None, description='So long before the newest event of all: "90s", "1h", "7d".'
    )
    since: Text | None = Field(
        None, description='From then on: "2026-01-31T12:00:00Z", or nanoseconds since 1970.'
    )
    until: Text | None = Field(None, description="Before then, written alike.")

    def bounds(self, newest_ns: int | None) -> tuple[int | None, int | None]:
        """The first nanosecond, and that behind the last; BadQuestion for what is no time."""
        since_ns, until_ns = _moment(self.since), _moment(self.until)
        if self.last is not None:
            try:
                length_ns = parse_length(self.last).nanos
            except ContractError as error:
                raise BadQuestion(str(error)) from None
            last_ns = (time.time_ns() if newest_ns is None else newest_ns) - length_ns
            since_ns = last_ns if since_ns is None else max(since_ns, last_ns)
        return since_ns, until_ns


class _Filters(_Spanned):
    """Filters on events; all that are given must hold together."""

    event_type: Texts | None = Field(None, description="Exactly; of several any will do.")
    component: Texts | None = Field(None, description="Exactly; of several any will do.")
    model_id: Text | None = None
    request_id: Text | None = Field(None, description="Exactly.")
    decision_chain_id: Text | None = None
    trace_id: Text | None = Field(None, description="32 hexadecimal digits.")
    session: Text | None = Field(None, description="The name of a recorded process.")
    status: Literal["ok", "error"] | None = Field(None, description="How a span ended.")
    min_level: Level | None = Field(None, description="At least so serious.")
    has_errors: bool | None = Field(None, description="Only errors, or only what is none.")
    text: Text | None = Field(None, description="A part of the rationale.")
    where: Text | None = Field(
        None, description='A condition on attributes: "admitted = false and slack_ns > 5ms".'
    )

    def query(self, newest_ns: int | None) -> TraceQuery:
        """The question. ValueError, BadCondition and BadQuestion for what makes no sense."""
        since_ns, until_ns = self.bounds(newest_ns)
        return TraceQuery(
            event_type=_several(self.event_type),
            component=_several(self.component),
            model_id=self.model_id,
            request_id=self.request_id,
            decision_chain_id=self.decision_chain_id,
            trace_id=_trace_id(self.trace_id),
            session=self.session,
            status=self.status,
            min_severity=_severity(self.min_level),
            has_errors=self.has_errors,
            text=self.text,
            where=self.where,
            from_wall_ns=since_ns,
            until_wall_ns=until_ns,
        )


class AskWhy(_Asked):
    """Which decision to explain."""

    id: Text = Field("newest", description=f"{_ID} `newest` is the newest that went wrong.")
    rows: Rows = Field(100, description="How many events of its story.")


class AskChain(_Asked):
    """Which chain to show."""

    id: Text = Field(description=_ID)
    rows: Rows = Field(200, description="How many of its events, from the first.")


class AskSelect(_Filters):
    """Which events to show."""

    order: Literal["newest", "oldest", "longest"] = "newest"
    rows: Rows = 50
    after: Text | None = Field(None, description=_CURSOR)


class AskVerify(_Filters):
    """Which chains to check: whole, if one of their events passes the filters."""

    strict: bool = Field(False, description="Count what may be lost or off as lacking.")
    rows: Annotated[int, Field(ge=0, le=1_000)] = Field(
        20, description="How many chains that are not complete are told of one by one."
    )


class AskLineage(_Asked):
    """From where, and which way."""

    id: Text = Field(description="A lineage id in decimal digits, or its last digits.")
    direction: Literal["up", "down"] = Field(
        "up", description="`up`: what it was made of; `down`: what was made of it."
    )
    depth: Annotated[int, Field(ge=1, le=1_000)] = Field(20, description="How many links away.")
    rows: Rows = Field(100, description="How many ids.")


class AskLedger(_Asked):
    """How many of the rings to show."""

    rows: Rows = Field(20, description="How many rings, those that lost the most first.")


class AskTraces(_Spanned):
    """Which traces to list; all filters that are given must hold together."""

    trace_type: Texts | None = None
    status: Literal["active", "completed", "failed", "cancelled", "expired"] | None = None
    context_id: Text | None = None
    has_errors: bool | None = Field(None, description="Only those with errors, or without.")
    event_type: Texts | None = Field(None, description="With an event of this type.")
    component: Texts | None = Field(None, description="With an event of this component.")
    model_id: Text | None = None
    request_id: Text | None = None
    min_level: Level | None = Field(None, description="With an event at least so serious.")
    tag: Text | None = None
    text: Text | None = Field(None, description="In name, description or rationales.")
    sort: Literal["newest", "oldest", "longest", "errors"] = "newest"
    rows: Rows = 50
    after: Text | None = Field(None, description=_CURSOR)

    def filter(self, newest_ns: int | None) -> TraceFilter:
        """The question. ValueError and BadQuestion for what makes no sense."""
        since_ns, until_ns = self.bounds(newest_ns)
        return TraceFilter(
            trace_types=_listed(self.trace_type),
            statuses=_listed(self.status),
            context_ids=_listed(self.context_id),
            has_errors=self.has_errors,
            event_type=_several(self.event_type),
            component=_several(self.component),
            model_id=self.model_id,
            request_id=self.request_id,
            min_severity=_severity(self.min_level),
            tag=self.tag,
            text=self.text,
            started_after_ns=since_ns,
            started_before_ns=until_ns,
        )


class AskCompare(_Asked):
    """Which two chains to put side by side."""

    a: Text = Field(description=_ID)
    b: Text = Field(description="Another one.")
    rows: Rows = Field(100, description="How many steps.")


def _several(texts: Any) -> Any:
    return tuple(texts) if isinstance(texts, list) else texts


def _listed(texts: Any) -> Any:
    return (texts,) if isinstance(texts, str) else texts


def _trace_id(text: str | None) -> str | None:
    return None if text is None else text.lower().replace("-", "")


def _severity(level: str | None) -> Severity | None:
    return None if level is None else Severity.from_level(level)


def _moment(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        if text.isdecimal():
            found = int(text)
        else:
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            found = (moment - _EPOCH) // timedelta(microseconds=1) * 1_000
    except (ValueError, OverflowError):
        found = 1 << 63
    if not -(1 << 63) < found < 1 << 63:
        raise BadQuestion(f"{text!r} is no time such as 2026-01-31T12:00:00Z")
    return found
