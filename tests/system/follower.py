"""Follows a producer's ring from outside and checks every event it is given."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from tests.system.proof import is_right
from whence._native import Batch, Catalogue, RingReader
from whence.collect.events import to_events
from whence.ring.session_file import read_request_seed

__all__ = ["RingFollower", "done_by"]


def done_by(log: Path) -> list[int]:
    """How many events each thread of a producer has completed, by its own log."""
    return [done for _, done in struct.iter_unpack("<QQ", log.read_bytes())]


class RingFollower:
    """Follows one live ring and checks all that it is given."""

    def __init__(self, folder: Path, name: str, chunk: int) -> None:
        handle = os.open(folder / name, os.O_RDONLY)
        self.reader = RingReader.open(handle, live=True)
        os.close(handle)
        self.thread: int | None = None
        self._chunk = chunk
        self._names = folder / "names"
        self._catalogue = Catalogue(request_seed=read_request_seed(folder))
        self._next = 0

    def follow(self) -> None:
        """Takes what is new; fails for anything that was not recorded just so."""
        batch = Batch()
        batch.drain(self.reader, self._catalogue, "session", 1)
        self._catalogue.update(self._names.read_bytes())
        assert self.reader.delivered + self.reader.lost == self.reader.next_ticket
        assert self.reader.corrupt == 0
        events = sorted(to_events(batch.rows()), key=lambda event: event.ticket)
        for event in events:
            assert self._next <= event.ticket < self.reader.next_ticket
            self._next = event.ticket + 1
            if self.thread is None:
                self.thread = int(event.attributes["thread"])
            assert is_right(event, self.thread, self._chunk), event
