"""The few file operations that a commit is made of; tests put failing ones in their place."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["Disk", "Stream", "read_plain_file"]

PIECE_BYTES = 1 << 20


class Disk:
    """Writes whole files durably. Everything raises OSError, and follows no link at the end.

    `before` is called with the name of each operation and its path just before it is done.
    """

    def __init__(self, before: Callable[[str, Path], None] | None = None) -> None:
        self._before = before or (lambda operation, path: None)

    def make_folder(self, path: Path, mode: int = 0o700) -> None:
        """A folder, unless it is there; its name is durable afterwards."""
        with contextlib.suppress(FileExistsError):
            self._before("make", path)
            os.mkdir(path, mode)
            self.sync_folder(path.parent)
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(path))

    def write(self, path: Path, content: bytes | memoryview, mode: int = 0o600) -> None:
        """A new file with its content on the disk; one of that name is taken away before."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self._before("create", path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(path, flags, mode)
        try:
            left = memoryview(content)
            while len(left):
                self._before("write", path)
                left = left[os.write(handle, left) :]
            self._before("sync", path)
            os.fsync(handle)
        finally:
            os.close(handle)

    @contextlib.contextmanager
    def stream(self, path: Path, mode: int = 0o600) -> Iterator[Stream]:
        """A new file that is written piece by piece; taken away again if that fails."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self._before("create", path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(path, flags, mode)
        stream = Stream(handle, lambda operation: self._before(operation, path))
        try:
            yield stream
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise
        finally:
            stream.end()

    def replace(self, source: Path, target: Path) -> None:
        """Gives a file another name, at once; durable after sync_folder()."""
        self._before("rename", target)
        os.replace(source, target)

    def link(self, source: Path, target: Path) -> None:
        """A second name for a file, in the place of whatever has it."""
        beside = target.with_name(f".{target.name}.new")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        self._before("link", target)
        os.link(source, beside, follow_symlinks=False)
        os.replace(beside, target)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)  # renaming does nothing where both are names of one file

    def unlink(self, path: Path) -> None:
        """Takes a file away; nothing if it is gone already."""
        self._before("unlink", path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def sync_folder(self, path: Path) -> None:
        """Makes the names in a folder durable."""
        self._before("sync folder", path)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class Stream:
    """What Parquet is written to: knows its size and checksum. Everything raises OSError."""

    closed = False

    def __init__(self, handle: int, before: Callable[[str], None]) -> None:
        self.size = 0
        self.crc32 = 0
        self._handle = handle
        self._before = before
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._unsynced_bytes = 0

    def write(self, piece: Any) -> int:
        """Takes bytes over; they go on in larger pieces."""
        content = bytes(piece)
        if self._handle < 0:  # a writer that was given up says its last
            return len(content)
        self.size += len(content)
        self.crc32 = zlib.crc32(content, self.crc32)
        self._waiting.append(content)
        self._waiting_bytes += len(content)
        if self._waiting_bytes >= PIECE_BYTES:
            self.flush()
        return len(content)

    def flush(self) -> None:
        """Hands what waits to the system."""
        if self._handle < 0:
            return
        left = memoryview(b"".join(self._waiting))
        self._waiting, self._waiting_bytes = [], 0
        self._unsynced_bytes += len(left)
        while len(left):
            self._before("write")
            left = left[os.write(self._handle, left) :]

    def sync(self, least_bytes: int = 0) -> None:
        """Makes what was written durable, if that is as much."""
        if self._waiting_bytes + self._unsynced_bytes >= least_bytes:
            self.flush()
            self._before("sync")
            os.fsync(self._handle)
            self._unsynced_bytes = 0

    def end(self) -> None:
        """Closes the file."""
        os.close(self._handle)
        self._handle = -1

    def tell(self) -> int:
        """How far it is."""
        return self.size

    def writable(self) -> bool:
        """It is."""
        return True

    def readable(self) -> bool:
        """It is not."""
        return False

    seekable = readable

    def close(self) -> None:
        """Nothing: the file is closed by whoever opened it."""


def read_plain_file(path: Path) -> bytes:
    """The content of a file that is no link, folder, device or pipe. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        with open(handle, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(handle)
