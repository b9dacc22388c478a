"""What a decision chose among."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from whence.model.read_only import ReadOnlyDict

__all__ = ["Option"]

_NO_SCORES: ReadOnlyDict[float] = ReadOnlyDict()


class Option(NamedTuple):
    """One of the things a decision chose among.

    `scores` maps a criterion to its number, `reason` says why the option was taken or left.
    """

    name: str
    scores: Mapping[str, float] = _NO_SCORES
    chosen: bool = False
    reason: str = ""
