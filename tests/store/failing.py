"""A disk whose operations fail or kill, as a test tells it to."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

from whence.store.disk import Disk

__all__ = ["CountingDisk", "FailingDisk", "KillingDisk"]


class CountingDisk(Disk):
    """Counts its operations and keeps what they were."""

    def __init__(self) -> None:
        self.done: list[str] = []
        super().__init__(self.count)

    def count(self, operation: str, path: Path) -> None:
        """Notes one operation."""
        self.done.append(f"{operation} {path.name}")


class FailingDisk(CountingDisk):
    """Fails its n-th operation; with `until_freed` all that follow, too."""

    def __init__(self, at: int, error: int = errno.ENOSPC, *, until_freed: bool = False) -> None:
        super().__init__()
        self.at = at
        self.error = error
        self.until_freed = until_freed

    def free(self) -> None:
        """From now on nothing fails."""
        self.at = -1

    def count(self, operation: str, path: Path) -> None:
        """Fails where it should."""
        super().count(operation, path)
        number = len(self.done)
        if number == self.at or (self.until_freed and 0 < self.at <= number):
            raise OSError(self.error, os.strerror(self.error), str(path))


class KillingDisk(CountingDisk):
    """Kills its process before the n-th operation."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def count(self, operation: str, path: Path) -> None:
        """Ends where it should."""
        super().count(operation, path)
        if len(self.done) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
