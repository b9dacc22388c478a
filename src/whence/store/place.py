"""Where a store may be made, and what the things in its folder are called."""

from __future__ import annotations

import os
from pathlib import Path

from whence.model.errors import NotAStore

__all__ = [
    "EVENTS",
    "FORGET",
    "LINKS",
    "LOCK",
    "MANIFEST",
    "NEW_MANIFEST",
    "PREVIOUS",
    "QUARANTINE",
    "RESERVE",
    "SESSIONS",
    "SHIPPED",
    "check_place",
]

MANIFEST = "MANIFEST"
PREVIOUS = "MANIFEST.previous"
NEW_MANIFEST = ".MANIFEST.new"
LOCK = "LOCK"
EVENTS = "events"
LINKS = "links"
SESSIONS = "sessions"
QUARANTINE = "quarantine"
FORGET = "forget"
SHIPPED = "shipped"
RESERVE = ".reserve"


def check_place(path: Path) -> None:
    """A store is made in a new or empty folder only, or where one was. Raises NotAStore."""
    if not path.exists():
        return
    if not path.is_dir():
        raise NotAStore(f"{path} is a file; a store is a folder")
    ours = {MANIFEST, PREVIOUS, NEW_MANIFEST, LOCK, EVENTS, SESSIONS, QUARANTINE, FORGET}
    ours |= {SHIPPED, RESERVE, LINKS}
    present = set(os.listdir(path))
    if present and not present & {MANIFEST, PREVIOUS} and (strange := sorted(present - ours)):
        raise NotAStore(
            f"{path} is no store and holds other things ({strange[0]}): name a new folder"
        )
