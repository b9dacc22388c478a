"""Histograms whose buckets grow by a root of 2: small, mergeable, of known error."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["ExponentialHistogram", "Figures", "bucket_of", "relative_error"]

MOST_SCALE = 20
LEAST_SCALE = -10
MOST_BUCKETS = 160  # of each sign, as OpenTelemetry's SDKs have it


def relative_error(scale: int) -> float:
    """How far an estimate of a value may be from it, as a share of the value."""
    if scale < -9:  # the factor is beyond all numbers
        return 1.0
    base = 2.0 ** (2.0**-scale)
    return (base - 1) / (base + 1) if math.isfinite(base) else 1.0


@dataclass(frozen=True, slots=True)
class Figures:
    """A histogram at one moment; all but the counts are None where nothing was added."""

    count: int
    sum: float
    min: float | None = None
    max: float | None = None
    avg: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class ExponentialHistogram:
    """Counts values in buckets (base**i, base**(i+1)] of both signs, where base = 2**(2**-scale).

    It begins with the finest scale, and halves it whenever the values of one sign would need more
    than `most_buckets` buckets: no value is ever left out. Values no larger than `zero_threshold`
    lie in the bucket of zero. What is no finite number is counted as `refused` only. The same data
    model as OpenTelemetry's exponential histograms and Prometheus' native ones. One thread at a
    time. Raises ValueError for a scale or size out of range.
    """

    __slots__ = (
        "count", "max", "min", "most_buckets", "negative", "positive", "refused", "scale", "sum",
        "zero_count", "zero_threshold",
    )  # fmt: skip

    def __init__(
        self,
        *,
        scale: int = MOST_SCALE,
        most_buckets: int = MOST_BUCKETS,
        zero_threshold: float = 0.0,
    ) -> None:
        if not LEAST_SCALE <= scale <= MOST_SCALE:
            raise ValueError(f"a scale is from {LEAST_SCALE} to {MOST_SCALE}, not {scale}")
        if most_buckets < 4:
            raise ValueError("a histogram needs four buckets at least")
        if not (zero_threshold >= 0 and math.isfinite(zero_threshold)):
            raise ValueError("zero_threshold is a number from 0 on")
        self.scale = scale
        self.most_buckets = most_buckets
        self.zero_threshold = zero_threshold
        self.zero_count = 0
        self.positive: dict[int, int] = {}
        self.negative: dict[int, int] = {}
        self.count = 0
        self.sum = 0.0
        self.min = math.inf
        self.max = -math.inf
        self.refused = 0

    def add(self, value: float, count: int = 1) -> bool:
        """Counts a value, so many times; whether it is one that can be. About 1 us."""
        if not math.isfinite(value):
            self.refused += count
            return False
        size = abs(value)
        if size <= self.zero_threshold:
            self.zero_count += count
        else:
            buckets = self.positive if value > 0 else self.negative
            index = bucket_of(size, self.scale)
            if index not in buckets and (by := self._too_wide(buckets, index, index)):
                self.downscale(by)
                index = bucket_of(size, self.scale)
                buckets = self.positive if value > 0 else self.negative
            buckets[index] = buckets.get(index, 0) + count
        self.count += count
        self.sum += value * count
        self.min, self.max = min(self.min, value), max(self.max, value)
        return True

    def merge(self, other: ExponentialHistogram) -> None:
        """Adds all that another one holds, at the coarser scale of both. The other one stays.

        Of two thresholds the larger one holds; buckets below it become part of that of zero.
        """
        self._raise_threshold(other.zero_threshold)
        mine = max(self.zero_threshold, other.zero_threshold)
        theirs = other.copy()
        theirs._raise_threshold(mine)
        scale = min(self.scale, theirs.scale)
        self.downscale(self.scale - scale)
        theirs.downscale(theirs.scale - scale)
        for ours, more in ((self.positive, theirs.positive), (self.negative, theirs.negative)):
            if more and (by := self._too_wide(ours, min(more), max(more))):
                self.downscale(by)
                theirs.downscale(by)
        for ours, more in ((self.positive, theirs.positive), (self.negative, theirs.negative)):
            for index, count in more.items():
                ours[index] = ours.get(index, 0) + count
        self.zero_count += theirs.zero_count
        self.count += theirs.count
        self.sum += theirs.sum
        self.refused += theirs.refused
        self.min, self.max = min(self.min, theirs.min), max(self.max, theirs.max)

    def downscale(self, by: int) -> None:
        """Makes one bucket of each 2**by neighbours: the same counts, at a coarser scale."""
        if by <= 0:
            return
        self.scale -= by
        self.positive = _joined(self.positive, by)
        self.negative = _joined(self.negative, by)

    def copy(self) -> ExponentialHistogram:
        """One of the same content."""
        made = ExponentialHistogram(
            scale=self.scale, most_buckets=self.most_buckets, zero_threshold=self.zero_threshold
        )
        made.positive, made.negative = dict(self.positive), dict(self.negative)
        for name in ("zero_count", "count", "sum", "min", "max", "refused"):
            setattr(made, name, getattr(self, name))
        return made

    def quantile(self, share: float) -> float | None:
        """The value below which that share lies, between the two nearest; None if there is none.

        Off by relative_error(scale) of the larger of the two at most, or by the threshold of zero.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"a share is from 0 to 1, not {share}")
        if not self.count:
            return None
        place = share * (self.count - 1)
        low = math.floor(place)
        first = self._at(low)
        rest = place - low
        return first if not rest else first + (self._at(low + 1) - first) * rest

    def figures(self) -> Figures:
        """What is in it."""
        if not self.count:
            return Figures(0, 0.0)
        average = self.sum / self.count
        shares = (self.quantile(share) for share in (0.5, 0.95, 0.99))
        return Figures(self.count, self.sum, self.min, self.max, average, *shares)

    def buckets(self) -> Iterator[tuple[float, int]]:
        """The upper edge of each bucket that is not empty, and its count, upwards.

        The edge belongs to the bucket, but for negative ones, whose lower edge does.
        """
        for index in sorted(self.negative, reverse=True):
            yield -_edge(index, self.scale), self.negative[index]
        if self.zero_count:
            yield self.zero_threshold, self.zero_count
        for index in sorted(self.positive):
            yield _edge(index + 1, self.scale), self.positive[index]

    def plain(self) -> Mapping[str, object]:
        """As OTLP's JSON has it, with counts as numbers."""
        return {
            "scale": self.scale,
            "count": self.count,
            "sum": self.sum,
            "min": self.min if self.count else None,
            "max": self.max if self.count else None,
            "zeroCount": self.zero_count,
            "zeroThreshold": self.zero_threshold,
            "positive": _listed(self.positive),
            "negative": _listed(self.negative),
        }

    def _too_wide(self, buckets: Mapping[int, int], first: int, last: int) -> int:
        """By how much the scale must go down for these indexes, too."""
        low, high = min(first, *buckets, first), max(last, *buckets, last)
        by = 0
        while (high >> by) - (low >> by) >= self.most_buckets and self.scale - by > LEAST_SCALE:
            by += 1
        return by

    def _at(self, place: int) -> float:
        """An estimate of the value at a place in order, from 0 on."""
        if place <= 0:
            return self.min
        if place >= self.count - 1:
            return self.max
        passed = 0
        for index in sorted(self.negative, reverse=True):
            passed += self.negative[index]
            if place < passed:
                return self._within(-_middle(index, self.scale))
        passed += self.zero_count
        if place < passed:
            return self._within(0.0)
        for index in sorted(self.positive):
            passed += self.positive[index]
            if place < passed:
                return self._within(_middle(index, self.scale))
        return self.max

    def _within(self, value: float) -> float:
        return min(max(value, self.min), self.max)

    def _raise_threshold(self, threshold: float) -> None:
        if threshold <= self.zero_threshold:
            return
        for buckets in (self.positive, self.negative):
            for index in [i for i in buckets if _edge(i, self.scale) < threshold]:
                # the bucket that has the threshold in it goes whole: then the threshold is its edge
                threshold = max(threshold, _edge(index + 1, self.scale))
        for buckets in (self.positive, self.negative):
            for index in [i for i in buckets if _edge(i + 1, self.scale) <= threshold]:
                self.zero_count += buckets.pop(index)
        self.zero_threshold = threshold


def bucket_of(size: float, scale: int) -> int:
    """The index of the bucket that a positive number lies in; powers of 2 are edges, exactly."""
    fraction, exponent = math.frexp(size)
    exponent -= 1  # size = 2 * fraction * 2 ** exponent, with 1 <= 2 * fraction < 2
    if scale <= 0:
        return (exponent - (fraction == 0.5)) >> -scale
    if fraction == 0.5:
        return (exponent << scale) - 1
    within = math.ceil(math.log2(2 * fraction) * (1 << scale)) - 1
    return (exponent << scale) + min(max(within, 0), (1 << scale) - 1)


def _edge(index: int, scale: int) -> float:
    """base ** index; what is beyond all numbers is infinite."""
    if scale <= 0:
        whole, part = index << -scale, 0.0
    else:
        whole, part = index >> scale, (index & (1 << scale) - 1) / (1 << scale)
    try:
        return math.ldexp(2.0**part, whole)
    except OverflowError:
        return math.inf


def _middle(index: int, scale: int) -> float:
    """Of all numbers the one that is off by the least share from any value in the bucket."""
    low, high = _edge(index, scale), _edge(index + 1, scale)
    if not math.isfinite(high):
        return min(low * 2, 1.7976931348623157e308)
    if low == 0.0:  # the edge is below all numbers: the least of these is nearest to all others
        return 5e-324
    return 2 * low * (high / (low + high)) if math.isfinite(low + high) else low


def _joined(buckets: Mapping[int, int], by: int) -> dict[int, int]:
    found: dict[int, int] = {}
    for index, count in buckets.items():
        found[index >> by] = found.get(index >> by, 0) + count
    return found


def _listed(buckets: Mapping[int, int]) -> dict[str, object]:
    if not buckets:
        return {"offset": 0, "bucketCounts": []}
    first, last = min(buckets), max(buckets)
    counts = [buckets.get(index, 0) for index in range(first, last + 1)]
    return {"offset": first, "bucketCounts": counts}
