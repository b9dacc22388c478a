"""This process's own rings as a source: what a collector in the producer itself drains."""

from __future__ import annotations

import os
from pathlib import Path

from whence import _native
from whence._native import Batch, Catalogue, RingReader
from whence.collect.follower import Ended, Place, Positions, Span, Step
from whence.collect.kinds import kind_infos
from whence.collect.local import local_session
from whence.collect.sink import Drained
from whence.model.errors import WhenceError
from whence.model.recording import SessionInfo
from whence.ring.folders import open_session_file, ring_files

__all__ = ["IDLE", "LocalSource", "ring_from_file", "rings_on_disk"]

IDLE = 2  # the state of a ring whose writer has ended


class LocalSource:
    """Drains the rings of this process through the writers' memory, files or not. One thread.

    Readers are made anew for every step: between steps none keeps the memory of an ended
    TraceCollector. What such a collector's ring still held is read from its file, if it has one.
    `start` is where to go on in rings that were read before.
    """

    def __init__(self, start: Positions | None = None) -> None:
        self._start = start or {}
        self._session: str = ""
        self._catalogue = Catalogue()
        self._ids = Batch()  # empty: those to come share what it knows of long request ids
        self._next: dict[int, int] = {}
        self._over: set[int] = set()

    def step(self, most_events: int, *, spare_dead: bool = False) -> Step:
        """What the rings have gained. Copies without the GIL."""
        info = local_session()
        batch = Batch(self._ids)
        if info is None:
            return Step(Drained(batch), {})
        if info.uuid != self._session:
            self._begin(info)
        spans: dict[Place, Span] = {}
        self._catalogue.update_local()  # what long ids are read by while the rings are drained
        known = rings_on_disk(info)  # before the readers: what is not among these has ended
        readers = {reader.ring: reader for reader in _native.local_rings()}
        for ring in sorted(known - readers.keys() - self._over):
            reader = ring_from_file(info, ring)
            if reader is not None and reader.state != IDLE:
                continue
            self._over.add(ring)
            if reader is not None:
                self._drain(reader, info, batch, most_events, spans)
        more = False
        for reader in readers.values():
            room = most_events - len(batch)
            if room <= 0:
                more = True
                break
            more = self._drain(reader, info, batch, room, spans) >= room or more
        if len(batch):
            self._catalogue.update_local()  # after the events: a name is older than its slot
        catalogue = self._catalogue
        drained = Drained(
            batch, {info.name: info}, lambda: {info.name: kind_infos(catalogue, info.name)}
        )
        return Step(drained, spans, more)

    def pressure(self) -> float:
        """The largest share of a ring that is unread."""
        most = 0.0
        for reader in _native.local_rings():
            reader.seek(self._next.get(reader.ring, reader.next_ticket))
            most = max(most, reader.waiting / reader.capacity)
        return most

    def take_ended(self) -> list[Ended]:
        """None: while this asks, the process lives."""
        return []

    def take_removed(self) -> list[str]:
        """None."""
        return []

    def _begin(self, info: SessionInfo) -> None:
        self._session = info.uuid
        self._catalogue = Catalogue(int(info.run or "0", 16))
        self._next = dict(self._start.get(info.uuid, {}))
        self._over = set()

    def _drain(
        self,
        reader: RingReader,
        info: SessionInfo,
        batch: Batch,
        most: int,
        spans: dict[Place, Span],
    ) -> int:
        before = self._next.get(reader.ring, reader.next_ticket)
        reader.seek(before)
        taken = batch.drain(reader, self._catalogue, info.name, info.key, most)
        after = self._next[reader.ring] = reader.next_ticket
        if after > before:
            spans[info.uuid, reader.ring] = (before, after)
        return taken


def rings_on_disk(info: SessionInfo) -> set[int]:
    """The numbers of the session's rings that have files."""
    if not info.path:
        return set()
    try:
        return {int(name[5:]) for name in ring_files(Path(info.path))}
    except OSError:
        return set()


def ring_from_file(info: SessionInfo, ring: int) -> RingReader | None:
    """A cursor over a ring's file, which outlives an ended TraceCollector; None if it cannot be."""
    if not info.path:
        return None
    try:
        handle = open_session_file(Path(info.path), f"ring-{ring:05}")
    except (WhenceError, OSError):
        return None
    try:
        return RingReader.open(handle, live=False)
    except (WhenceError, OSError):
        return None
    finally:
        os.close(handle)
