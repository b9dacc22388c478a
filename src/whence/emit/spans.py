"""Decorated functions whose calls are spans: plain, coroutine, generator and async generator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from typing import Any

from whence import _native
from whence._native import SpanFunction, begin_span

__all__ = ["decorate"]

Attributes = Mapping[str, Any] | None


def decorate(function: Any, name: str, component: str, attributes: Attributes) -> Any:
    """The function, each of whose calls is a span of that name.

    Coroutine functions and generators stay what they are; a generator's span lasts from its first
    step to its end, and what it does between two steps of its consumer happens inside. Raises
    TypeError for what is no function.
    """
    if isinstance(function, staticmethod | classmethod):
        inner = decorate(function.__func__, name, component, attributes)
        return type(function)(inner)
    if not callable(function) or isinstance(function, type):
        raise TypeError(f"span decorates functions, not {type(function).__name__}")
    if inspect.iscoroutinefunction(function):
        return _coroutine_function(function, name, component, attributes)
    if inspect.isasyncgenfunction(function):
        return _async_generator_function(function, name, component, attributes)
    if inspect.isgeneratorfunction(function):
        return _generator_function(function, name, component, attributes)
    kept = dict(attributes) if attributes else None
    return functools.update_wrapper(SpanFunction(function, name, component, kept), function)


def _coroutine_function(
    function: Callable[..., Any], name: str, component: str, attributes: Attributes
) -> Any:
    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        with begin_span(name, component, attributes):
            return await function(*args, **kwargs)

    return run


def _generator_function(
    function: Callable[..., Any], name: str, component: str, attributes: Attributes
) -> Any:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        span = begin_span(name, component, attributes)
        inside = span.context
        if inside is None:
            return (yield from generator)
        step, value = generator.send, None
        try:
            while True:
                entered = _native.enter(inside)
                try:
                    item = step(value)
                finally:
                    _native.leave(entered)
                try:
                    value = yield item
                    step = generator.send
                except GeneratorExit:
                    entered = _native.enter(inside)
                    try:
                        generator.close()
                    finally:
                        _native.leave(entered)
                    raise
                except BaseException as error:
                    step, value = generator.throw, error
        except StopIteration as stop:
            span.end()
            return stop.value
        except BaseException as error:
            span.end(error)
            raise

    return run


def _async_generator_function(
    function: Callable[..., Any], name: str, component: str, attributes: Attributes
) -> Any:
    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        generator = function(*args, **kwargs)
        span = begin_span(name, component, attributes)
        inside = span.context
        if inside is None:
            inside = _native.current() or _native.Context("")
        step, value = generator.asend, None
        try:
            while True:
                entered = _native.enter(inside)
                try:
                    item = await step(value)
                finally:
                    _native.leave(entered)
                try:
                    value = yield item
                    step = generator.asend
                except GeneratorExit:
                    entered = _native.enter(inside)
                    try:
                        await generator.aclose()
                    finally:
                        _native.leave(entered)
                    raise
                except BaseException as error:
                    step, value = generator.athrow, error
        except StopAsyncIteration:
            span.end()
        except BaseException as error:
            span.end(error)
            raise

    return run
