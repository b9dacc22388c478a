"""Exponential histograms: exact counts, bounded error, merging in any order."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from whence.watch.metrics.exponential import (
    LEAST_SCALE,
    MOST_SCALE,
    ExponentialHistogram,
    Figures,
    bucket_of,
    relative_error,
)

numbers = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)
sizes = st.floats(min_value=5e-324, max_value=1.7e308)
shares = st.sampled_from([0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0]) | st.floats(0, 1)
lists = st.lists(numbers | st.integers(-1000, 1000).map(float), min_size=1, max_size=300)


def of(values: list[float], **settings: int) -> ExponentialHistogram:
    """A histogram of these values."""
    made = ExponentialHistogram(**settings)
    for value in values:
        assert made.add(value)
    return made


def bounds(values: list[float], share: float, scale: int) -> tuple[float, float]:
    """The exact quantile, by linear interpolation, and how far an estimate may be from it."""
    exact = float(np.quantile(np.array(values), share))
    ordered = sorted(values)
    at = share * (len(values) - 1)
    near = max(abs(ordered[math.floor(at)]), abs(ordered[math.ceil(at)]))
    return exact, relative_error(scale) * near


@example([0.0, -1.0, -5e-324], 0.5, 8)
@given(lists, shares, st.sampled_from([8, 40, 160]))
def test_quantiles_are_off_by_the_error_of_the_scale_at_most(
    values: list[float], share: float, most_buckets: int
) -> None:
    """Held against exact quantiles of values of both signs and all sizes. R4.42"""
    made = of(values, most_buckets=most_buckets)
    found = made.quantile(share)
    exact, error = bounds(values, share, made.scale)
    assert found is not None
    assert abs(found - exact) <= error * (1 + 1e-9) + abs(exact) * 1e-9 + 5e-324


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from([1, 1e-3, 1e9]))
def test_latencies_are_estimated_within_five_percent(seed: int, unit: float) -> None:
    """Values over four orders of magnitude: 160 buckets are enough for 4.4 %. R4.42"""
    drawn = np.random.default_rng(seed).lognormal(0, 1.5, 5_000) * unit
    made = of([float(value) for value in drawn])
    assert made.scale >= 3
    for share in (0.5, 0.95, 0.99):
        exact = float(np.quantile(drawn, share))
        assert made.quantile(share) == pytest.approx(exact, rel=relative_error(3) * 1.001)


@given(st.lists(lists, min_size=1, max_size=5), shares)
def test_merging_is_the_same_as_adding_all(parts: list[list[float]], share: float) -> None:
    """Of parts that were counted apart, at different scales: counts, extremes and quantiles."""
    every = [value for part in parts for value in part]
    whole = ExponentialHistogram()
    for part in parts:
        whole.merge(of(part))
    assert whole.count == len(every)
    assert (whole.min, whole.max) == (min(every), max(every))
    assert whole.sum == pytest.approx(sum(every), rel=1e-9, abs=1e291)
    found = whole.quantile(share)
    exact, error = bounds(every, share, whole.scale)
    assert found is not None
    assert abs(found - exact) <= error * (1 + 1e-9) + abs(exact) * 1e-9 + 5e-324
    again = of(every)
    again.downscale(again.scale - whole.scale)
    assert (again.positive, again.negative) == (whole.positive, whole.negative)


@given(lists, st.integers(1, 6))
def test_a_coarser_scale_holds_the_same_counts(values: list[float], by: int) -> None:
    """Downscaling joins neighbours; the same as having counted at that scale."""
    made = of(values)
    coarse = ExponentialHistogram(scale=max(LEAST_SCALE, made.scale - by))
    for value in values:
        coarse.add(value)
    made.downscale(made.scale - coarse.scale)
    assert (made.positive, made.negative) == (coarse.positive, coarse.negative)


@given(sizes, st.integers(LEAST_SCALE, MOST_SCALE))
def test_a_value_lies_within_its_bucket(size: float, scale: int) -> None:
    """Above the lower edge, up to the upper one, whichever scale; powers of 2 exactly so."""
    index = bucket_of(size, scale)
    log = math.log2(size) if size >= 2.3e-308 else math.log2(size * 2.0**60) - 60
    place = math.ldexp(log, scale)
    slack = max(1e-9, abs(place) * 1e-14 + 2e-9 * 2.0 ** max(0, scale - 10))
    assert index - slack <= place <= index + 1 + slack
    if math.frexp(size)[0] == 0.5 and scale >= 0:
        assert index + 1 == (math.frexp(size)[1] - 1) << scale
    elif math.frexp(size)[0] == 0.5:
        assert index == (math.frexp(size)[1] - 2) >> -scale


def test_no_sign_ever_has_more_buckets_than_asked_for() -> None:
    """However far apart values are, the scale goes down as far as is needed and no further."""
    made = ExponentialHistogram(most_buckets=8)
    for exponent in range(-300, 301):
        made.add(10.0**exponent)
    assert max(made.positive) - min(made.positive) < 8
    finer = of([10.0**-300, 10.0**300], most_buckets=8)
    assert finer.scale == made.scale
    assert made.count == 601


def test_zero_and_what_is_below_the_threshold_lie_in_one_bucket() -> None:
    """The bucket of zero has a width; merging takes the wider one."""
    made = ExponentialHistogram(zero_threshold=1e-3)
    for value in (0.0, -0.0, 1e-3, -1e-4, 5.0):
        made.add(value)
    assert (made.zero_count, made.count) == (4, 5)
    other = of([5e-4, 0.25, -0.7])
    made.merge(other)
    assert (made.zero_count, made.count) == (5, 8)
    other.merge(made)
    assert other.zero_threshold >= 1e-3
    assert other.count == 11
    assert other.quantile(0.5) == 0.0


def test_what_is_no_number_is_counted_as_refused() -> None:
    """NaN and the infinities change nothing but their own count."""
    made = of([1.0])
    assert [made.add(value) for value in (math.nan, math.inf, -math.inf)] == [False] * 3
    assert (made.refused, made.count, made.sum) == (3, 1, 1.0)
    assert made.figures() == Figures(1, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert ExponentialHistogram().figures() == Figures(0, 0.0)
    assert ExponentialHistogram().quantile(0.5) is None


@pytest.mark.parametrize("wrong", [{"scale": 21}, {"scale": -11}, {"most_buckets": 3}])
def test_a_histogram_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    """Scales are from -10 to 20, and there are four buckets at least."""
    with pytest.raises(ValueError, match=r"scale|four"):
        ExponentialHistogram(**wrong)


def test_it_is_the_histogram_of_opentelemetry() -> None:
    """Buckets are named by scale and offset, as OTLP has them. R4.42"""
    made = of([1.0, 2.0, 3.0, 4.0, 0.0, -4.0], scale=0)
    assert made.plain() == {
        "scale": 0,
        "count": 6,
        "sum": 6.0,
        "min": -4.0,
        "max": 4.0,
        "zeroCount": 1,
        "zeroThreshold": 0.0,
        "positive": {"offset": -1, "bucketCounts": [1, 1, 2]},
        "negative": {"offset": 1, "bucketCounts": [1]},
    }
    assert list(made.buckets()) == [(-2.0, 1), (0.0, 1), (1.0, 1), (2.0, 1), (4.0, 2)]
