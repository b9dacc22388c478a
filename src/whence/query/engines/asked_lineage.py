"""What every engine answers of lineage, over the little that each knows in its own way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from whence.model.recording import Recording
from whence.query.lineage import DEEPEST, MOST_IDS, Edges, Lineage, Way, walk

__all__ = ["LINEAGE_ROWS", "AsksLineage", "LineageSource", "meant_ids", "nearest"]

LINEAGE_ROWS = 10_000  # events told of the ids of one answer
T = TypeVar("T")


class LineageSource(Protocol):
    """What one moment of a source knows of lineage. Ids are from 1 to 2**64 - 1."""

    def edges(self) -> Sequence[Edges]:
        """Its links, and its windows if there are any."""

    def events(self, ids: Sequence[int], limit: int) -> Recording:
        """The oldest events with one of these lineage ids, and all that is known of sessions."""

    def knows(self, lineage_id: int) -> bool:
        """Whether an event has that id, or a link names it."""

    def ending(self, digits: str, limit: int) -> list[int]:
        """Ids of events and links whose decimal digits end so, the least first."""

    def near(self, lineage_id: int, limit: int) -> list[int]:
        """Ids that are nearest to that number, below and above; a bounded number is looked at."""


class AsksLineage:
    """The part of an engine that answers questions about lineage."""

    def _of_lineage(self, ask: Callable[[LineageSource], T]) -> T:
        """The answer from one generation of the source."""
        raise NotImplementedError

    def lineage(
        self,
        lineage_id: int,
        direction: Way = "up",
        *,
        most_depth: int = DEEPEST,
        most_ids: int = MOST_IDS,
    ) -> Lineage:
        """All that the id was made from ("up"), or all that was made from it ("down").

        Windows count as made from the frames of their stream within their bounds. ValueError for
        limits below 1 or an id of 0.
        """
        return self._of_lineage(
            lambda source: walk(
                source.edges(), lineage_id, direction, most_depth=most_depth, most_ids=most_ids
            )
        )

    def with_lineage(self, ids: Sequence[int], limit: int = LINEAGE_ROWS) -> Recording:
        """The oldest events with one of these lineage ids, and what is known of all sessions."""
        return self._of_lineage(lambda source: source.events(ids, limit))

    def lineage_ids(self, text: str, limit: int = 10) -> list[int]:
        """The lineage ids that a text means: one of these very digits, else those that end so."""
        digits = text.strip().lstrip("…")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
            return []
        return self._of_lineage(lambda source: meant_ids(source, digits, limit))

    def near_lineage(self, text: str, limit: int = 3) -> tuple[int, ...]:
        """The lineage ids nearest to such a number; none for what is no number."""
        digits = text.strip().lstrip("…")
        if not (digits.isascii() and digits.isdigit()) or int(digits) >= 2**64:
            return ()
        return tuple(self._of_lineage(lambda source: source.near(int(digits), limit)))


def meant_ids(source: LineageSource, digits: str, limit: int) -> list[int]:
    """As AsksLineage.lineage_ids()."""
    number = int(digits)
    if 0 < number < 2**64 and str(number) == digits and source.knows(number):
        return [number]
    return source.ending(digits, limit)


def nearest(ids: Iterable[int], wanted: int, limit: int) -> list[int]:
    """The so many of them that are nearest to a number, the nearest first."""
    return sorted(set(ids), key=lambda each: (abs(each - wanted), each))[:limit]
