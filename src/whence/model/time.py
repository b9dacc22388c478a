"""Points and lengths of monotonic time in whole nanoseconds, checked to fit 64 signed bits."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import overload

__all__ = ["Duration", "Timestamp"]

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time in nanoseconds; may be negative.

    `nanos` is an int that fits 64 signed bits: anything larger, also as the result of arithmetic,
    raises OverflowError; floats and bools raise TypeError. Division and the conversions to
    larger units round down (towards minus infinity). Immutable, hashable, totally ordered.
    """

    nanos: int

    def __post_init__(self) -> None:
        _check_int64(self.nanos, "Duration")

    @classmethod
    def from_nanos(cls, nanos: int) -> Duration:
        """The duration of that many nanoseconds."""
        return cls(nanos)

    @classmethod
    def from_micros(cls, micros: int) -> Duration:
        """The duration of that many microseconds."""
        return cls(_whole(micros, "micros") * 1_000)

    @classmethod
    def from_millis(cls, millis: int) -> Duration:
        """The duration of that many milliseconds."""
        return cls(_whole(millis, "millis") * 1_000_000)

    @classmethod
    def from_seconds(cls, seconds: int) -> Duration:
        """The duration of that many seconds; OverflowError beyond 292 years."""
        return cls(_whole(seconds, "seconds") * 1_000_000_000)

    def to_nanos(self) -> int:
        """Nanoseconds."""
        return self.nanos

    def to_micros(self) -> int:
        """Whole microseconds, rounded down: 1,999 ns are 1 us, -1 ns is -1 us."""
        return self.nanos // 1_000

    def to_millis(self) -> int:
        """Whole milliseconds, rounded down."""
        return self.nanos // 1_000_000

    def __add__(self, other: Duration) -> Duration:
        if not isinstance(other, Duration):
            return NotImplemented
        return Duration(self.nanos + other.nanos)

    def __sub__(self, other: Duration) -> Duration:
        if not isinstance(other, Duration):
            return NotImplemented
        return Duration(self.nanos - other.nanos)

    def __mul__(self, factor: int) -> Duration:
        if not _is_whole(factor):
            return NotImplemented
        return Duration(self.nanos * factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: int) -> Duration:
        """Divide and round down; ZeroDivisionError for 0, TypeError for anything but an int."""
        if not _is_whole(divisor):
            return NotImplemented
        return Duration(self.nanos // divisor)

    __floordiv__ = __truediv__

    def __neg__(self) -> Duration:
        return Duration(-self.nanos)


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A moment on the monotonic clock: nanoseconds since that clock's own beginning.

    Only moments of one host and one boot compare; a recording's anchors turn them into wall time.
    `value_ns` fits 64 signed bits (OverflowError), floats and bools raise TypeError.
    Immutable, hashable, totally ordered.
    """

    value_ns: int

    def __post_init__(self) -> None:
        _check_int64(self.value_ns, "Timestamp")

    @classmethod
    def now(cls) -> Timestamp:
        """The moment of this call, by the clock that stamps recorded events; never goes back."""
        return cls(_now_ns())

    @overload
    def __sub__(self, other: Timestamp) -> Duration: ...
    @overload
    def __sub__(self, other: Duration) -> Timestamp: ...
    def __sub__(self, other: Timestamp | Duration) -> Timestamp | Duration:
        if isinstance(other, Timestamp):
            return Duration(self.value_ns - other.value_ns)
        if isinstance(other, Duration):
            return Timestamp(self.value_ns - other.nanos)
        return NotImplemented

    def __add__(self, other: Duration) -> Timestamp:
        if not isinstance(other, Duration):
            return NotImplemented
        return Timestamp(self.value_ns + other.nanos)

    __radd__ = __add__


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _whole(value: int, unit: str) -> int:
    if not _is_whole(value):
        raise TypeError(f"{unit} must be an int, not {type(value).__name__}")
    return value


def _check_int64(value: int, owner: str) -> None:
    if type(value) is not int:
        _whole(value, f"{owner} nanoseconds")
    if not INT64_MIN <= value <= INT64_MAX:
        raise OverflowError(f"{owner} of {value} ns does not fit 64 signed bits")


def _find_clock() -> Callable[[], int]:
    try:
        clock: Callable[[], int] = importlib.import_module("whence._native").now_ns
    except (ImportError, AttributeError):
        return time.monotonic_ns
    return clock


def _now_ns() -> int:
    # Found at the first use, so that values import without the native module.
    global _now_ns
    _now_ns = _find_clock()
    return _now_ns()
