"""The questions of T30 to T32, what is drawn for them, and how often each is asked."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow.parquet as pq

from benchmarks.store.rows import Load
from whence.model.query import TraceQuery
from whence.query.engines.folder import FolderEngine
from whence.query.engines.shapes import Aggregate
from whence.store.folder import FolderStore

__all__ = [
    "Latency",
    "Questions",
    "StoreQuestions",
    "drawn_requests",
    "drawn_times",
    "exponent",
    "taken",
]

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS
PAGE = 100
KIND, MODEL = "execution_completed", "model_7"


class Questions(Protocol):
    """One way to keep the events, asked what all are asked. Each returns how many rows it got."""

    def chain(self, request: str) -> int: ...
    def page(self, since_ns: int) -> int: ...
    def groups(self, since_ns: int, days: int) -> int: ...


class StoreQuestions:
    """The folder store, asked through its engine, as users do: answers are events and rows."""

    def __init__(self, path: Path) -> None:
        self.engine = FolderEngine(path)

    def chain(self, request: str) -> int:
        return len(self.engine.recording(TraceQuery(request_id=request)).events)

    def page(self, since_ns: int) -> int:
        query = TraceQuery(
            from_wall_ns=since_ns,
            until_wall_ns=since_ns + HOUR_NS,
            event_type=KIND,
            model_id=MODEL,
        )
        return len(self.engine.select(query, limit=PAGE).events)

    def groups(self, since_ns: int, days: int) -> int:
        question = Aggregate(("type", "status"), HOUR_NS, ("count", "p50", "p95", "p99"))
        query = TraceQuery(from_wall_ns=since_ns, until_wall_ns=since_ns + days * DAY_NS)
        return len(self.engine.aggregate(question, query))

    def close(self) -> None:
        self.engine.close()


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one question asked many times; `null` is every second one to the others.

    `cpu` is the processor time of one, of both cores together: a busy machine spoils it less.
    """

    p50: float
    p99: float
    null: float
    cpu: float


def taken(ask: Callable[[int], int], times: int, warm: int = 3) -> Latency:
    """Asks the i-th question for each i; the first ones, which open files, are not counted."""
    costs = []
    cpu = 0.0
    for number in range(warm + times):
        if number == warm:
            cpu = time.process_time()
        began = time.perf_counter()
        found = ask(number)
        costs.append((time.perf_counter() - began) * 1e3)
        if not found:
            raise RuntimeError("a question of a benchmark found nothing")
    cpu = (time.process_time() - cpu) * 1e3 / times
    costs = costs[warm:]
    ordered = sorted(costs)
    null = statistics.median(costs[::2]) / statistics.median(costs[1::2]) if times > 1 else 1.0
    last = max(0, math.ceil(0.99 * times) - 1)
    return Latency(statistics.median(costs), ordered[last], null, cpu)


def drawn_requests(path: Path, count: int, seed: int = 3) -> list[str]:
    """Requests of the whole store, at random."""
    chance = random.Random(seed)
    files = FolderStore(path).snapshot().files
    found: list[str] = []
    for file in chance.sample(files, min(len(files), 40)):
        with pq.ParquetFile(file) as opened:
            group = opened.read_row_group(
                chance.randrange(opened.num_row_groups), columns=["request_id"]
            )
        names = group.column(0)
        found += [names[chance.randrange(len(names))].as_py() for _ in range(-(-count // 20))]
    chance.shuffle(found)
    while len(found) < count:
        found += found
    return found[:count]


def drawn_times(load: Load, days: int, count: int, seed: int = 5) -> Sequence[int]:
    """Whole hours at which an interval of so many days may begin."""
    chance = random.Random(seed)
    first = load.until_ns - load.days * DAY_NS
    hours = max(1, (load.days - days) * 24 - 1)
    return [first + chance.randrange(hours) * HOUR_NS for _ in range(count)]


def exponent(small: float, large: float, times_larger: float) -> float:
    """How a cost grows: 0 not at all, 1 as the size does."""
    return math.log(large / small) / math.log(times_larger)
