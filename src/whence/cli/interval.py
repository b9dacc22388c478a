"""The option --interval of commands that look again and again."""

from __future__ import annotations

import click

from whence.model.errors import ContractError
from whence.query.contracts.contract import parse_length

__all__ = ["seconds_of"]

LEAST_S, MOST_S = 0.05, 3600.0


def seconds_of(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> float | None:
    """The seconds of a length such as 500ms or 2s; a usage error for what makes no sense."""
    if value is None:
        return None
    try:
        seconds = parse_length(value).nanos / 1e9
    except ContractError as error:
        raise click.BadParameter(str(error)) from None
    if not LEAST_S <= seconds <= MOST_S:
        raise click.BadParameter("from 50ms to 1h")
    return seconds
