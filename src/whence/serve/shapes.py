"""The shapes of what the HTTP face takes and gives, as OpenAPI describes them."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "AnswerShape",
    "ChainShape",
    "EventShape",
    "Health",
    "LedgerShape",
    "LineageShape",
    "PageOf",
    "ProblemShape",
    "SessionShape",
    "page",
]

T = TypeVar("T")


class ProblemShape(BaseModel):
    """What is wrong with a request: a problem as RFC 9457 has it."""

    model_config = ConfigDict(extra="allow", title="Problem")

    type: str = Field(description="A name of the sort of problem, for programs.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The status of the answer.")
    code: str = Field(description="The sort of problem in a word.", examples=["not_found"])
    detail: str = Field(description="What is wrong.")
    advice: str = Field(description="What to do about it.")


class PageOf(BaseModel, Generic[T]):
    """Some of what was asked for, and how to go on."""

    items: list[T]
    total: int | None = Field(description="How many there are in all; null if nobody counted.")
    page: int | None = Field(description="The number of this page, from 1; null behind a cursor.")
    limit: int = Field(description="How many a page has at most.")
    pages: int | None = Field(description="How many pages there are; null if nobody counted.")
    next_cursor: str | None = Field(
        description="What to give as `cursor` for the page behind this one; null on the last."
    )


def page(
    items: list[Any],
    limit: int,
    next_cursor: object = None,
    *,
    total: int | None = None,
    number: int | None = None,
) -> dict[str, Any]:
    """A page as it is answered."""
    return {
        "items": items,
        "total": total,
        "page": number,
        "limit": limit,
        "pages": None if total is None else -(-total // limit),
        "next_cursor": None if next_cursor is None else str(next_cursor),
    }


class EventShape(BaseModel):
    """One event; what is not listed here is there only where it says something."""

    model_config = ConfigDict(extra="allow", title="RecordedEvent")

    event_id: str
    event_type: str
    component: str
    timestamp_ns: int = Field(description="The process's clock; only differences mean anything.")
    wall_ns: int | None = Field(None, description="Nanoseconds since 1970; null if unknown.")
    duration_ns: int
    model_id: str
    request_id: str
    rationale: str
    severity: str = Field(description="Debug, Info, Warning, Error or Critical.")
    attributes: dict[str, str] = Field(description="As texts; `attribute_types` has their types.")
    decision_chain_id: str


class ChainShape(BaseModel):
    """All events of a chain, in order."""

    model_config = ConfigDict(title="Chain")

    name: str
    request_id: str
    decision_chain_id: str
    events: list[EventShape]


class AnswerShape(BaseModel):
    """Why a request went as it did: the verdict, where its time went, its story and its gaps."""

    model_config = ConfigDict(extra="allow", title="Answer")

    name: str
    request_id: str
    outcome: dict[str, Any]
    story: list[dict[str, Any]]
    reports: list[dict[str, Any]] = Field(description="Its chains against their contracts.")
    gaps: list[dict[str, Any]] = Field(description="What is missing, with what is known of it.")
    complete: bool = Field(description="Whether nothing is known to be missing.")


class LineageShape(BaseModel):
    """What an id was made of, or what was made of it."""

    model_config = ConfigDict(extra="allow", title="Lineage")

    lineage_id: str
    direction: str
    nodes: list[dict[str, Any]] = Field(description="The ids that were reached, the nearest first.")
    links: list[dict[str, Any]]
    cut: str = Field(description='"depth" or "size" where a limit ended the walk, else "".')
    complete: bool


class SessionShape(BaseModel):
    """A process that recorded."""

    model_config = ConfigDict(extra="allow", title="Session")

    name: str
    uuid: str
    pid: int
    service: str
    live: bool


class LedgerShape(BaseModel):
    """The counts of every ring: recorded = readable + lost + in flight."""

    model_config = ConfigDict(extra="allow", title="Ledger")

    recorded: int
    readable: int
    lost: int
    rings: list[dict[str, Any]]


class Health(BaseModel):
    """Whether the server works."""

    status: str = Field(description='"ok", or "degraded" where something does not work.')
    version: str
    writable: bool = Field(description="Whether this server writes to its store.")
