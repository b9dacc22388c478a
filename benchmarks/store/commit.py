"""What a commit costs: T21 from a ring to the disk, T22 and T25 over many commits."""

from __future__ import annotations

import io
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.emit import bench_numbers
from benchmarks.ratio import Ratio, compare_functions
from benchmarks.read import own_ring
from whence import _native
from whence.store.folder import FolderStore

__all__ = ["commit_ratio", "typed_bytes"]

EVENTS = 10_000  # a ring
RINGS = 20  # drained into one batch: a second's events


def _batch() -> tuple[_native.Batch, dict[str, int]]:
    bench_numbers(0, 0, 0.0)  # so that there is a ring
    reader, catalogue, session = own_ring()
    batch = _native.Batch()
    for number in range(RINGS):
        for i in range(EVENTS):
            bench_numbers(i, number * i, 0.5 * i)
        batch.drain(reader, catalogue, session.name, session.key)
    return batch, {session.name: 1_759_000_000_000_000_000}


def commit_ratio(folder: Path, repetitions: int = 11) -> Ratio:
    """T21: a batch of 200,000 to a committed segment, to pyarrow writing its table to memory."""
    batch, clocks = _batch()
    table = pa.table(batch.arrow(clocks))
    with (
        tempfile.TemporaryDirectory(dir=folder) as base,
        FolderStore(Path(base) / "store", write=True) as store,
    ):

        def commit() -> float:
            began = time.perf_counter_ns()
            store.append(pa.table(batch.arrow(clocks)))
            return (time.perf_counter_ns() - began) / len(table)

        def plain() -> float:
            began = time.perf_counter_ns()
            pq.write_table(table, io.BytesIO(), compression="zstd")
            return (time.perf_counter_ns() - began) / len(table)

        return compare_functions(commit, plain, repetitions)


def typed_bytes(folder: Path) -> float:
    """T25: bytes at rest of an event of three scalars."""
    batch, clocks = _batch()
    with (
        tempfile.TemporaryDirectory(dir=folder) as base,
        FolderStore(Path(base) / "store", write=True) as store,
    ):
        table = pa.table(batch.arrow(clocks))
        store.append(table)
        return store.snapshot().files[0].stat().st_size / len(table)
