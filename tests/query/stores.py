"""Stores for the tests of questions: folders that hold the events of a recording."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from whence.export.columns import table_of
from whence.model.recording import Recording
from whence.store.folder import FolderStore
from whence.store.sessions import StoredSession
from whence.store.store import Store

__all__ = ["fill", "stored"]

_UUID = "5d0f0a52-9a9c-4f43-8a3f-{:012x}"


def stored(folder: Path, source: Recording, segments: int = 1) -> Path:
    """A store in the folder with the recording's events, in so many files by turns."""
    with FolderStore(folder, write=True, words="test") as store:
        fill(store, source, segments)
    return folder


def fill(store: Store, source: Recording, segments: int = 1) -> None:
    """Puts a recording into a store, by so many appends."""
    for number, info in enumerate(source.sessions):
        store.put_session(
            StoredSession(
                info=replace(info, uuid=_UUID.format(number)),
                kinds=tuple(k for k in source.kinds if k.session in ("", info.name)),
                rings=tuple(ring for ring in source.rings if ring.session == info.name),
                gate_changes=tuple(g for g in source.gate_changes if g.session == info.name),
            )
        )
    for first in range(segments):
        if events := source.events[first::segments]:
            store.append(table_of(source, events))
