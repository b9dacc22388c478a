"""A chain asked cold: the store's own files leave the page cache, and a new process asks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from whence.model.query import TraceQuery
from whence.query.engines.folder import FolderEngine

__all__ = ["cold_chain", "evict"]


def cold_chain(path: Path, request: str) -> float:
    """Milliseconds from opening the engine to the events; the process has loaded its modules."""
    evict(path)
    command = [sys.executable, "-m", "benchmarks.store.cold", str(path), request]
    paths = os.pathsep.join(each for each in sys.path if each)
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": paths}
    )
    return float(done.stdout)


def evict(path: Path) -> None:
    """Drops what the kernel keeps of these files, after it is on the disk."""
    for file in path.rglob("*"):
        if file.is_file():
            handle = os.open(file, os.O_RDONLY)
            try:
                os.fsync(handle)
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(handle)


def main() -> None:
    began = time.perf_counter()
    with FolderEngine(sys.argv[1]) as engine:
        found = engine.recording(TraceQuery(request_id=sys.argv[2]))
        took = time.perf_counter() - began
    assert found.events
    print(took * 1e3)


if __name__ == "__main__":
    main()
