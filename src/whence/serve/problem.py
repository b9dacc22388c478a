"""What went wrong with a request, in one shape (RFC 9457) with a code and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from whence.model.errors import (
    AmbiguousId,
    BadCondition,
    BadQuestion,
    BudgetExceeded,
    ContractError,
    CorruptFile,
    IdNotFound,
    SessionNotFound,
    StoreOwned,
    WhenceError,
)

__all__ = ["MEDIA_TYPE", "Problem", "problem_of"]

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:whence:problem:"
LONGEST_DETAIL = 2_000


class Problem(Exception):
    """An answer that says no: its status, a code for programs, and words for people.

    `detail` says what is wrong, `advice` what to do. `more` holds further members of the body, such
    as `nearest`; `headers` go with the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        advice: str = "",
        *,
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail[:LONGEST_DETAIL]
        self.advice = advice
        self.more = dict(more or {})
        self.headers = dict(headers or {})

    @property
    def body(self) -> dict[str, Any]:
        """The members of the answer."""
        return {
            "type": TYPE + self.code,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "advice": self.advice,
            **self.more,
        }


_SAID: tuple[tuple[type[Exception], int, str, str], ...] = (
    (SessionNotFound, 404, "not_found", "GET /api/v1/sessions lists those there are"),
    (BadCondition, 400, "bad_condition", "conditions are like: admitted = false and wcrt_ns > 5ms"),
    (BadQuestion, 400, "bad_question", "ask for less, or in other words"),
    (ContractError, 400, "bad_contract", "say it as docs/contracts.md does"),
    (
        BudgetExceeded,
        422,
        "budget_exceeded",
        "a shorter time or a type narrows it",
    ),
    (StoreOwned, 403, "read_only", "write through the process that owns the store"),
    (CorruptFile, 500, "damaged", "whence doctor tells what is damaged, whence repair mends it"),
)


def problem_of(error: Exception) -> Problem:
    """The problem that an error of ours, or of the system's, is to whoever asked."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, IdNotFound):
        advice = "the whole id, its beginning or its end finds it; `nearest` are spelled alike"
        return Problem(404, "not_found", str(error), advice, more={"nearest": list(error.nearest)})
    if isinstance(error, AmbiguousId):
        more = {"candidates": list(error.candidates), "count": error.count}
        return Problem(409, "ambiguous", str(error), "give more of the id", more=more)
    for kind, status, code, advice in _SAID:
        if isinstance(error, kind):
            return Problem(status, code, str(error), advice)
    if (retry_after_s := getattr(error, "retry_after_s", None)) is not None:
        headers = {"Retry-After": str(max(1, round(retry_after_s)))}
        return Problem(503, "busy", str(error), "send it again later", headers=headers)
    if isinstance(error, WhenceError | ValueError):
        return Problem(400, "bad_request", str(error), "GET /api/v1/openapi.json says what fits")
    if isinstance(error, FileNotFoundError):
        advice = "ask again; if it stays, whence doctor tells why"
        return Problem(503, "store_changed", "a file of the store has just been replaced", advice)
    # words of strangers may hold paths and values: what is unexpected is told by its name alone
    return Problem(500, "failed", f"{type(error).__name__}", "the server's log says more")
