"""A file that a sink makes grow: its own, never a link, whole again after a crash."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path

from whence.collect.sink import Unavailable
from whence.export.codec import Codec
from whence.model.errors import ExportError

__all__ = ["Content", "GrowingFile", "open_locked", "rotated_name", "write_all"]

# (descriptor, place, most bytes): writes itself there, the same each time. Returns how many bytes
# it is, or None once they are more than that, if it is positive: then no more is written.
Content = Callable[[int, int, int], int | None]


def open_locked(path: Path) -> int:
    """A descriptor of the file, made with mode 0600 if there is none, locked by this process.

    Raises ExportError for what is no plain file, for a link, a file with a second name, and one
    that another process is writing; OSError where it cannot be had.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    while True:
        try:
            handle = os.open(path, flags, 0o600)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EMLINK) or path.is_symlink():
                raise ExportError(f"{path} is a symbolic link: name the file itself") from error
            if error.errno == errno.ENOENT and not path.parent.exists():
                raise ExportError(f"there is no folder {path.parent}; make it first") from error
            raise
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise ExportError(f"{path} is not a plain file")
            if status.st_nlink > 1:
                raise ExportError(f"{path} has a second name: collect into a file of its own")
            _lock(handle, path)
            if _is_at(handle, path):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # it was replaced before we had the lock


def rotated_name(path: Path) -> Path:
    """The first free name for a full file: out.ndjson.gz becomes out-000001.ndjson.gz."""
    stem, dot, suffixes = path.name.partition(".")
    for number in range(1, 1_000_000):
        candidate = path.with_name(f"{stem}-{number:06}{dot}{suffixes}")
        if not os.path.lexists(candidate):
            return candidate
    raise ExportError(f"{path} was rotated a million times: move the old files away")


def write_all(handle: int, content: bytes, at: int) -> None:
    """Writes all of it there. Raises OSError, ENOSPC for what the disk has no room for."""
    view = memoryview(content)
    while view:
        written = os.pwrite(handle, view, at)
        at += written
        view = view[written:]


class GrowingFile:
    """Bytes are appended and safe on disk when append() returns, or the file is as before."""

    def __init__(self, path: Path, rotate_bytes: int = 0) -> None:
        self.path = path
        self.rotate_bytes = rotate_bytes
        self._handle = open_locked(path)
        self.size_bytes = os.fstat(self._handle).st_size

    def append(self, content: bytes | Content) -> None:
        """Raises Unavailable, with the reason, where the disk or the folder does not allow it."""
        try:
            self._reopen_if_replaced()
            most_bytes = max(1, self.rotate_bytes - self.size_bytes) if self.size_bytes else 0
            if not self._append(content, most_bytes if self.rotate_bytes else 0):
                os.rename(self.path, rotated_name(self.path))
                self._reopen()
                self._append(content, 0)
        except OSError as error:
            raise Unavailable(error.strerror or str(error)) from error

    def read_from(self, begin: int) -> bytes:
        """What the file holds from there on."""
        parts = []
        while part := os.pread(self._handle, 1 << 20, begin):
            parts.append(part)
            begin += len(part)
        return b"".join(parts)

    def whole_end(self, codec: Codec | None) -> int:
        """Where the last whole line ends or, in a compressed file, the last whole member."""
        if codec is not None:
            with open(os.dup(self._handle), "rb") as file:
                return codec.scan(file).end
        at = self.size_bytes
        while at > 0:
            begin = max(0, at - (1 << 16))
            found = os.pread(self._handle, at - begin, begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            at = begin
        return 0

    def truncate(self, size_bytes: int) -> None:
        """Cuts off what a crash left half written."""
        os.ftruncate(self._handle, size_bytes)
        os.fsync(self._handle)
        self.size_bytes = size_bytes

    def descriptor(self) -> int:
        """For scanning; it stays this object's."""
        return self._handle

    def close(self) -> None:
        """Gives up the file and its lock. May come twice."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _append(self, content: bytes | Content, most_bytes: int) -> bool:
        """Whether it was no more than so many bytes, if that is positive; else it is undone."""
        added = None
        try:
            if not isinstance(content, bytes):
                added = content(self._handle, self.size_bytes, most_bytes)
            elif not most_bytes or len(content) <= most_bytes:
                write_all(self._handle, content, self.size_bytes)
                added = len(content)
            if added is not None:
                os.fdatasync(self._handle)
                self.size_bytes += added
                return True
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, self.size_bytes)
            raise
        os.ftruncate(self._handle, self.size_bytes)
        return False

    def _reopen_if_replaced(self) -> None:
        """Whoever rotates logs moves the file away; then a new one is begun."""
        if self._handle < 0 or not _is_at(self._handle, self.path):
            self._reopen()

    def _reopen(self) -> None:
        handle = open_locked(self.path)
        self.close()
        self._handle = handle
        self.size_bytes = os.fstat(handle).st_size


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ExportError(f"{path} is being written by another collector") from None


def _is_at(handle: int, path: Path) -> bool:
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    ours = os.fstat(handle)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
