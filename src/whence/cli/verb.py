"""What every command shares: the way errors are told, exit codes, and the --json option."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from whence.cli.render.page import line, page_cells, print_json, print_lines
from whence.cli.render.safe import clip, safe
from whence.model.errors import (
    AmbiguousId,
    BadCondition,
    BadQuestion,
    BudgetExceeded,
    ContractError,
    IdNotFound,
    NotASession,
    SessionNotFound,
    UnknownSink,
    WhenceError,
)

__all__ = ["FAILED", "INCOMPLETE", "NOT_FOUND", "USAGE", "Verb", "json_option"]

FAILED = 1
USAGE = 2
INCOMPLETE = 3
NOT_FOUND = 4

_CODES: tuple[tuple[type[Exception], int, str], ...] = (
    (IdNotFound, NOT_FOUND, "not found"),
    (SessionNotFound, NOT_FOUND, "not found"),
    (NotASession, NOT_FOUND, "not found"),
    (FileNotFoundError, NOT_FOUND, "not found"),
    (AmbiguousId, USAGE, "ambiguous"),
    (BadCondition, USAGE, "usage"),
    (BadQuestion, USAGE, "usage"),
    (BudgetExceeded, FAILED, "budget"),
    (ContractError, USAGE, "usage"),
    (UnknownSink, USAGE, "usage"),
)

F = TypeVar("F", bound=Callable[..., Any])


class Verb(click.Command):
    """A command that tells errors in one line, or as JSON where it was asked for JSON."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command; errors of ours and of the system become messages and exit codes."""
        try:
            return super().invoke(context)
        except BrokenPipeError:
            raise
        except (WhenceError, OSError) as error:
            code, word = _code(error)
            hints, what = _hints(error)
            if context.params.get("as_json"):
                found = {"error": word, "message": _message(error)}
                print_json(found | ({what: list(hints)} if hints else {}))
            else:
                print_lines([line(safe(f"whence: {_message(error)}"))], err=True)
                if hints and what == "nearest":
                    print_lines([line("Nearest:")], err=True)
                print_lines(
                    (line(f"    {clip(hint, page_cells() - 4)}") for hint in hints), err=True
                )
            context.exit(code)


def json_option(function: F) -> F:
    """Adds --json, which reaches the command as `as_json`."""
    option = click.option(
        "--json", "as_json", is_flag=True, help="Print JSON: whole numbers for time, ids as text."
    )
    return option(function)


def _code(error: Exception) -> tuple[int, str]:
    for kind, code, word in _CODES:
        if isinstance(error, kind):
            return code, word
    return FAILED, "failed"


def _message(error: Exception) -> str:
    """The error's own words; of the system's, those that people read."""
    if isinstance(error, OSError) and error.strerror and error.filename is None:
        return error.strerror
    return str(error)


def _hints(error: Exception) -> tuple[tuple[str, ...], str]:
    if isinstance(error, AmbiguousId):
        return error.candidates, "candidates"
    if isinstance(error, IdNotFound):
        return error.nearest, "nearest"
    return (), ""
