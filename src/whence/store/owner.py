"""The one owner of a store: a lock on a file that says whose it is, and that a fork gives up."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import struct
import time
import weakref
from pathlib import Path
from typing import NamedTuple

from whence.model.errors import StoreOwned
from whence.ring.session_file import is_locked
from whence.store.place import LOCK

__all__ = ["Owner", "OwnerLock", "owner_of"]

_held: weakref.WeakSet[OwnerLock] = weakref.WeakSet()


class Owner(NamedTuple):
    """Who writes to a store: a process, and what it is in its own words."""

    pid: int
    words: str = ""

    def __str__(self) -> str:
        pid = f"pid {self.pid}" if self.pid else "an unknown process"
        return f"{pid} ({self.words})" if self.words else pid


class OwnerLock:
    """The ownership of a store's folder, until close() or the end of the process.

    Raises StoreOwned, which names the owner, when another has it; OSError where it cannot be made.
    A forked child does not have it.
    """

    def __init__(self, folder: Path, words: str, mode: int = 0o600) -> None:
        self._path = folder / LOCK
        self._handle = _locked(self._path, mode)
        self._inode = os.fstat(self._handle).st_ino
        note = {"pid": os.getpid(), "words": words, "since_wall_ns": time.time_ns()}
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, json.dumps(note).encode() + b"\n", 0)
        _held.add(self)

    @property
    def holds(self) -> bool:
        """Whether the folder still is the one that was locked, and this the process that did."""
        try:
            return self._handle >= 0 and os.lstat(self._path).st_ino == self._inode
        except OSError:
            return False

    def close(self) -> None:
        """Gives the store up to whoever asks next."""
        _held.discard(self)
        if self._handle >= 0:
            with contextlib.suppress(OSError):
                os.close(self._handle)
            self._handle = -1


def owner_of(folder: Path) -> Owner | None:
    """Who owns a store at this moment; None for nobody."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return _noted(handle) if is_locked(handle) else None
    except OSError:
        return None
    finally:
        os.close(handle)


def _locked(path: Path, mode: int) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    while True:
        handle = os.open(path, flags, mode)
        try:
            # of this open file: closing another handle of the same file does not give it up
            whole = struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0)
            fcntl.fcntl(handle, fcntl.F_OFD_SETLK, whole)
            if os.fstat(handle).st_ino == os.lstat(path).st_ino:
                return handle
        except FileNotFoundError:
            pass  # somebody took the file away between opening and locking it
        except OSError:
            owner = _noted(handle)
            os.close(handle)
            raise StoreOwned(
                f"{path.parent} belongs to {owner}, which is running and writes to it; "
                "stop it, or name another folder"
            ) from None
        os.close(handle)


def _noted(handle: int) -> Owner:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        note = json.loads(os.pread(handle, 4096, 0))
        return Owner(int(note["pid"]), str(note["words"])[:200])
    return Owner(0)


def _after_fork_in_child() -> None:
    """The child shares the open file, and with it the lock: closed, it is the parent's alone."""
    for lock in list(_held):
        lock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
