"""What a store promises, whatever it keeps its events in: the rules of appending and of looking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import pyarrow as pa

from whence.collect.sink_ledger import SinkLedger
from whence.store.manifest import Manifest
from whence.store.sessions import StoredSession

__all__ = ["Positions", "Store", "StoreSnapshot", "WholeStore"]

Positions = Mapping[str, Mapping[int, int]]
"""By session (uuid) and ring: the ticket of the first event that is not there yet."""


class Store(Protocol):
    """Takes tables of events, each event once. One thread appends.

    tests/conformance/store.py has these rules as tests to inherit.
    """

    @property
    def name(self) -> str:
        """As collectors and errors show it."""

    def append(
        self, table: pa.Table, positions: Positions | None = None, ledger: SinkLedger | None = None
    ) -> object:
        """Adds the rows of a table with the columns of whence.store.columns, in any order.

        It returns once the rows are as safe as the store makes them, and readers see them: that is
        the acknowledgement, and there is no other. An append that is repeated, because nobody knows
        what became of it, doubles no event. A table without rows is none but allowed. What cannot
        be taken raises, OSError or WhenceError where a later try may succeed, and what was there
        before stays. Rows that the store cannot hold raise ValueError or KeyError.

        `positions` and `ledger` are told by those who collect: a WholeStore keeps them, others
        leave that to whom they belong.
        """

    def put_session(self, session: StoredSession) -> None:
        """Keeps what is known of a session, in the place of what was known; before its rows."""

    def close(self) -> None:
        """Gives the store up. May come twice."""


class StoreSnapshot(Protocol):
    """One generation of a store. Immutable; threads may share it."""

    @property
    def generation(self) -> int:
        """Grows with every commit; the same generation has the same rows."""

    @property
    def manifest(self) -> Manifest:
        """How far everything was read, the ledger, and what is stored of each ring."""

    @property
    def sessions(self) -> Mapping[int, StoredSession]:
        """What is known of each session, by the key that rows hold."""


class WholeStore(Store, Protocol):
    """A store whose commits are whole: rows, positions and ledger are seen together or not at all.

    Each event is there once by the positions. An append that moves them on is new. One with rows
    that moves no position is a repetition and changes nothing. One that would move a ring back and
    another one on is neither, and raises ValueError. Without positions every append is new.

    After an error nothing has changed, unless the generation has moved: then all of the append is
    there, and only not known to survive a loss of power.
    """

    @property
    def manifest(self) -> Manifest:
        """The newest generation's."""

    def snapshot(self) -> StoreSnapshot:
        """The newest generation, whole: of no append a part. Any thread; never goes back."""
