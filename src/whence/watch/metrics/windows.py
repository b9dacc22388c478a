"""Windows that slide over a monotonic clock: what was added within the last so many seconds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, Self, TypeVar

__all__ = ["Mergeable", "SlidingWindow", "Total"]

PARTS = 10


class Mergeable(Protocol):
    """What can be added up."""

    def merge(self, other: Self) -> None:
        """Adds all that another one holds."""


T = TypeVar("T", bound=Mergeable)


class Total:
    """A sum, and how many values it is of."""

    __slots__ = ("count", "sum")

    def __init__(self) -> None:
        self.sum = 0.0
        self.count = 0

    def add(self, value: float) -> None:
        """One more value."""
        self.sum += value
        self.count += 1

    def merge(self, other: Total) -> None:
        """Adds both."""
        self.sum += other.sum
        self.count += other.count


class SlidingWindow(Generic[T]):
    """Holds what was added in the last `window_s`, in parts that go when they are that old.

    It covers at least nine tenths of the window, and never more than all of it. The clock is
    monotonic: steps of the wall clock change nothing. One thread at a time. Raises ValueError for a
    window without length.
    """

    def __init__(
        self,
        window_s: float,
        make: Callable[[], T],
        *,
        parts: int = PARTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not window_s > 0 or parts < 1:
            raise ValueError("a window is longer than nothing")
        self.window_s = window_s
        self._part_s = window_s / parts
        self._most = parts
        self._make = make
        self._clock = clock
        self._began_s = clock()
        self._parts: deque[tuple[int, T]] = deque()

    @property
    def current(self) -> T:
        """What to add to now."""
        number = self._pass()
        if not self._parts or self._parts[-1][0] != number:
            self._parts.append((number, self._make()))
        return self._parts[-1][1]

    def merged(self) -> T:
        """All that the window holds, as one."""
        self._pass()
        found = self._make()
        for _, part in self._parts:
            found.merge(part)
        return found

    @property
    def covered_s(self) -> float:
        """How long the stretch is that merged() is of: shorter in the beginning."""
        since_s = self._clock() - self._began_s
        into_part_s = since_s % self._part_s
        return min(since_s, self.window_s - self._part_s + into_part_s)

    def _pass(self) -> int:
        """Lets go what is too old; the number of the part that it is now."""
        number = int((self._clock() - self._began_s) // self._part_s)
        while self._parts and self._parts[0][0] <= number - self._most:
            self._parts.popleft()
        return number
