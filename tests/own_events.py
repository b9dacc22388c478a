"""What this very process records while a test runs."""

from __future__ import annotations

from whence import _native
from whence._native import Batch, Catalogue, RingReader
from whence.collect.events import to_events
from whence.collect.local import local_session
from whence.model.event import TraceEvent

__all__ = ["OwnEvents"]

COUNTS = ("recorded", "sampled_out", "throttled", "below_minimum", "rejected", "nested")
Counts = dict[tuple[int, int], tuple[int, ...]]  # by ring and kind


class OwnEvents:
    """The events and counts of this process from the moment this object is made."""

    def __init__(self) -> None:
        self._first_tickets = {reader.ring: _end(reader) for reader in _native.local_rings()}
        self._counts = _all_counts()

    def __call__(self) -> list[TraceEvent]:
        """The events so far, in order of time."""
        return to_events(self.batch().rows())

    def one(self) -> TraceEvent:
        """The only event so far."""
        (event,) = self()
        return event

    def batch(self) -> Batch:
        """The same as a native batch."""
        session = local_session()
        batch, catalogue = Batch(), Catalogue()
        for reader in _native.local_rings() if session else ():
            assert session is not None
            reader.seek(self._first_tickets.get(reader.ring, 0))
            batch.drain(reader, catalogue, session.name, session.key)
        catalogue.update_local()
        return batch

    def count(self, what: str) -> int:
        """How many calls of any kind were, for example, "rejected" so far."""
        return _total(what, _all_counts()) - _total(what, self._counts)


def _total(what: str, counts: Counts) -> int:
    at = COUNTS.index(what)
    return sum(row[at] for row in counts.values())


def _end(reader: RingReader) -> int:
    Batch().drain(reader, Catalogue(), "", 0)
    return reader.next_ticket


def _all_counts() -> Counts:
    return {
        (reader.ring, kind): counts
        for reader in _native.local_rings()
        for kind, counts in reader.counts()
    }
