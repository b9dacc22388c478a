"""Figures that are no ratios, for the record: nanoseconds, allocations, bytes, import time."""

from __future__ import annotations

import itertools
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import whence
from benchmarks.emit import bench_numbers
from whence import _native
from whence.collect.local import drain_local, local_session

__all__ = ["lines"]

EVENTS = 10_000


def lines() -> Iterator[tuple[str, str, str]]:
    """(what, target, result) of each."""
    yield "typed event, P99 of the distance of consecutive stamps", "< 100 ns", f"{_p99_ns()} ns"
    yield (
        "export_json of 10,000 events, file and fsync included",
        "< 5 ms",
        f"{_export_ms():.1f} ms",
    )
    yield "import whence, less the interpreter's own start", "< 30 ms", f"{_import_ms():.0f} ms"
    session = whence.session()
    if session is not None and session.path is not None:
        ring = (session.path / "ring-00000").stat().st_size
        yield "a thread's ring file", "640,000 + 16,384 + 262,144 bytes", f"{ring:,} bytes"


def _p99_ns() -> int:
    """Of consecutive stamps of one thread in a tight loop. R1.13 R1.54"""
    emit = bench_numbers.emit
    for i in range(EVENTS):
        emit(i, i, 0.5)
    session = local_session()
    assert session is not None
    readers = [reader for reader in _native.local_rings() if not reader.shared]
    batch, _ = drain_local(readers, session)
    stamps = [row[3] for row in batch.rows()]
    distances = [b - a for a, b in itertools.pairwise(stamps)]
    return math.ceil(statistics.quantiles(distances, n=100)[98])


def _export_ms() -> float:
    """The median of five exports, to a file on a disk. R1.17"""
    collector = whence.TraceCollector(EVENTS)
    for i in range(EVENTS):
        collector.record_now("scheduling_decision", "Scheduler", f"Selected ocr_rec: {i} ns left")
    path = f"/tmp/whence-bench-{os.getpid()}.json"
    try:
        costs = []
        for _ in range(5):
            begin = time.perf_counter_ns()
            collector.export_json(path)
            costs.append(time.perf_counter_ns() - begin)
        return statistics.median(costs) / 1e6
    finally:
        os.unlink(path)


def _import_ms() -> float:
    """The median of nine starts with `import whence`, less the median of nine without."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def start(program: str) -> float:
        begin = time.perf_counter_ns()
        subprocess.run([sys.executable, "-c", program], check=True, env=environment)
        return (time.perf_counter_ns() - begin) / 1e6

    start("import whence")
    with_it = statistics.median(start("import whence") for _ in range(9))
    return with_it - statistics.median(start("pass") for _ in range(9))
