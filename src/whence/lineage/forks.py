"""What a forked child makes anew: locks that other threads held, sets that its parent sends."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["Renewed", "renew_in_children"]


class Renewed(Protocol):
    """Something with a lock."""

    def renew(self) -> None:
        """Makes it usable in a child that was just forked."""
        ...


_all: WeakSet[Renewed] = WeakSet()


def renew_in_children(each: Renewed) -> None:
    """Has renew() called in every child that is forked while this lives."""
    _all.add(each)


def _in_child() -> None:
    for each in list(_all):
        each.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
