"""How much dead sessions may take, looked up with the least imports: producers do it, too."""

from __future__ import annotations

import contextlib
import os
import sys

__all__ = ["UNFINISHED", "cap_of", "folder_bytes", "tell_once", "wants_clearing"]

DEFAULT_CAP_BYTES = 1 << 30
UNFINISHED = ".new-"  # how the name of a session that is being made begins

_told: set[str] = set()


def wants_clearing(base: str) -> bool:
    """Whether the sessions in `base` exceed the cap or one was left half-made.

    A process asks this once, when its session was made: some 10 us a session that is there.
    """
    total = 0
    try:
        for entry in os.scandir(base):
            if entry.name.startswith(UNFINISHED):
                return True
            if entry.is_dir(follow_symlinks=False):
                total += folder_bytes(entry.path)
    except OSError:
        return False
    return total > cap_of(base)


def folder_bytes(folder: str | os.PathLike[str]) -> int:
    """What the files of a session's folder take; 0 where it vanished meanwhile."""
    try:
        return sum(
            entry.stat(follow_symlinks=False).st_blocks * 512 for entry in os.scandir(folder)
        )
    except OSError:
        return 0


def cap_of(base: str | os.PathLike[str]) -> int:
    """$WHENCE_CAP_BYTES, by default 1 GiB or half of the file system, if that is less."""
    text = os.environ.get("WHENCE_CAP_BYTES", "")
    if text.isascii() and text.isdecimal():
        return int(text)
    if text:
        tell_once(f"WHENCE_CAP_BYTES={text!r} is no number of bytes; the default applies")
    try:
        room = os.statvfs(base)
    except OSError:
        return DEFAULT_CAP_BYTES
    return min(DEFAULT_CAP_BYTES, room.f_frsize * room.f_blocks // 2)


def tell_once(trouble: str) -> None:
    """Says on standard error what is wrong with a setting, once in a process."""
    if trouble in _told:
        return
    _told.add(trouble)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(f"whence: {trouble}", file=sys.stderr)
