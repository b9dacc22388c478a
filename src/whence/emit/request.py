"""The ambient request: events inside `with whence.request(...)` belong to it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, TypeVar

from whence import _native
from whence._native import Context
from whence.emit.entries import Entries

__all__ = ["current", "request"]

F = TypeVar("F", bound=Callable[..., Any])

_NO_CONTEXT = Context("")


def current() -> Context:
    """The ambient context; one with an empty `request_id` outside of any request."""
    return _native.current() or _NO_CONTEXT


class request(Entries):
    """Makes events belong to a request: a context manager, or a decorator, sync and async.

    `request_id` is any non-empty text (equality is by the text itself); without one each entry
    makes a new UUID. `decision_chain_id` names one invocation within the request, by default the
    request itself. `lineage_id` (unsigned 64 bits) is inherited by the events inside.

    The context lives in a contextvars variable: tasks started inside inherit it, threads do not
    (start them with `contextvars.copy_context().run`). Entering gives the Context; leaving puts
    back what was there before. May be entered many times, nested, and from several threads.

    Raises TypeError for an id that is no str, ValueError for an empty one or one that UTF-8
    cannot hold: ids that cannot be kept whole could be taken for one another.
    """

    def __init__(
        self,
        request_id: str | None = None,
        *,
        decision_chain_id: str = "",
        lineage_id: int = 0,
    ) -> None:
        if request_id == "":
            raise ValueError("a request id cannot be empty; leave it out to get a new one")
        if callable(request_id):
            raise TypeError("write @whence.request(), with parentheses, to decorate a function")
        for name, value in (("request_id", request_id), ("decision_chain_id", decision_chain_id)):
            if value is not None and not isinstance(value, str):
                raise TypeError(f"{name} must be str, not {type(value).__name__}")
        self._chain_id = decision_chain_id
        self._lineage_id = lineage_id
        self._request_id = request_id
        super().__init__()
        self._context(request_id or "-")  # refuses now what could not be entered later

    def _context(self, request_id: str) -> Context:
        return Context(request_id, self._chain_id, self._lineage_id)

    def __enter__(self) -> Context:
        # One of its own for each entry: tasks that share a request leave it each in its own way.
        context = _native.enter_request(self._context(self._request_id or _new_request_id()))
        self._entries.append(context)
        return context

    def __call__(self, function: F) -> F:
        import inspect  # 5 ms that `import whence` does without

        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("a generator runs in its consumer's context: use `with` inside it")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                with self._copy():
                    return await function(*args, **kwargs)

            return run_async  # type: ignore[return-value]

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self._copy():
                return function(*args, **kwargs)

        return run  # type: ignore[return-value]

    def _copy(self) -> request:
        return request(
            self._request_id, decision_chain_id=self._chain_id, lineage_id=self._lineage_id
        )


def _new_request_id() -> str:
    """A UUIDv4: it fits a slot whole, unlike longer text."""
    value = int.from_bytes(os.urandom(16), "big")
    value = value & ~(0xF << 76) | 4 << 76
    value = value & ~(3 << 62) | 2 << 62
    digits = f"{value:032x}"
    parts = digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]
    return "-".join(parts)
