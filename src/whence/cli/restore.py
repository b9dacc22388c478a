"""whence restore: makes a store of a backup."""

from __future__ import annotations

from whence.cli.backup import restore

__all__ = ["restore"]
