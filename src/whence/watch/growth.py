"""What a store has grown by: its files as they appear, read from the row that was reached."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from whence.store.columns import SCHEMA
from whence.store.folder import FolderStore
from whence.store.hidden import Hidden, hidden_by
from whence.store.manifest import Manifest, Segment
from whence.store.memory import MemorySnapshot, MemoryStore
from whence.store.place import MANIFEST
from whence.store.sessions import StoredSession

__all__ = ["FolderGrowth", "Growing", "MemoryGrowth", "Stage", "growth_of", "hidden_in"]


class Stage(Protocol):
    """One generation of a store, as far as followers need it."""

    @property
    def manifest(self) -> Manifest:
        """Its files and positions."""

    @property
    def sessions(self) -> Mapping[int, StoredSession]:
        """The sessions by the key that rows hold."""


class Growing(Protocol):
    """A store that can be followed. Each follower has one of its own, for one thread."""

    def mark(self) -> object:
        """Another value once there is another generation; cheap enough to be asked often."""

    def stage(self) -> Stage:
        """The newest generation."""

    def rows(self, stage: Stage, segment: Segment, first: int, most: int) -> Iterator[pa.Table]:
        """The rows of a file from that one on, so many at a time, the columns of SCHEMA.

        Raises FileNotFoundError for one that was replaced and is gone, OSError and
        pa.ArrowException for what cannot be read.
        """


class FolderGrowth:
    """Of a store in a folder. A look costs one stat of its manifest."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._store = FolderStore(path)
        self._path = self._store.path / MANIFEST

    def mark(self) -> object:
        """When, and as which file, the manifest was written."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def stage(self) -> Stage:
        """The newest generation."""
        return self._store.snapshot()

    def rows(self, stage: Stage, segment: Segment, first: int, most: int) -> Iterator[pa.Table]:
        """Reads row groups one after the other; those before the row are left out."""
        with pq.ParquetFile(Path(self._store.path, segment.name), pre_buffer=False) as file:
            groups, passed = [], 0
            for number in range(file.metadata.num_row_groups):
                rows = file.metadata.row_group(number).num_rows
                if passed + rows > first:
                    groups.append(number)
                else:
                    passed += rows
            left_out = first - passed
            for batch in file.iter_batches(
                most, row_groups=groups, columns=SCHEMA.names, use_threads=False
            ):
                table = pa.Table.from_batches([batch]).slice(left_out)
                left_out -= len(batch) - len(table)
                if len(table):
                    yield table


class MemoryGrowth:
    """Of a store in memory."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def mark(self) -> object:
        """The generation."""
        return self._store.manifest.generation

    def stage(self) -> Stage:
        """The newest generation."""
        return self._store.snapshot()

    def rows(self, stage: Stage, segment: Segment, first: int, most: int) -> Iterator[pa.Table]:
        """Slices of the table that was appended."""
        assert isinstance(stage, MemorySnapshot)
        table = dict(zip(stage.manifest.files, stage.tables, strict=True))[segment]
        for at in range(first, len(table), most):
            yield table.slice(at, most)


def growth_of(store: str | os.PathLike[str] | FolderStore | MemoryStore) -> Growing:
    """What follows a store: a folder, or one in memory. Raises NotAStore, OSError."""
    if isinstance(store, MemoryStore):
        return MemoryGrowth(store)
    return FolderGrowth(store.path if isinstance(store, FolderStore) else store)


def hidden_in(manifest: Manifest) -> Hidden:
    """The rows of a generation that must not be seen."""
    tombstones: tuple[Mapping[str, Any], ...] = manifest.tombstones
    return hidden_by(tombstones)
