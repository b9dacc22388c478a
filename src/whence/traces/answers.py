"""Results for calls that may fail: what went wrong is an Error of the right code, never raised."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from whence.model.errors import (
    AlreadyStarted,
    AmbiguousId,
    BudgetExceeded,
    ClusterUnavailable,
    IdNotFound,
    IllegalTransition,
    NotAStore,
    NotStored,
    ReadOnly,
    StoreOwned,
)
from whence.model.result import Error, ErrorCode, Result

__all__ = ["answering", "error_of"]

P = ParamSpec("P")
T = TypeVar("T")

# The first that fits counts: several of these are ValueErrors, too.
_CODES: tuple[tuple[tuple[type[Exception], ...], ErrorCode], ...] = (
    ((IllegalTransition, AlreadyStarted), ErrorCode.Conflict),
    ((IdNotFound,), ErrorCode.NotFound),
    ((BudgetExceeded,), ErrorCode.BudgetExceeded),
    ((NotStored, ReadOnly, StoreOwned, NotAStore, ClusterUnavailable), ErrorCode.Unavailable),
    ((TimeoutError,), ErrorCode.Timeout),
    ((OSError, ImportError), ErrorCode.Unavailable),
    ((AmbiguousId, TypeError, ValueError, OverflowError), ErrorCode.InvalidArgument),
)

_FORKED = "a service is of the process that made it; a forked one records by kinds and spans"


def answering(call: Callable[P, T]) -> Callable[P, Result[T]]:
    """The call as one that answers with a Result: its value, or what it raised as an Error.

    A method of a service that has a `pid` is called in that process alone: in a forked child the
    locks and engines of the service are such as nobody gives back.
    """

    @functools.wraps(call)
    def answer(*args: P.args, **kwargs: P.kwargs) -> Result[T]:
        if args and getattr(args[0], "pid", os.getpid()) != os.getpid():
            return Result.err(Error(ErrorCode.Unavailable, _FORKED, call.__name__))
        try:
            return Result.ok(call(*args, **kwargs))
        except Exception as error:
            return Result.err(error_of(error, call.__name__))

    return answer


def error_of(error: Exception, place: str) -> Error:
    """What was raised, as a value; of what nobody foresaw also its type."""
    for kinds, code in _CODES:
        if isinstance(error, kinds):
            return Error(code, str(error) or type(error).__name__, place)
    return Error(ErrorCode.InternalError, f"{type(error).__name__}: {error}", place)
