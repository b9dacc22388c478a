"""Measures what recording one event costs in this process, beside an empty call."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import whence
from whence.demo import events

__all__ = ["SCRATCH_REQUEST", "RecordingCost", "measure_cost"]

SCRATCH_REQUEST = "scratch-cost"
_ROUNDS = 9
_CALLS = 200


@dataclass(frozen=True, slots=True)
class RecordingCost:
    """Nanoseconds per call, medians over the rounds, the loop around the call included."""

    event_ns: float
    empty_ns: float
    rounds: int
    calls: int


def measure_cost() -> RecordingCost:
    """Time a real kind of the demo and an empty Python function, turn and turn about.

    Records rounds x calls events under the request SCRATCH_REQUEST in the calling thread's ring.
    """
    event_ns, empty_ns = [], []
    with whence.request(SCRATCH_REQUEST):
        for _ in range(_ROUNDS):
            event_ns.append(_time_event())
            empty_ns.append(_time_empty())
    return RecordingCost(statistics.median(event_ns), statistics.median(empty_ns), _ROUNDS, _CALLS)


def _time_event() -> float:
    record = events.execution_started
    began_ns = time.perf_counter_ns()
    for _ in range(_CALLS):
        record("magika", 1)
    return (time.perf_counter_ns() - began_ns) / _CALLS


def _time_empty() -> float:
    began_ns = time.perf_counter_ns()
    for _ in range(_CALLS):
        _empty("magika", 1)
    return (time.perf_counter_ns() - began_ns) / _CALLS


def _empty(model_id: str, worker: int) -> None:
    pass
