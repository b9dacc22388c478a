"""Measures what each model costs on this machine, before anything is promised."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from whence.demo import events
from whence.demo.jobs import ModelProfile, Task
from whence.demo.pool import MemoryPool
from whence.demo.worker import Runner, execute, need_bytes
from whence.model.time import Duration
from whence.runtime.budget import ResourceBudget

__all__ = ["Allowance", "measure"]

_WARM_UPS = 1


@dataclass(frozen=True, slots=True)
class Allowance:
    """How often at once a model may run, and memory for how many of its largest requests."""

    streams: int
    largest_requests: float


def measure(
    tasks: Mapping[str, Callable[[], Task]],
    allowances: Mapping[str, Allowance],
    runner: Runner,
    pool: MemoryPool,
    workers: int,
    runs: int,
    clock: Callable[[], int] = time.monotonic_ns,
) -> dict[str, ModelProfile]:
    """Run each model's costliest task `runs` times on every worker at once; keep the longest.

    The figure is an estimate of the worst case, not a proof: it holds for the load of this
    moment. Each is recorded as a performance_metric. The first run of each thread is not counted.
    """
    profiles = {}
    for model, make in tasks.items():
        durations_ns = _durations_ns(make, runner, pool, workers, runs, clock)
        wcet_ns = max(durations_ns)
        events.performance_metric(
            model_id=model,
            metric_name="worst execution time",
            metric_value=wcet_ns,
            metric_unit="ns",
            runs=workers * runs,
        )
        allowance = allowances[model]
        budget = ResourceBudget(
            memory_limit_bytes=int(need_bytes(make()) * allowance.largest_requests),
            stream_limit=allowance.streams,
            compute_budget=Duration.from_nanos(wcet_ns),
        )
        mean_ns = sum(durations_ns) // len(durations_ns)
        profiles[model] = ModelProfile(model, budget, mean_ns)
    return profiles


def _durations_ns(
    make: Callable[[], Task],
    runner: Runner,
    pool: MemoryPool,
    workers: int,
    runs: int,
    clock: Callable[[], int],
) -> list[int]:
    durations: list[int] = []
    faults: list[Exception] = []

    def repeat() -> None:
        try:
            for run in range(_WARM_UPS + runs):
                task = make()
                began_ns = clock()
                execute(task, runner, pool, "profile", began_ns, began_ns)
                if run >= _WARM_UPS:
                    durations.append(clock() - began_ns)
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=repeat, name=f"profile-{n}") for n in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return durations
