"""Active traces that began in other processes: which are overdue, looked for when there may be."""

from __future__ import annotations

from collections.abc import Callable

from whence.query.engines.traces import TraceRow, TracesPage
from whence.traces.lives import Life
from whence.traces.stirring import Mark, Stirring

__all__ = ["Elsewhere"]


class Elsewhere:
    """What is known of them from the last look; one thread at a time.

    In a store that gains nothing the next look is needed once the first of them is due. What a
    trace began with, and so when it is due, is asked for once.
    """

    def __init__(self, stirring: Stirring) -> None:
        self._stirring = stirring
        self._looked: Mark | None = None
        self._looking: Mark | None = None
        self._lives: dict[str, Life | None] = {}

    def may_be_overdue(self, now_ns: int) -> bool:
        """Whether a look is worth it; overdue() is to follow then."""
        mark = self._looking = self._stirring.mark()
        if mark is None or mark != self._looked:
            return mark is None or mark.rows != 0
        return any(life is not None and life.is_overdue(now_ns) for life in self._lives.values())

    def overdue(
        self, page: TracesPage, now_ns: int, life_of: Callable[[TraceRow], Life | None]
    ) -> list[Life]:
        """Those of the oldest active traces; `life_of` reads how one began, if anything tells."""
        known, self._lives = self._lives, {}
        for row in page.items:
            life = known[row.trace_id] if known.get(row.trace_id) else life_of(row)
            self._lives[row.trace_id] = life
        self._looked = self._looking if page.total <= len(page.items) else None
        return [each for each in self._lives.values() if each and each.is_overdue(now_ns)]
