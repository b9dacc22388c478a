"""Whether a store has anything new: who asks it by himself, every few seconds, asks only then."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import NamedTuple

from whence.model.errors import NotAStore
from whence.traces.rooms import Room

__all__ = ["Mark", "Stirring"]


class Mark(NamedTuple):
    """What a store holds: how far each ring is stored, what is hidden, how many events."""

    positions: tuple[tuple[str, int, int], ...]
    hidden: int
    rows: int


class Stirring:
    """The marks of what a room holds, but for one ring of this process. Any thread.

    That ring is the one that a service's own metrics go to: a server at rest writes nothing else.
    A look costs one stat of the manifest, unless it was written since the last one.
    """

    def __init__(self, room: Room, besides: Callable[[], int | None] = lambda: None) -> None:
        self._path = room.folder
        self._besides = besides
        self._lock = threading.Lock()
        self._written: object = None
        self._mark: Mark | None = None

    def mark(self) -> Mark | None:
        """Another value once there is something new; None where only a question can tell."""
        if self._path is None:
            return None
        from whence.store.place import MANIFEST

        with self._lock:
            try:
                found = os.stat(self._path / MANIFEST)
                written = (found.st_mtime_ns, found.st_ino, found.st_size)
                if written != self._written:
                    self._mark, self._written = self._read(), written
            except (OSError, ValueError, NotAStore):
                return None
            return self._mark

    def _read(self) -> Mark:
        from whence.collect.local import local_session
        from whence.store.folder import FolderStore

        assert self._path is not None
        manifest = FolderStore(self._path).manifest
        info, ring = local_session(), self._besides()
        own = (info.uuid, ring) if info is not None and ring is not None else None
        positions = tuple(
            (uuid, number, at)
            for uuid, rings in sorted(manifest.positions.items())
            for number, at in sorted(rings.items())
            if at and (uuid, number) != own
        )
        rows = manifest.rows
        if own is not None and own[1] in (rings := manifest.rings.get(own[0], {})):
            rows -= rings[own[1]].stored
        return Mark(positions, len(manifest.tombstones), rows)
