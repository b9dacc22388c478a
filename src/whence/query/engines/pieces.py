"""Answers of any length, a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

import pyarrow as pa

from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.store.columns import events_of

__all__ = ["PIECE_ROWS", "InPieces", "Piece", "Pieces"]

PIECE_ROWS = 49_152  # as many as segments have in a row group


class Piece(NamedTuple):
    """Some rows in the columns of a store, and the names of sessions by their keys."""

    table: pa.Table
    names: Mapping[int, str]

    def events(self) -> list[TraceEvent]:
        """The events that the rows are."""
        return events_of(self.table, self.names)

    def wall_ns(self) -> list[int]:
        """The wall time of each."""
        walls: list[int] = self.table.column("ts_ns").to_pylist()
        return walls


class Pieces(NamedTuple):
    """What is known of the sessions that the events are of, and the events themselves."""

    known: Recording
    pieces: Iterator[Piece]


class InPieces(Protocol):
    """An engine over what may be too large to be held."""

    def in_pieces(self, query: TraceQuery, rows: int = PIECE_ROWS) -> Pieces:
        """All matching events, the oldest first, so many at a time."""
