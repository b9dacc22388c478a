"""A cluster of three shards on this machine: what it answers, loses, doubles and takes a second."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from benchmarks.run import machine
from benchmarks.store.fill import fill
from benchmarks.store.rows import DAY_NS, FIRST_NS, Load
from tests.peers.clickhouse import CLUSTER, WRITER, Node, nodes, settle
from whence.model.errors import ClusterUnavailable
from whence.model.query import TraceQuery
from whence.query.engines.cluster import ClusterEngine
from whence.query.engines.engine import Engine
from whence.query.engines.folder import FolderEngine
from whence.query.engines.shapes import UNLIMITED, Aggregate, GroupRow
from whence.store.clickhouse.http import Client
from whence.store.clickhouse.place import read_place
from whence.store.clickhouse.shipper import Shipper
from whence.store.folder import FolderStore

__all__ = ["main"]

MILLION = 1_000_000
HOUR_NS = DAY_NS // 24
KILLS = 6
FIGURES = ("rate", "avg", "p50", "p95", "p99", "error_rate")


def main() -> int:
    """`python -m benchmarks.store.cluster`; 1 if groups differ or events are not there once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=float, default=1, help="millions of events")
    parser.add_argument("--seed", type=int, default=7, help="of the events and of the kills")
    options = parser.parse_args()
    for line in machine():
        print(line)
    load = Load(int(options.size * MILLION) // 8 * 8, seed=options.seed)
    with contextlib.ExitStack() as kept:
        memory = Path("/dev/shm")
        base = memory if memory.is_dir() else None
        folder = Path(kept.enter_context(tempfile.TemporaryDirectory(dir=base)))
        try:
            shards = kept.enter_context(nodes(3, folder / "nodes"))
        except pytest.skip.Exception as why:
            print(f"T35          SKIPPED: {why}")
            return 0
        fill(folder / "store", load)
        store = FolderStore(folder / "store")
        bad = _measured(store, load, shards, options.seed)
    return 1 if bad else 0


def _measured(store: FolderStore, load: Load, shards: list[Node], seed: int) -> int:
    client = _client(shards, "whole")
    began_s = time.perf_counter()
    Shipper(store, client).step()
    took_s = time.perf_counter() - began_s
    files = len(store.snapshot().files)
    rows_per_s = load.events / took_s
    _tell("ingest", f"{rows_per_s:,.0f} rows/s", f"{load.events:,} rows of {files} files, 3 shards")
    with FolderEngine(store.path) as folder, ClusterEngine(client) as cluster:
        found = _differing(folder, cluster, load)
    _tell("T35 groups", found.differing, f"of {found.groups:,} that differ from DuckDB's (must 0)")
    what = "DuckDB over the files / the cluster, on the same cores"
    _tell("beside", f"{found.folder_s:.2f} s / {found.cluster_s:.2f} s", what)
    client.close()
    client = _client(shards, "killed")
    failed = _shipped_through_kills(store, client, shards, seed)
    [[rows, events]] = client.rows(
        f"SELECT count(), uniqExact(session, ring, ticket) FROM {client.place.events}"
    )
    lost, doubled = load.events - events, rows - events
    what = f"after {KILLS} kills of shards meanwhile, {failed} failed attempts, each sent again"
    _tell("T35 lost", lost, f"{what} (must 0)")
    _tell("T35 doubled", doubled, f"{what} (must 0)")
    client.close()
    return found.differing + abs(lost) + doubled


@dataclass
class _Compared:
    groups: int = 0
    differing: int = 0
    folder_s: float = 0.0
    cluster_s: float = 0.0


def _differing(folder: Engine, cluster: Engine, load: Load) -> _Compared:
    """How many groups differ, over questions of few groups and of many."""
    found = _Compared()
    day = TraceQuery(from_wall_ns=FIRST_NS + DAY_NS, until_wall_ns=FIRST_NS + 2 * DAY_NS)
    for question, query in (
        (Aggregate(("type", "status"), HOUR_NS), TraceQuery()),
        (Aggregate(("type", "model"), HOUR_NS), TraceQuery()),
        (Aggregate(("component", "model", "severity"), HOUR_NS // 7), day),
        (Aggregate(("phase",), DAY_NS), TraceQuery(has_errors=True)),
    ):
        began_s = time.perf_counter()
        wanted = _by_place(folder.aggregate(question, query, UNLIMITED))
        between_s = time.perf_counter()
        answered = _by_place(cluster.aggregate(question, query, UNLIMITED))
        found.folder_s += between_s - began_s
        found.cluster_s += time.perf_counter() - between_s
        places = wanted.keys() | answered.keys()
        found.groups += len(places)
        found.differing += sum(
            not _are_equal(wanted.get(place), answered.get(place)) for place in places
        )
    return found


def _by_place(rows: list[GroupRow]) -> dict[object, GroupRow]:
    return {(row.bucket_ns, row.keys): row for row in rows}


def _are_equal(one: GroupRow | None, other: GroupRow | None) -> bool:
    """Counts and percentiles as they are; of sums in another order the last digits may differ."""
    if one is None or other is None:
        return False
    if (one.rows, one.weighted, one.approx) != (other.rows, other.weighted, other.approx):
        return False
    pairs = [(getattr(one, name), getattr(other, name)) for name in ("count", *FIGURES)]
    return all(
        (a is None) == (b is None) and (a is None or math.isclose(a, b, rel_tol=1e-12))
        for a, b in pairs
    )


def _shipped_through_kills(
    store: FolderStore, client: Client, shards: list[Node], seed: int
) -> int:
    """Ships while shards die; how many attempts failed. Each is by a shipper that knows nothing."""
    dice, failed, done = random.Random(seed), 0, False
    for number in range(KILLS):
        with _killed(shards[number % 3], 0.05 + 0.4 * dice.random()):
            failed += _fails(lambda: Shipper(store, client).step())
        settle(shards)
    while not done:
        done = not _fails(lambda: Shipper(store, client).step())
        failed += not done
        settle(shards)
    return failed


def _fails(step: Callable[[], object]) -> bool:
    try:
        step()
    except ClusterUnavailable:
        return True
    return False


@contextlib.contextmanager
def _killed(shard: Node, after_s: float) -> Iterator[None]:
    timer = threading.Timer(after_s, shard.kill)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def _client(shards: list[Node], database: str) -> Client:
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in shards)
    user, password = (quote(word, safe="") for word in WRITER)
    url = f"clickhouse://{user}:{password}@{hosts}/{database}?cluster={CLUSTER}"
    return Client(read_place(url, environ={}))


def _tell(name: str, value: object, what: str) -> None:
    print(f"{name:12} {value!s:>16}  {what}  (load {os.getloadavg()[0]:.1f})", flush=True)


if __name__ == "__main__":
    sys.exit(main())
