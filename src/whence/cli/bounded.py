"""Bounds what memory a command may take beyond what it has: what is asked for may want all."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["bounded_memory"]

_DATA = re.compile(r"^VmData:\s+(\d+) kB", re.MULTILINE)


@contextlib.contextmanager
def bounded_memory(more_bytes: int) -> Iterator[None]:
    """Within it allocations fail that would take so many bytes more, all threads together.

    They fail as if there were no memory, which libraries tell as their own errors. Only Linux
    counts so; elsewhere nothing is bounded.
    """
    try:
        import resource

        found = _DATA.search(Path("/proc/self/status").read_text())
        before = resource.getrlimit(resource.RLIMIT_DATA)
    except (ImportError, OSError):
        found = None
    if found is None:
        yield
        return
    most, (soft, hard) = int(found[1]) * 1024 + more_bytes, before
    narrower = [each for each in (most, soft, hard) if each != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(narrower), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
