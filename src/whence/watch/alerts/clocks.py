"""Windows of monotonic time as stretches of wall time: steps of the wall clock lose none of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

__all__ = ["STEP_NS", "Stretches"]

STEP_NS = 2_000_000_000  # what the wall clock may be corrected by without being said to be set


class Stretches:
    """Remembers what the wall clock said, as often as see() is called. One thread at a time.

    Where it was set, forward or back, a window is of several stretches: one of each setting.
    """

    def __init__(
        self,
        most_ns: int,
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        wall_clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._most_ns = most_ns
        self._clock_ns = clock_ns
        self._wall_clock_ns = wall_clock_ns
        self._settings: deque[tuple[int, int]] = deque()  # since when, and wall - monotonic
        self.see()

    def see(self) -> tuple[int, int]:
        """What both clocks say now, monotonic and wall; the former never less than before."""
        now_ns, wall_ns = self._clock_ns(), self._wall_clock_ns()
        ahead_ns = wall_ns - now_ns
        if not self._settings or abs(ahead_ns - self._settings[-1][1]) > STEP_NS:
            self._settings.append((now_ns, ahead_ns))
        while len(self._settings) > 1 and self._settings[1][0] <= now_ns - self._most_ns:
            self._settings.popleft()
        return now_ns, wall_ns

    def within(self, window_ns: int) -> list[tuple[int, int]]:
        """The last so many nanoseconds as stretches of wall time, each since and until, in order.

        Those that overlap, as after a step back, are joined: their events cannot be told apart.
        """
        until_ns, wall_ns = self.see()
        found: list[tuple[int, int]] = []
        end_ns = until_ns
        for since_ns, ahead_ns in reversed(self._settings):
            oldest = since_ns == self._settings[0][0]
            begin_ns = until_ns - window_ns if oldest else max(since_ns, until_ns - window_ns)
            if not found:  # up to what the wall clock says, with what it was slewed by
                begin_wall_ns = begin_ns + ahead_ns
                found.append((begin_wall_ns, max(wall_ns, begin_wall_ns + 1)))
            elif end_ns > begin_ns:
                found.append((begin_ns + ahead_ns, end_ns + ahead_ns))
            end_ns = begin_ns
            if begin_ns <= until_ns - window_ns:
                break
        return _joined(found)


def _joined(stretches: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for since_ns, until_ns in sorted(stretches):
        if found and since_ns <= found[-1][1]:
            found[-1] = (found[-1][0], max(until_ns, found[-1][1]))
        else:
            found.append((since_ns, until_ns))
    return found
