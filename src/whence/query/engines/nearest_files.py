"""Which files of a store to look into first, where its newest or oldest events are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from whence.query.engines.shapes import Order, PageKey
from whence.store.manifest import Segment

__all__ = ["by_and_by", "later", "one_after_the_other"]

FIRST_ROWS = 500_000  # looked through before the rest, when only the newest or oldest are asked for
FOUR_TIMES = 4


def by_and_by(
    files: list[Segment], order: Order, after: PageKey | None
) -> Iterator[tuple[Sequence[Segment], bool, int]]:
    """(files, whether these are all, up to where they are complete): from one end, ever more.

    What an order by time asks for lies in the first files as a rule.
    """
    if order == "longest" or not files:
        yield files, True, 0
        return
    newest = order == "newest"
    if after is not None:
        at = after.wall_ns
        files = [each for each in files if (each.min_ts <= at if newest else each.max_ts >= at)]
    files.sort(key=lambda each: -each.max_ts if newest else each.min_ts)
    wanted, taken, rows = FIRST_ROWS, 0, 0
    while True:
        while taken < len(files) and (not taken or rows < wanted):
            rows += files[taken].rows
            taken += 1
        rest = files[taken:]
        if not rest:
            yield files, True, 0
            return
        edge = max(each.max_ts for each in rest) if newest else min(each.min_ts for each in rest)
        yield files[:taken], False, edge
        wanted *= FOUR_TIMES


def one_after_the_other(
    files: list[Segment], wanted: int | None = None
) -> Iterator[tuple[Sequence[Segment], int | None]]:
    """(some files, when the newest event of the rest happened): the newest first, ever more."""
    files = sorted(files, key=lambda each: -each.max_ts)
    wanted = wanted or FIRST_ROWS
    while files:
        taken, rows = 0, 0
        while taken < len(files) and (not taken or rows < wanted):
            rows += files[taken].rows
            taken += 1
        some, files = files[:taken], files[taken:]
        yield some, files[0].max_ts if files else None
        wanted *= FOUR_TIMES


def later(one: int | None, other: int | None) -> int | None:
    """The later of two moments, of which one or both may be missing."""
    return max((moment for moment in (one, other) if moment is not None), default=None)
