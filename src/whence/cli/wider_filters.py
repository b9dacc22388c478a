"""Filters for questions about many events: status, errors, a text, a condition, wall time."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import click

from whence.cli.filters import Picked, filter_options
from whence.model.errors import ContractError
from whence.query.contracts.contract import parse_length

__all__ = ["wider_filter_options"]

F = TypeVar("F", bound=Callable[..., Any])
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def wider_filter_options(function: F) -> F:
    """Adds the filters of filter_options and more, which reach the command as one `picked`."""

    @functools.wraps(function)
    def with_more(
        *args: Any,
        picked: Picked,
        chain: str | None,
        trace: str | None,
        lineage_id: int | None,
        status: str | None,
        has_errors: bool | None,
        text: str | None,
        where: str | None,
        since_ns: int | None,
        until_ns: int | None,
        **more: Any,
    ) -> Any:
        try:
            query = replace(
                picked.query,
                decision_chain_id=chain,
                trace_id=trace.lower().replace("-", "") if trace is not None else None,
                lineage_id=lineage_id,
                status=status,
                has_errors=has_errors,
                text=text,
                where=where,
                from_wall_ns=since_ns,
                until_wall_ns=until_ns,
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        return function(*args, picked=replace(picked, query=query), **more)

    decorated: Any = with_more
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return cast(F, filter_options(decorated))


def _moment(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Wall time in nanoseconds: an ISO 8601 moment, local unless it says, or so long ago."""
    if value is None:
        return None
    try:
        return time.time_ns() - parse_length(value).nanos
    except ContractError:
        pass
    try:
        moment = datetime.fromisoformat(value).astimezone()
    except (ValueError, OverflowError, OSError):
        raise click.BadParameter(
            f"{value!r} is neither a moment such as 2026-11-20T14:23:45 nor a length such as 90s"
        ) from None
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


_OPTIONS = (
    click.option("--chain", metavar="ID", help="Only events of this decision chain."),
    click.option("--trace", metavar="ID", help="Only events of this trace: 32 digits."),
    click.option(
        "--lineage",
        "lineage_id",
        metavar="ID",
        type=click.IntRange(1, 2**64 - 1),
        help="Only events that bear this lineage id, all its digits.",
    ),
    click.option("--status", type=click.Choice(["ok", "error"]), help="Only spans that ended so."),
    click.option(
        "--errors/--no-errors",
        "has_errors",
        default=None,
        help="Only events of severity Error or more or status error; or only all others.",
    ),
    click.option("--text", help="Only events with this text in their rationale."),
    click.option(
        "--where",
        metavar="CONDITION",
        help='Only events of which this holds: "admitted = false and wcrt_ns > 5ms".',
    ),
    click.option(
        "--since",
        "since_ns",
        callback=_moment,
        metavar="TIME",
        help="Only events from this moment on, or from so long ago: 2026-11-20T14:00, 90s.",
    ),
    click.option(
        "--until",
        "until_ns",
        callback=_moment,
        metavar="TIME",
        help="Only events before this moment.",
    ),
)
