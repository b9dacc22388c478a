"""Carrying the ambient context on: by value, into threads, executors and other processes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from whence import _native
from whence._native import Context
from whence.emit.entries import Entries

__all__ = ["carry", "patch_threads", "use"]

F = TypeVar("F", bound=Callable[..., Any])


class use(Entries):
    """`with whence.use(context):` makes a Context ambient, wherever it came from.

    Leaving puts back what was ambient before. May be entered many times, and from several threads.
    Raises TypeError for what is no Context.
    """

    def __init__(self, context: Context) -> None:
        if not isinstance(context, Context):
            raise TypeError(f"use() takes a Context, not {type(context).__name__}")
        super().__init__()
        self._context = context

    def __enter__(self) -> Context:
        entered = _native.enter(self._context)
        self._entries.append(entered)
        return entered


class _Carried:
    """A function and the context it is to run in; pickles if the function does."""

    def __init__(self, function: Callable[..., Any], context: Context) -> None:
        self._function = function
        self._context = context
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with use(self._context):
            return self._function(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _carried, (self._function, self._context)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self, instance)


def carry(function: F) -> F:
    """The function, bound to the present context: for threads, executors and other processes.

    Where nothing is ambient, the function itself. The result can be pickled if the function can, so
    it also goes to a spawned process; what runs there has the same trace and parent. A coroutine
    function stays one.
    """
    context = _native.current()
    return function if context is None else _carried(function, context)


def _carried(function: Any, context: Context) -> Any:
    import inspect  # 5 ms that `import whence` does without

    if not inspect.iscoroutinefunction(function):
        return _Carried(function, context)

    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        with use(context):
            return await function(*args, **kwargs)

    return run


def patch_threads() -> None:
    """From now on threads and thread pools carry on the context in which work was given to them.

    That is threading.Thread.start(), ThreadPoolExecutor.submit() and so loop.run_in_executor().
    Once is enough. Threads that run already, and a pool's own loop, keep what they have.
    """
    import threading
    from concurrent.futures import thread as pools

    if getattr(threading.Thread.start, "_whence", False):
        return
    start_before = threading.Thread.start
    submit_before = pools.ThreadPoolExecutor.submit
    pool_loop = getattr(pools, "_worker", None)

    @functools.wraps(start_before)
    def start(self: threading.Thread) -> None:
        context = _native.current()
        target = getattr(self, "_target", None)
        if context is not None and (target is None or target is not pool_loop):
            self.run = _Carried(self.run, context)  # type: ignore[method-assign]
        start_before(self)

    def submit(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        context = _native.current()
        return submit_before(
            self, fn if context is None else _Carried(fn, context), *args, **kwargs
        )

    functools.update_wrapper(submit, submit_before)  # type: ignore[arg-type]
    start._whence = True  # type: ignore[attr-defined]
    threading.Thread.start = start  # type: ignore[method-assign]
    pools.ThreadPoolExecutor.submit = submit  # type: ignore[method-assign]
