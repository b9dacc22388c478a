"""What a question may cost, as its options say: --most-rows and --timeout."""

from __future__ import annotations

import contextlib
import functools
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import click

from whence.model.errors import BudgetExceeded, ContractError
from whence.model.time import Duration
from whence.query.contracts.contract import parse_length
from whence.query.words import duration_text

__all__ = ["Allowed", "allowed_options"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Allowed:
    """How many rows a question may come to, and how long it may take; None is no limit."""

    rows: int | None
    time: Duration | None

    @contextlib.contextmanager
    def spent(self, advice: str) -> Iterator[None]:
        """Raises BudgetExceeded out of the body when its time is over, and adds advice to others.

        What is done in the main thread ends at once, whatever it is; elsewhere nothing ends.
        """
        with contextlib.ExitStack() as stack:
            if self.time is not None:
                stack.enter_context(_ended_after(self.time))
            try:
                yield
            except BudgetExceeded as error:
                raise BudgetExceeded(f"{error} ({advice})") from None


def allowed_options(
    rows: str | None, most_rows: int | None = None, time: str = "5min"
) -> Callable[[F], F]:
    """Adds --timeout, and --most-rows if `rows` says what it is of; they come as one `allowed`."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def with_allowed(
            *args: Any, most_rows: int | None = most_rows, timeout: Duration, **more: Any
        ) -> Any:
            return function(*args, allowed=Allowed(most_rows, timeout), **more)

        decorated: Any = click.option(
            "--timeout",
            default=time,
            show_default=True,
            callback=_length,
            metavar="LENGTH",
            help="No answer within that time is an error.",
        )(with_allowed)
        if rows is not None:
            decorated = click.option(
                "--most-rows",
                type=click.IntRange(1),
                default=most_rows,
                show_default=most_rows is not None,
                metavar="ROWS",
                help=rows,
            )(decorated)
        return cast(F, decorated)

    return decorate


def _length(context: click.Context, parameter: click.Parameter, value: str) -> Duration:
    try:
        length = parse_length(value)
    except ContractError as error:
        raise click.BadParameter(str(error)) from None
    if length.nanos <= 0:
        raise click.BadParameter("no time at all is too little")
    return length


@contextlib.contextmanager
def _ended_after(time: Duration) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: object) -> None:
        text = duration_text(time.nanos)
        raise BudgetExceeded(f"no answer within {text}: narrow the question, or allow more time")

    before = signal.signal(signal.SIGALRM, end)
    rest_s, again_s = signal.setitimer(signal.ITIMER_REAL, min(time.nanos / 1e9, 1e8))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, rest_s, again_s)
        signal.signal(signal.SIGALRM, before)
