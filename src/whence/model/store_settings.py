"""What a program asks of the store it names: what is kept, and which attributes have columns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["NO_SETTINGS", "StoreSettings", "can_be_promoted", "checked_promoted"]

MOST_PROMOTED = 64
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")


class StoreSettings(NamedTuple):
    """None leaves a limit as the store has it; `promote` are attributes beside those it has."""

    keep_days: float | None = None
    keep_bytes: int | None = None
    promote: tuple[str, ...] = ()


NO_SETTINGS = StoreSettings()


def can_be_promoted(name: str) -> bool:
    """Whether a column may be called so: nothing in such a name needs care in any engine's text."""
    return _NAME.fullmatch(name) is not None


def checked_promoted(names: Iterable[str]) -> tuple[str, ...]:
    """The names of attributes in order, each once. Raises ValueError for what no column can be.

    Engines that take `Slack` and `slack` for one column would mix them up: that is refused, too.
    """
    wanted = tuple(sorted(set(names)))
    for name in wanted:
        if not can_be_promoted(name):
            raise ValueError(
                f"{name!r} can have no column: of ASCII letters, digits, '_', '.' and '-', 100 may"
            )
    if len({name.lower() for name in wanted}) < len(wanted):
        raise ValueError("attributes that differ only in case cannot both have columns")
    if len(wanted) > MOST_PROMOTED:
        raise ValueError(f"a store has columns for {MOST_PROMOTED} attributes at most")
    return wanted
