"""When a dead session may go: after it was collected or recovered, or when the folder is full."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from pathlib import Path

from whence.model.errors import WhenceError
from whence.model.recording import SessionInfo
from whence.ring.byte_cap import UNFINISHED, cap_of, folder_bytes
from whence.ring.folders import base_folders, session_folders
from whence.ring.session_file import read_session_file

__all__ = ["enforce_byte_cap", "last_removal", "last_removed", "remove_session"]

TOMBSTONES = "tombstones.ndjson"
# What whence makes in a session's folder; what else lies there is somebody's and stays.
_OURS = re.compile(r"session|control|names|gates|ring-[0-9]+|\.new-[0-9]+")
_LONGEST_NOTE = 64 << 10
_STORE = re.compile(r"\bstore:([^,)]+)")  # in why a session was removed
UNFINISHED_AGE_S = 60.0  # a session is made within milliseconds


def enforce_byte_cap(
    base: Path | None = None, cap_bytes: int | None = None, *, most: int | None = None
) -> list[str]:
    """Removes the oldest dead sessions until those in `base` take at most `cap_bytes`.

    Stops after `most` sessions: whoever waits for it leaves the rest to the next caller. Live
    sessions are never touched. Each removed session leaves a line in `tombstones.ndjson`.
    The cap is $WHENCE_CAP_BYTES, by default 1 GiB or half of the file system, if that is less.
    Returns the names removed; never raises for what other processes do to the folder meanwhile.
    """
    where = base or base_folders()[0]
    _remove_unfinished(where)
    cap = cap_bytes if cap_bytes is not None else cap_of(where)
    folders = list(session_folders(where))  # newest first
    sizes = {folder: folder_bytes(folder) for folder in folders}
    total = sum(sizes.values())
    removed: list[str] = []
    for folder in reversed(folders):
        if total <= cap or (most is not None and len(removed) >= most):
            break
        try:
            session = read_session_file(folder)
        except (WhenceError, OSError):
            continue  # not ours to judge
        if session.live:
            continue
        with contextlib.suppress(OSError):  # another process removes it, or keeps files in it
            remove_session(session, "byte cap: removed before anybody collected it")
            removed.append(session.name)
            total -= sizes[folder]
    return removed


def _remove_unfinished(base: Path) -> None:
    """Removes folders whose making was cut short by a kill: nobody will complete them."""
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(base)):
            if not entry.name.startswith(UNFINISHED) or not entry.is_dir(follow_symlinks=False):
                continue
            with contextlib.suppress(OSError):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > UNFINISHED_AGE_S:
                    for name in os.listdir(entry.path):
                        os.unlink(os.path.join(entry.path, name))
                    os.rmdir(entry.path)


def remove_session(session: SessionInfo, why: str) -> None:
    """Removes a dead session's folder and notes it. Raises ValueError for a live one, OSError."""
    if session.live:
        raise ValueError(f"session {session.name} is being recorded by pid {session.pid}")
    folder = Path(session.path)
    _note(folder.parent, session, why)
    names = [name for name in os.listdir(folder) if _OURS.fullmatch(name)]
    # The session file goes last: what is left by a removal cut short is still a dead session.
    for name in sorted(names, key=lambda name: name == "session"):
        with contextlib.suppress(FileNotFoundError):  # another process removes it, too
            os.unlink(folder / name)
    with contextlib.suppress(OSError):  # a folder that somebody put there stays
        folder.rmdir()


def last_removal(base: Path) -> str:
    """Which session was the last to be removed from there, and why; "" if nothing tells."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        handle = os.open(base / TOMBSTONES, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            newest = os.pread(
                handle, _LONGEST_NOTE, max(0, os.fstat(handle).st_size - _LONGEST_NOTE)
            )
        finally:
            os.close(handle)
        note = json.loads(newest.splitlines()[-1])
        return f"{note['session']} ({note['why']})"
    return ""


def last_removed() -> str:
    """Which session was the last to be removed, why, and where to ask instead; "" if none was."""
    for base in base_folders():
        if removed := last_removal(base):
            store = _STORE.search(removed)
            return f"{removed}; ask --from {store[1]}" if store else removed
    return ""


def _note(base: Path, session: SessionInfo, why: str) -> None:
    line = json.dumps(
        {
            "session": session.name,
            "uuid": session.uuid,
            "pid": session.pid,
            "service": session.service,
            "removed_wall_ns": time.time_ns(),
            "bytes": folder_bytes(Path(session.path)),
            "why": why,
        }
    )
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(base / TOMBSTONES, flags, 0o600)
    try:
        os.write(handle, line.encode() + b"\n")
    finally:
        os.close(handle)
