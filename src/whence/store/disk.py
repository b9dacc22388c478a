"""The few file operations that a commit is made of; tests put failing ones in their place."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

__all__ = ["Disk", "read_plain_file"]


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


def read_plain_file(path: Path) -> bytes:
    """The content of a file that is no link, device or pipe. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        return file.read()
