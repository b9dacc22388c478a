"""Keeps a store's session files up to date: before the rows that need them, and at the end."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from whence.collect.session_reader import SessionReader
from whence.model.errors import WhenceError
from whence.model.recording import KindInfo, SessionInfo
from whence.ring.session_file import is_recording
from whence.store.batches import Converted
from whence.store.folder import FolderStore
from whence.store.sessions import StoredSession, with_tallies

__all__ = ["Teller"]

REFRESH_S = 10.0


@dataclass
class _Told:
    info: SessionInfo
    kinds: int
    at_s: float
    ended: bool = False


class Teller:
    """Writes what is known of sessions into the store. One thread; `has_told_the_end` any.

    A session is told of when its first rows come, when it has declared more kinds, every ten
    seconds while it gives rows, and when it has ended. Raises OSError.
    """

    def __init__(self, store: FolderStore, filtered: bool, clock: Callable[[], float]) -> None:
        self._store = store
        self._filtered = filtered
        self._clock = clock
        self._told: dict[str, _Told] = {}
        self._lock = threading.Lock()

    @property
    def live(self) -> bool:
        """Whether there are sessions whose end is still to be told."""
        return any(not told.ended for told in self._told.values())

    def has_told_the_end(self, uuid: str) -> bool:
        """Whether the session's file has its final state."""
        with self._lock:
            told = self._told.get(uuid)
            return told is not None and told.ended

    def tell(self, converted: Iterable[Converted]) -> None:
        """Before rows are appended: the sessions they are of, where there is something new."""
        for each in converted:
            with_rows = {uuid for uuid, _ in each.tallies}
            for info in each.drained.sessions.values():
                if info.uuid not in with_rows:
                    continue
                kinds = each.drained.kinds.get(info.name, ())
                told = self._told.get(info.uuid)
                if (
                    told is None
                    or told.kinds != len(kinds)
                    or self._clock() - told.at_s >= REFRESH_S
                ):
                    self._write(info, kinds)

    def refresh(self) -> None:
        """Looks which of the sessions have ended meanwhile, and tells of these."""
        for uuid, told in list(self._told.items()):
            if not told.ended and self._clock() - told.at_s >= REFRESH_S:
                told.at_s = self._clock()
                if not _lives(told.info):
                    self.tell_the_end({uuid})

    def tell_the_end(self, uuids: Iterable[str]) -> None:
        """Writes the last that can be known of sessions that give no more rows."""
        for uuid in uuids:
            told = self._told.get(uuid)
            if told is not None and told.ended:
                continue
            try:
                info = told.info if told else self._store.session(uuid).info
            except (WhenceError, FileNotFoundError):  # none of its events is here
                with self._lock:
                    self._told[uuid] = _Told(SessionInfo(""), 0, self._clock(), ended=True)
                continue
            self._write(info, (), ended=True)

    def tell_all(self) -> None:
        """Writes the state of every session anew, at the end of collecting."""
        for told in list(self._told.values()):
            if not told.ended:
                ours = told.info.pid == os.getpid()
                self._write(told.info, (), ended=ours or not _lives(told.info))

    def _write(self, info: SessionInfo, kinds: tuple[KindInfo, ...], ended: bool = False) -> None:
        session = self._read(info, kinds)
        if ended:
            session = replace(session, info=replace(session.info, live=False, state="dead"))
        manifest = self._store.manifest
        positions = manifest.positions.get(info.uuid, {})
        tallies = manifest.rings.get(info.uuid, {})
        self._store.put_session(with_tallies(session, positions, tallies))
        told = _Told(session.info, len(kinds or session.kinds), self._clock(), ended)
        with self._lock:
            self._told[info.uuid] = told

    def _read(self, info: SessionInfo, kinds: tuple[KindInfo, ...]) -> StoredSession:
        """What the session's folder tells; without it what is known already."""
        if info.path:
            with contextlib.suppress(WhenceError, OSError):
                reader = SessionReader(Path(info.path))
                if reader.info.uuid == info.uuid:
                    _, rings = reader.drain_with_ledgers()
                    return StoredSession(
                        info=reader.info,
                        kinds=reader.kinds,
                        rings=rings,
                        gate_changes=reader.gate_changes(),
                        filtered=self._filtered,
                    )
        with contextlib.suppress(WhenceError, OSError):
            known = self._store.session(info.uuid)
            return replace(known, info=info, kinds=kinds or known.kinds)
        return StoredSession(info=info, kinds=kinds, filtered=self._filtered)


def _lives(info: SessionInfo) -> bool:
    if not info.path:
        return info.pid == os.getpid()
    try:
        return is_recording(Path(info.path))
    except (WhenceError, OSError):
        return False
