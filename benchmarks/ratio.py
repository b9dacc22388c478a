"""Ratios of two costs taken in one run: interleaved, with a median, its interval and a null."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Call", "Ratio", "Timer", "compare", "compare_functions"]

REPETITIONS = 15
UNROLLED = 20
NULL_BAND = (0.97, 1.03)

Timer = Callable[[], float]  # the cost of one operation in nanoseconds


@dataclass(frozen=True)
class Ratio:
    """Subject / baseline: the median over the repetitions and its 95 % interval.

    `null` is the same ratio of the baseline to itself, taken in the same run; outside of
    0.97-1.03 the machine was too busy to tell anything.
    """

    median: float
    low: float
    high: float
    null: float
    subject_ns: float
    baseline_ns: float

    @property
    def valid(self) -> bool:
        return NULL_BAND[0] <= self.null <= NULL_BAND[1]


@dataclass(frozen=True)
class Call:
    """A statement to time, and the names it uses. The empty loop around it is taken off."""

    statement: str
    names: Mapping[str, object]
    setup: str = ""

    def timer(self, operations: int = 200_000) -> Timer:
        """Times `operations` runs of the statement; names are locals, as in a hot loop."""
        names = ", ".join(f"{name}={name}" for name in self.names)
        body = "\n".join(f"  {self.statement}" for _ in range(UNROLLED))
        header = f"def run(rounds, {names}):\n {self.setup or 'pass'}\n for _ in rounds:\n"
        scope = dict(self.names)
        exec(header + body, scope)
        run = scope["run"]
        empty: dict[str, object] = {}
        exec("def run(rounds):\n for _ in rounds:\n  pass", empty)
        loop = empty["run"]
        rounds = range(max(1, operations // UNROLLED))

        def once() -> float:
            begin = time.perf_counter_ns()
            loop(rounds)  # type: ignore[operator]
            middle = time.perf_counter_ns()
            run(rounds)  # type: ignore[operator]
            end = time.perf_counter_ns()
            return ((end - middle) - (middle - begin)) / (len(rounds) * UNROLLED)

        return once


def compare(
    subject: Call, baseline: Call, *, less: Call | None = None, operations: int = 200_000
) -> Ratio:
    """The cost of one statement, less what `less` costs of it, over that of another."""
    timer = subject.timer(operations)
    if less is not None:
        whole, part = timer, less.timer(operations)

        def timer() -> float:
            return whole() - part()

    return compare_functions(timer, baseline.timer(operations))


def compare_functions(subject: Timer, baseline: Timer, repetitions: int = REPETITIONS) -> Ratio:
    """The same for anything that can time itself. The order turns from repetition to repetition."""
    for timer in (subject, baseline):
        timer()  # warm: caches, specialised bytecode, the thread's ring
    ratios, nulls, subject_ns, baseline_ns = [], [], [], []
    for repetition in range(repetitions):
        if repetition % 2:
            first, second, tested = baseline(), baseline(), subject()
        else:
            tested, first, second = subject(), baseline(), baseline()
        baseline_cost = (first + second) / 2
        ratios.append(tested / baseline_cost)
        nulls.append(first / second)
        subject_ns.append(tested)
        baseline_ns.append(baseline_cost)
    ratios.sort()
    reach = math.ceil(0.98 * math.sqrt(repetitions))  # ranks of a median's 95 % interval
    middle = repetitions // 2
    return Ratio(
        median=statistics.median(ratios),
        low=ratios[max(0, middle - reach)],
        high=ratios[min(repetitions - 1, middle + reach)],
        null=statistics.median(nulls),
        subject_ns=statistics.median(subject_ns),
        baseline_ns=statistics.median(baseline_ns),
    )
