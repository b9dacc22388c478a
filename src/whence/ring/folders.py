"""Where sessions are, and how their files are opened without being led astray."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from whence.model.errors import NotASession

__all__ = ["base_folders", "open_session_file", "ring_files", "session_folders"]

_RING_NAME = re.compile("ring-[0-9]{5,9}")


def base_folders() -> list[Path]:
    """The folders that may hold sessions: the one recorded to first, then where else to look."""
    if chosen := os.environ.get("WHENCE_DIR"):
        return [Path(chosen)]
    if sys.platform == "darwin":
        return [Path(os.environ.get("TMPDIR", "/tmp")) / f"whence-{os.geteuid()}"]
    folders = [Path(f"/dev/shm/whence-{os.geteuid()}")]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        folders.append(Path(runtime) / "whence")
    return folders


def session_folders(base: Path) -> Iterator[Path]:
    """The session folders in `base`, newest name first. Links and hidden folders are not ours."""
    try:
        entries = sorted(os.scandir(base), key=lambda entry: entry.name, reverse=True)
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
            continue
        if os.path.lexists(os.path.join(entry.path, "session")):
            yield Path(entry.path)


def open_session_file(folder: Path, name: str, access: int = os.O_RDONLY) -> int:
    """A descriptor of a file in a session folder, for reading; the caller closes it.

    `access` may ask for more than reading; the file must exist. Raises NotASession for what is no
    plain file of this user's (a link, a pipe, another user's file, one with a second name), and
    OSError.
    """
    # O_NONBLOCK: a pipe put in the file's place must not make us wait for its writer.
    flags = access | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    where = folder / name
    try:
        handle = os.open(where, flags)
    except OSError as error:
        if where.is_symlink() or folder.is_symlink():
            raise NotASession(f"{where} is a symbolic link; sessions have none") from error
        raise
    status = os.fstat(handle)
    problem = _problem_with(status)
    if problem:
        os.close(handle)
        raise NotASession(f"{where} {problem}")
    return handle


def ring_files(folder: Path) -> list[str]:
    """The names of a session's ring files, in the order of their numbers."""
    names = [entry.name for entry in os.scandir(folder) if _RING_NAME.fullmatch(entry.name)]
    return sorted(names, key=lambda name: int(name[5:]))


def _problem_with(status: os.stat_result) -> str:
    if not stat.S_ISREG(status.st_mode):
        return "is not a plain file"
    if status.st_nlink != 1:
        return "has a second name; session files have one"
    if status.st_uid not in (os.geteuid(), 0) and os.geteuid() != 0:
        return "" if _is_the_groups(status) else _another_users(status)
    return ""


def _is_the_groups(status: os.stat_result) -> bool:
    """Whether another user's file is meant for a group of ours, where $WHENCE_GROUP=1 trusts it."""
    if os.environ.get("WHENCE_GROUP") != "1" or status.st_mode & 0o007:
        return False
    return status.st_gid == os.getegid() or status.st_gid in os.getgroups()


def _another_users(status: os.stat_result) -> str:
    who = f"belongs to user {status.st_uid}"
    if os.environ.get("WHENCE_GROUP") != "1":
        return f"{who}; run as them, or set WHENCE_GROUP=1 there and here if you share a group"
    return f"{who} and group {status.st_gid}, which is none of yours, or others may open it"
