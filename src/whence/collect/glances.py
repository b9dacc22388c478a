"""Between two drains: waits for the interval, but not while a ring fills up meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Glances"]

PRESSED = 0.25  # the share of a ring that may be unread before it is drained ahead of time
LEAST_S = 0.025
SHARE = 40  # glances take at most one part in so many of the time


class Glances:
    """Looks now and then how much of any ring is unread. One thread.

    `pressure` tells that as a share of the ring. However many sessions there are, looking takes
    at most 2.5 % of a core.
    """

    def __init__(
        self,
        pressure: Callable[[], float],
        least_s: float = LEAST_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pressure = pressure
        self._least_s = self._apart_s = least_s
        self._clock = clock

    def wait(self, interval_s: float, wait: Callable[[float], bool]) -> bool:
        """Until the interval has passed or a ring is pressed; True if `wait` said to end.

        `wait` waits for the seconds given, or says sooner that the end has come.
        """
        end_s = self._clock() + interval_s
        while (left_s := end_s - self._clock()) > 0:
            if wait(min(left_s, self._apart_s)):
                return True
            begin_s = self._clock()
            if begin_s >= end_s or self._pressure() > PRESSED:
                break
            self._apart_s = max(self._least_s, SHARE * (self._clock() - begin_s))
        return False
