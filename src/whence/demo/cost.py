"""Measures what recording an event costs in this process, beside an empty call."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import whence
from whence.demo import events

__all__ = ["SCRATCH_REQUEST", "RecordingCost", "measure_cost"]

SCRATCH_REQUEST = "scratch-cost"
_ROUNDS = 9
_CALLS = 100

_OPTIONS = tuple(
    whence.Option(f"magika req-{number:06d}", {"slack_ms": 8.4}, number == 1, "later deadline")
    for number in range(1, 5)
)


@dataclass(frozen=True, slots=True)
class RecordingCost:
    """Nanoseconds per call, medians over the rounds, the loop around the call included.

    `small_ns` is for an event of two fields, `choice_ns` for a decision of eight fields with four
    options, `empty_ns` for a Python function that does nothing.
    """

    small_ns: float
    choice_ns: float
    empty_ns: float
    rounds: int
    calls: int

    def of_ns(self, events_in_all: int, choices: int) -> int:
        """What so many events cost, `choices` of them with options and all others small."""
        return round((events_in_all - choices) * self.small_ns + choices * self.choice_ns)


def measure_cost() -> RecordingCost:
    """Time two of the demo's kinds and an empty Python function, turn and turn about.

    Records 2 x rounds x calls events under the request SCRATCH_REQUEST, in the calling thread's
    ring: do it after the recording has been exported.
    """
    tried = (_record_small, _record_choice, _call_empty)
    with whence.request(SCRATCH_REQUEST):
        rounds = [[_ns_per_call(loop) for loop in tried] for _ in range(_ROUNDS)]
    small_ns, choice_ns, empty_ns = map(statistics.median, zip(*rounds, strict=True))
    return RecordingCost(small_ns, choice_ns, empty_ns, _ROUNDS, _CALLS)


def _ns_per_call(loop: Callable[[], None]) -> float:
    began_ns = time.perf_counter_ns()
    loop()
    return (time.perf_counter_ns() - began_ns) / _CALLS


def _record_small() -> None:
    record = events.execution_started
    for _ in range(_CALLS):
        record("magika", 1)


def _record_choice() -> None:
    record = events.selected
    for _ in range(_CALLS):
        record("magika", "EDF", 1, 8_400_000, 8_000_000, 9_000_000, 20_000, 0, _OPTIONS)


def _call_empty() -> None:
    call = _nothing
    for _ in range(_CALLS):
        call("magika", 1)


def _nothing(model_id: str, worker: int) -> None:
    pass
