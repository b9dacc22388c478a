"""What whence holds in memory: ten recording threads and a collector in one process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

__all__ = ["lines"]

# 120,000 events in some seconds, with room to breathe: nothing is lost, so all pass the collector.
PROGRAM = """
import sys, tempfile, threading, time, whence
from whence.export import ndjson_sink

def rss(what):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(what))

@whence.kind(component="Bench")
def tick(n: int, name: str, x: float) -> None: ...

def work():
    for n in range(12_000):
        tick(n, "name", 0.5)
        if n % 100 == 0:
            time.sleep(0.02)

with tempfile.TemporaryDirectory() as folder:
    out, batch_size = [folder + "/out.ndjson"], int(sys.argv[1])
    with whence.BackgroundCollector(out, interval_ms=200, batch_size=batch_size) as collector:
        before = rss("VmRSS")
        threads = [threading.Thread(target=work) for _ in range(10)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert collector.flush()
        print(rss("VmHWM") - before)
"""


def lines() -> Iterator[tuple[str, str, str]]:
    """(what, target, result) with batches of 5,000 events and of 1,000. R1.16 R1.55"""
    for batch_size in (5_000, 1_000):
        yield (
            f"ten workers and a collector, at most, in batches of {batch_size:,}",
            "< 12 MB",
            f"{_peak_bytes(batch_size) / 1e6:.1f} MB",
        )


def _peak_bytes(batch_size: int) -> int:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(batch_size)],
        check=True,
        env=environment,
        capture_output=True,
        text=True,
    )
    return int(done.stdout) * 1024
