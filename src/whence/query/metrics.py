"""MetricsAggregator: utilisation, latencies and missed deadlines over any source of events."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from whence.model.condition import field_value
from whence.model.event import TraceEvent
from whence.model.ids import ModelID
from whence.query.audit import missed_deadlines
from whence.query.window import Source, Window, events_within, length_ns
from whence.query.words import count_text, duration_text

__all__ = ["LatencyStats", "MetricsAggregator", "MissRate", "Utilisation"]

_EXECUTED = "execution_completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Utilisation:
    """How much of a window a model was executing.

    `executed_ns` sums the `executions` that ended in the window of `window_ns`. Where rows were
    sampled both are estimates by the rows' weights, and `weighted` is true. `share` is None for a
    window without length.
    """

    model_id: str
    executed_ns: int
    window_ns: int
    executions: int
    weighted: bool = False

    @property
    def share(self) -> float | None:
        """executed_ns / window_ns."""
        return self.executed_ns / self.window_ns if self.window_ns > 0 else None

    @property
    def text(self) -> str:
        """In words: "0.250: 15.0 ms of 60.0 ms in 1 execution"."""
        if self.share is None:
            return "the window has no length"
        if not self.executions:
            return f"0.000: no execution in {duration_text(self.window_ns)}"
        told = f"{duration_text(self.executed_ns)} of {duration_text(self.window_ns)}"
        executions = _counted(self.executions, "execution")
        return f"{self.share:.3f}: {told} in {executions}{_sampled(self.weighted)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyStats:
    """How long something took; every time is None where there is no sample.

    `sample_count` is how many rows were read, `population` how many events these stand for; where
    rows were sampled these differ, all figures go by the rows' weights, and `weighted` is true.
    `stddev_ns` is that of the samples themselves, not an estimate for others. Percentiles lie
    between the two nearest samples in proportion. Times are rounded to whole nanoseconds.
    """

    sample_count: int
    population: int
    mean_ns: int | None = None
    stddev_ns: int | None = None
    p50_ns: int | None = None
    p99_ns: int | None = None
    p999_ns: int | None = None
    weighted: bool = False

    @property
    def text(self) -> str:
        """In words: "p50 12.0 ms, p99 31.4 ms, ... of 480 samples"."""
        if not self.sample_count:
            return "no samples"
        named = (("p50", self.p50_ns), ("p99", self.p99_ns), ("p99.9", self.p999_ns))
        more = (("mean", self.mean_ns), ("stddev", self.stddev_ns))
        told = ", ".join(f"{name} {duration_text(ns or 0)}" for name, ns in (*named, *more))
        return f"{told} of {_counted(self.sample_count, 'sample')}{_sampled(self.weighted)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MissRate:
    """Missed deadlines beside executions; `rate` is None where nothing was executed.

    A request that missed its deadline counts once. Where rows were sampled both counts are
    estimates by the rows' weights, and `weighted` is true. What was never dispatched is a miss and
    no execution, so that a rate may be above 1.
    """

    misses: int
    executions: int
    weighted: bool = False

    @property
    def rate(self) -> float | None:
        """misses / executions."""
        return self.misses / self.executions if self.executions else None

    @property
    def text(self) -> str:
        """In words: "0.025: 3 misses, 120 executions"."""
        counts = f"{_counted(self.misses, 'miss')}, {_counted(self.executions, 'execution')}"
        rate = "no execution" if self.rate is None else f"{self.rate:.3f}"
        return f"{rate}: {counts}{_sampled(self.weighted)}"


class MetricsAggregator:
    """Figures over any source of events; it keeps nothing and computes anew each time.

    Sources, windows, threads and errors are those of AuditTrail. Rows that stand for others, which
    sampling left out, count by their weight, and the answer says so.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    def compute_utilisation(self, model_id: str | ModelID, window: Window) -> Utilisation:
        """The time of the model's executions that ended in the window, and the window's length.

        Raises ValueError for a window of None: a share of all time says nothing.
        """
        whole_ns = length_ns(window)
        found = events_within(self._source, [_EXECUTED], window, model_id)
        return Utilisation(
            model_id=str(model_id),
            executed_ns=round(sum(_weighed(event, event.duration.nanos) for event in found.events)),
            window_ns=max(whole_ns, 0),
            executions=_population(found.events),
            weighted=_is_weighted(found.events),
        )

    def compute_latency_stats(
        self,
        model_id: str | ModelID | None = None,
        window: Window = None,
        *,
        event_type: str = _EXECUTED,
        of: str = "duration_ns",
    ) -> LatencyStats:
        """How long executions took, or what else the whole number `of` of a type says in ns.

        Events without such a number are no samples. Costs O(n log n) in the samples.
        """
        events = events_within(self._source, [event_type], window, model_id).events
        samples = [
            (value, event.weight)
            for event in events
            if (value := _length_ns(event, of)) is not None
        ]
        if not samples:
            return LatencyStats(sample_count=0, population=0)
        if all(weight == 1 for _, weight in samples):
            return _plain_stats(sorted(value for value, _ in samples))
        return _weighted_stats(sorted(samples))

    def compute_deadline_miss_rate(
        self, window: Window = None, model_id: str | ModelID | None = None
    ) -> MissRate:
        """Missed deadlines and executions, of a model or of all."""
        found = events_within(self._source, ["deadline_miss", _EXECUTED], window, model_id)
        missed = missed_deadlines(found)
        executed = events_within(found.index, [_EXECUTED], window, model_id).events
        return MissRate(
            misses=_population(missed),
            executions=_population(executed),
            weighted=_is_weighted(missed) or _is_weighted(executed),
        )


def _length_ns(event: TraceEvent, name: str) -> int | None:
    if name == "duration_ns":
        return event.duration.nanos
    value = field_value(event, name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _weighed(event: TraceEvent, value: int) -> int | float:
    """The value as often as the event stands for; exact where that is once."""
    return value if event.weight == 1 else value * event.weight


def _population(events: Sequence[TraceEvent]) -> int:
    return round(sum(_weighed(event, 1) for event in events))


def _is_weighted(events: Sequence[TraceEvent]) -> bool:
    return any(event.weight != 1 for event in events)


def _plain_stats(values: Sequence[int]) -> LatencyStats:
    """By whole numbers alone, so that no size of them costs a digit."""
    count, total = len(values), sum(values)
    spread = count * sum(value * value for value in values) - total * total
    return LatencyStats(
        sample_count=count,
        population=count,
        mean_ns=_divided(total, count),
        stddev_ns=_divided(math.isqrt(4 * spread), 2 * count),
        p50_ns=_percentile(values, 500),
        p99_ns=_percentile(values, 990),
        p999_ns=_percentile(values, 999),
    )


def _percentile(values: Sequence[int], per_mille: int) -> int:
    at, rest = divmod(per_mille * (len(values) - 1), 1_000)
    if not rest:
        return values[at]
    return values[at] + _divided((values[at + 1] - values[at]) * rest, 1_000)


def _weighted_stats(samples: Sequence[tuple[int, float]]) -> LatencyStats:
    """As if each sample were there as often as its weight says, also in part."""
    values = [value for value, _ in samples]
    ends = list(accumulate(weight for _, weight in samples))
    whole = ends[-1]
    mean = sum(value * weight for value, weight in samples) / whole
    spread = sum(weight * (value - mean) ** 2 for value, weight in samples) / whole

    def percentile(share: float) -> int:
        place = share * max(whole - 1, 0)
        at = min(bisect_right(ends, place), len(values) - 1)
        beyond = place - (ends[at] - 1)  # towards the first copy of the next sample
        if beyond <= 0 or at + 1 == len(values):
            return values[at]
        return values[at] + round((values[at + 1] - values[at]) * beyond)

    return LatencyStats(
        sample_count=len(values),
        population=round(whole),
        mean_ns=round(mean),
        stddev_ns=round(math.sqrt(spread)),
        p50_ns=percentile(0.5),
        p99_ns=percentile(0.99),
        p999_ns=percentile(0.999),
        weighted=True,
    )


def _divided(number: int, size: int) -> int:
    """The nearest whole number to the quotient of two that are not negative."""
    return (2 * number + size) // (2 * size)


def _counted(count: int, what: str) -> str:
    plural = "es" if what.endswith("s") else "s"
    return f"{count_text(count)} {what}{'' if count == 1 else plural}"


def _sampled(weighted: bool) -> str:
    return ", estimated from sampled rows" if weighted else ""
