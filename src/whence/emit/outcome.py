"""outcome(): what became of a request, told once it is known, by whoever knows it."""

from __future__ import annotations

import contextvars
import math
from functools import cache
from numbers import Real
from typing import Any

from whence._native import Context, Kind
from whence.emit.kind import kind
from whence.model.names import OUTCOME, OWN_COMPONENT

__all__ = ["outcome"]


def outcome(
    request_id: str, *, score: float | None = None, label: str = "", comment: str = ""
) -> None:
    """Records what became of a request: a score, a label ("accepted"), or both, and a comment.

    It joins the request's chain: `whence why` and `whence chain` show it, also where another
    process tells it, after the one that decided has ended. May be told several times, and whatever
    request is the ambient one. It is as exempt from sampling as decisions are. Any thread.

    Raises ValueError for an empty or unpaired id, for neither score nor label, and for a score that
    is no finite number; TypeError for arguments of another type. Such a call records nothing.
    """
    for name, value in (("request_id", request_id), ("label", label), ("comment", comment)):
        if not isinstance(value, str):
            raise TypeError(f"{name} must be str, not {type(value).__name__}")
    if not request_id:
        raise ValueError("an outcome is that of a request; its id cannot be empty")
    Context(request_id)  # ValueError where the id could not be kept whole
    number = _number(score)
    if number is None and not label.strip():
        raise ValueError("an outcome needs a score, a label or both")
    # Of the request it speaks of alone: not of the span, nor of the request, that it is told in.
    contextvars.Context().run(_kind(), request_id, number, label or None, comment or None)


def _number(score: object) -> float | None:
    if score is None:
        return None
    if isinstance(score, bool) or not isinstance(score, Real):
        raise TypeError(f"score must be a number, not {type(score).__name__}")
    try:
        number = float(score)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"score must be a finite number, not {number}")
    return number


@cache
def _kind() -> Kind[Any]:
    return kind(
        OUTCOME,
        component=OWN_COMPONENT,
        request_id=str,
        score=float | None,
        label=str | None,
        comment=str | None,
    )
