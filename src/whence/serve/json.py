"""Answers as JSON: whole numbers for time, ids of 64 bits as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

from whence.query.plain import plain
from whence.serve.problem import MEDIA_TYPE, Problem

__all__ = ["Json", "as_json", "problem_response"]


def as_json(value: object) -> bytes:
    """The value as JSON; text that UTF-8 cannot hold is escaped."""
    found = plain(value)
    try:
        return orjson.dumps(found)
    except TypeError:  # lone surrogates, and whole numbers beyond 64 bits
        return json.dumps(found, allow_nan=False).encode()


class Json(Response):
    """An answer of values, events and dataclasses of ours."""

    media_type = "application/json"

    def __init__(
        self,
        content: Any,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        super().__init__(content, status_code, headers, media_type)

    def render(self, content: Any) -> bytes:
        """The body."""
        return as_json(content)


def problem_response(problem: Problem) -> Json:
    """The answer that tells of a problem."""
    return Json(problem.body, problem.status, problem.headers, MEDIA_TYPE)
