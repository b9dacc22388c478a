"""Fills a store and counts what that costs: T21, T22 and T25."""

from __future__ import annotations

import gc
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.store.rows import Load, event_tables
from whence.store.columns import SCHEMA
from whence.store.folder import FolderStore

__all__ = ["Filled", "append_ns", "fill", "plain_write_ns"]


@dataclass(frozen=True)
class Filled:
    """What a fill came to. `append_s` leaves out the making of the events."""

    rows: int
    append_s: float
    cpu_s: float
    longest_commit_s: float
    bytes: int
    files: int

    @property
    def rows_per_s(self) -> float:
        return self.rows / self.append_s

    @property
    def bytes_per_row(self) -> float:
        return self.bytes / self.rows


def fill(path: Path, load: Load, told: Callable[[int], None] = lambda rows: None) -> Filled:
    """Appends the load, one commit a table: each is on the disk before the next is made."""
    with FolderStore(path, write=True) as store:
        rows, append_s, cpu_s, longest = 0, 0.0, 0.0, 0.0
        for table in event_tables(load, SCHEMA):
            gc.collect()
            began, cpu = time.perf_counter(), time.process_time()
            store.append(table)
            took = time.perf_counter() - began
            cpu_s += time.process_time() - cpu
            append_s, longest = append_s + took, max(longest, took)
            rows += len(table)
            told(rows)
        files = store.manifest.files
        total = sum(each.bytes for each in files)
        return Filled(rows, append_s, cpu_s, longest, total, len(files))


def plain_write_ns(table: pa.Table, repetitions: int = 5) -> float:
    """What pyarrow takes to write a table to memory as its defaults with zstd have it: the peer."""
    costs = []
    for _ in range(repetitions):
        began = time.perf_counter_ns()
        pq.write_table(table, io.BytesIO(), compression="zstd")
        costs.append(time.perf_counter_ns() - began)
    return statistics.median(costs)


def append_ns(table: pa.Table, repetitions: int = 5) -> float:
    """What a store takes to have the same table on the disk."""
    costs = []
    with (
        tempfile.TemporaryDirectory(dir=os.environ.get("WHENCE_BENCH_DIR")) as base,
        FolderStore(Path(base) / "store", write=True) as store,
    ):
        for _ in range(repetitions):
            began = time.perf_counter_ns()
            store.append(table)
            costs.append(time.perf_counter_ns() - began)
    return statistics.median(costs)
