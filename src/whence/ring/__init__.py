"""The session folder: where it is, what its files say, who may read it, when it may go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whence._native import Ring

__all__ = ["Ring"]


def __getattr__(name: str) -> Any:
    if name == "Ring":
        from whence._native import Ring

        return Ring
    raise AttributeError(f"module 'whence.ring' has no attribute {name!r}")
