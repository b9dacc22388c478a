"""Processes of this host: which one a pid means, and whether it still lives."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

__all__ = ["Process", "lives", "this_process"]


class Process(NamedTuple):
    """A process: `start_time` tells it from a later one of the same pid."""

    process_id: int
    start_time: str  # boot id and clock ticks since that boot


def this_process() -> Process:
    """The process that asks."""
    pid = os.getpid()
    return Process(pid, _start_time(pid) or "")


def lives(process: Process) -> bool:
    """Whether it has not ended yet. A process that cannot be looked at counts as living."""
    try:
        return _start_time(process.process_id) == process.start_time
    except OSError:
        return True


def _start_time(pid: int) -> str | None:
    """None where there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # the name, in brackets, may hold anything; state is the first field behind it, start the 20th
    return f"{boot}/{stat.rpartition(')')[2].split()[19]}"
