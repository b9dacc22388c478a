"""Sizes as options say them: 500K, 64M, 1G."""

from __future__ import annotations

import click

__all__ = ["limit", "size"]


def size(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """The bytes that an option names; a callback of click."""
    if value is None:
        return None
    units = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    number = value.upper().rstrip("IB")
    unit = number[-1:] if number[-1:] in ("K", "M", "G") else ""
    digits = number.removesuffix(unit)
    if not digits.isdecimal() or int(digits) == 0:
        raise click.BadParameter(f"{value!r} is no size: 500K, 64M, 1G")
    return int(digits) * units[unit]


def limit(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """The same, or 0 for without end."""
    return 0 if value == "0" else size(context, parameter, value)
