"""Time values: exact integer arithmetic, order, and what is refused."""

from __future__ import annotations

import importlib
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.model.time import Duration, Timestamp

LAST = 2**63 - 1
FIRST = -(2**63)
whole = st.integers(FIRST, LAST)
small = st.integers(-(2**40), 2**40)


@pytest.fixture
def fresh_clock() -> Iterator[Any]:
    """The time module with its choice of clock not yet made, and the first choice put back."""
    module = importlib.import_module("whence.model.time")
    kept = module._now_ns
    module._now_ns = lambda: module._find_clock()()
    yield module
    module._now_ns = kept


def test_a_timestamp_wraps_integer_nanoseconds() -> None:
    """R0.5 A timestamp holds the nanoseconds it was given, unchanged."""
    assert Timestamp(value_ns=1_234_567_890_123_456_789).value_ns == 1_234_567_890_123_456_789


def test_now_never_goes_back() -> None:
    """R0.6 R0.55 Successive readings do not decrease."""
    readings = [Timestamp.now() for _ in range(1_000)]
    assert readings == sorted(readings)


def test_now_is_on_the_monotonic_clock() -> None:
    """R0.5 R0.6 A reading lies between two of the system's clock, give or take a millisecond."""
    before, now, after = time.monotonic_ns(), Timestamp.now().value_ns, time.monotonic_ns()
    assert before - 1_000_000 <= now <= after + 1_000_000


def test_now_takes_the_recorders_clock_where_it_is_built(
    fresh_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R0.6 The clock that stamps recorded events also answers now()."""
    monkeypatch.setitem(sys.modules, "whence._native", SimpleNamespace(now_ns=lambda: 77))
    assert fresh_clock.Timestamp.now() == Timestamp(77)


def test_now_works_without_the_native_module(
    fresh_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R0.6 Where the native module is absent the system's monotonic clock answers."""
    monkeypatch.setitem(sys.modules, "whence._native", None)
    assert fresh_clock._find_clock() is time.monotonic_ns


@given(small, small)
def test_the_difference_of_timestamps_is_a_duration(left: int, right: int) -> None:
    """R0.7 Subtracting moments gives the nanoseconds between them, with their sign."""
    assert Timestamp(left) - Timestamp(right) == Duration(left - right)


@given(small, small)
def test_a_duration_moves_a_timestamp(moment: int, length: int) -> None:
    """R0.7 Adding a duration and taking it away again leads back."""
    moved = Timestamp(moment) + Duration(length)
    assert moved.value_ns == moment + length
    assert moved - Duration(length) == Timestamp(moment)


@given(whole, whole)
def test_timestamps_are_ordered_like_their_nanoseconds(left: int, right: int) -> None:
    """R0.8 All six comparisons agree with the integers, and equal moments hash alike."""
    a, b = Timestamp(left), Timestamp(right)
    assert (a < b, a > b, a <= b, a >= b) == (left < right, left > right, left <= right, a >= b)
    assert (a == b, a != b) == (left == right, left != right)
    assert hash(a) == hash(Timestamp(left))


@given(whole, whole)
def test_durations_are_ordered_like_their_nanoseconds(left: int, right: int) -> None:
    """R0.21 All six comparisons agree with the integers, and equal lengths hash alike."""
    a, b = Duration(left), Duration(right)
    assert (a < b, a > b, a <= b, a >= b) == (left < right, left > right, left <= right, a >= b)
    assert (a == b, a != b) == (left == right, left != right)
    assert hash(a) == hash(Duration(left))


@pytest.mark.parametrize("value", [1.0, True, "1", None])
@pytest.mark.parametrize(
    "make",
    [
        Duration,
        Duration.from_nanos,
        Duration.from_micros,
        Duration.from_millis,
        Duration.from_seconds,
        Timestamp,
    ],
)
def test_only_integers_are_times(make: Callable[[Any], object], value: Any) -> None:
    """R0.9 Floats, bools and texts are refused everywhere."""
    with pytest.raises(TypeError, match="must be an int"):
        make(value)


def test_the_makers_of_durations_multiply_exactly() -> None:
    """R0.10 R0.11 R0.12 R0.13 Each unit is its exact number of nanoseconds."""
    assert Duration.from_nanos(7).nanos == 7
    assert Duration.from_micros(7).nanos == 7_000
    assert Duration.from_millis(7).nanos == 7_000_000
    assert Duration.from_seconds(7).nanos == 7_000_000_000


def test_seconds_beyond_64_bits_are_refused() -> None:
    """R0.13 The last second that fits is accepted, the next one raises OverflowError."""
    assert Duration.from_seconds(9_223_372_036).nanos == 9_223_372_036_000_000_000
    with pytest.raises(OverflowError, match="64 signed bits"):
        Duration.from_seconds(9_223_372_037)


@given(whole)
def test_conversions_to_larger_units_round_down(nanos: int) -> None:
    """R0.14 R0.15 R0.16 The rest that is cut off is never negative and less than one unit."""
    duration = Duration(nanos)
    assert duration.to_nanos() == nanos
    assert 0 <= nanos - duration.to_micros() * 1_000 < 1_000
    assert 0 <= nanos - duration.to_millis() * 1_000_000 < 1_000_000


@given(small, small, st.integers(-1_000, 1_000))
def test_duration_arithmetic_is_exact(left: int, right: int, factor: int) -> None:
    """R0.17 R0.18 R0.19 R0.55 Sums, differences and multiples are those of the integers."""
    a, b = Duration(left), Duration(right)
    assert (a + b).nanos == left + right
    assert (a - b).nanos == left - right
    assert (a * factor).nanos == (factor * a).nanos == left * factor
    assert (-a).nanos == -left


@given(whole, whole.filter(bool))
def test_division_rounds_down(nanos: int, divisor: int) -> None:
    """R0.20 The quotient is the integer quotient, also for negative lengths."""
    if (nanos, divisor) == (FIRST, -1):
        with pytest.raises(OverflowError):
            Duration(nanos) / divisor
    else:
        assert (Duration(nanos) / divisor).nanos == nanos // divisor


def test_division_by_zero_is_an_error() -> None:
    """R0.20 Dividing by zero raises, as it does for integers."""
    with pytest.raises(ZeroDivisionError):
        Duration(1) / 0


@pytest.mark.parametrize(
    "operation",
    [
        lambda: Duration(1) / 2.0,  # type: ignore[operator]
        lambda: Duration(1) / Duration(1),  # type: ignore[operator]
        lambda: Duration(1) * 0.5,  # type: ignore[operator]
        lambda: Duration(1) * True,
        lambda: Duration(1) + 1,  # type: ignore[operator]
        lambda: Duration(1) - 1,  # type: ignore[operator]
        lambda: Duration(1) < 1,  # type: ignore[operator]
        lambda: Timestamp(1) + 1,  # type: ignore[operator]
        lambda: Timestamp(1) - 1,  # type: ignore[operator]
        lambda: Timestamp(1) + Timestamp(1),  # type: ignore[operator]
        lambda: Timestamp(1) < Duration(2),  # type: ignore[operator]
    ],
)
def test_times_mix_with_nothing_else(operation: Callable[[], object]) -> None:
    """R0.9 R0.20 Floats and bare numbers never slip into an expression."""
    with pytest.raises(TypeError):
        operation()


@pytest.mark.parametrize(
    "operation",
    [
        lambda: Duration(LAST) + Duration(1),
        lambda: Duration(FIRST) - Duration(1),
        lambda: Duration(LAST) * 2,
        lambda: -Duration(FIRST),
        lambda: Timestamp(LAST) + Duration(1),
        lambda: Timestamp(LAST) - Timestamp(-1),
        lambda: Timestamp(2**63),
        lambda: Duration.from_micros(2**60),
        lambda: Duration.from_millis(2**60),
    ],
)
def test_overflow_is_an_error_not_a_wrap(operation: Callable[[], object]) -> None:
    """R0.13 R0.17 R0.18 R0.19 Whatever leaves 64 signed bits raises OverflowError."""
    with pytest.raises(OverflowError):
        operation()


def test_times_are_immutable_and_travel_between_processes() -> None:
    """R0.5 R0.9 A time cannot be changed and pickles to an equal one."""
    for value, field in ((Duration(5), "nanos"), (Timestamp(5), "value_ns")):
        with pytest.raises(AttributeError):
            setattr(value, field, 6)
        assert pickle.loads(pickle.dumps(value)) == value
