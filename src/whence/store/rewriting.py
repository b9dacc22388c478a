"""Writes a segment of the rows of others piece by piece: not seen before it is exchanged."""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from whence.store.disk import Stream
from whence.store.id_index import IdIndex
from whence.store.lineage_rows import LineageRows
from whence.store.manifest import Segment
from whence.store.merge import Input, common_schema, merged
from whence.store.promoted import promoted_names
from whence.store.segment import (
    ROW_GROUP,
    OwnColumns,
    footer_note,
    new_ulid,
    parquet_writer,
    segment_name,
)

if TYPE_CHECKING:
    from whence.store.folder import FolderStore

__all__ = ["DamagedInput", "Rewriting", "Rewritten"]

CHECKED_PIECE = 8 << 20
SYNCED_PIECE = 32 << 20


class DamagedInput(Exception):
    """A file whose rows were to be copied is not the one that was written."""

    def __init__(self, segment: Segment, why: str) -> None:
        super().__init__(f"{segment.name} {why}")
        self.segment = segment
        self.why = why


class Rewritten(NamedTuple):
    """A segment that is on the disk, whole, under another name; `links` is its file of links."""

    segment: Segment
    beside: Path
    inputs: tuple[Segment, ...]
    links: bytes | None


class Rewriting:
    """One file of the rows of these, or of some of them. Close it: what is not finished is gone.

    Raises DamagedInput, OSError, and pa.ArrowException for files whose columns contradict each
    other.
    """

    def __init__(self, store: FolderStore, inputs: Sequence[Segment], level: int) -> None:
        self._store = store
        self._inputs = inputs
        self._level = level
        self._ulid = new_ulid()
        folder = (store.path / inputs[0].name).parent
        self._beside = folder / f".L{level}-{self._ulid}.parquet.new"
        self._opened = contextlib.ExitStack()
        self._stream: Stream
        self._sink: pa.NativeFile
        self._writer: pq.ParquetWriter
        self._schema: pa.Schema
        self._own: OwnColumns
        self._index, self._lineage = IdIndex(), LineageRows()
        self._first_ns = self._last_ns = self._rows = 0

    def steps(self, left_of: Callable[[pa.Table], pa.Table]) -> Iterator[None]:
        """Copies what is left of each table; each step is some ten milliseconds of work."""
        for each in self._inputs:
            yield from _checked(self._store.path, each)
        opened = []
        for each in self._inputs:
            opened.append(Input(self._store.path / each.name, each.min_ts, each.promoted))
            self._opened.callback(opened[-1].close)
        yield from self._find_columns(opened)
        self._schema = common_schema(opened, self._own["promoted"])
        stream = self._store.disk.stream(self._beside, self._store.mode)
        self._stream = self._opened.enter_context(stream)
        self._sink = pa.PythonFile(self._stream, mode="w")
        rows = sum(each.rows for each in self._inputs)
        self._writer = parquet_writer(self._sink, self._schema, rows)
        for table in _groups(merged(opened, self._schema), left_of):
            if table is None:
                yield
                continue
            times = table.column("ts_ns")
            self._first_ns = self._first_ns if self._rows else times[0].as_py()
            self._last_ns = times[len(table) - 1].as_py()
            self._rows += len(table)
            self._writer.write_table(table, ROW_GROUP)
            yield
            self._index.add(table)
            self._lineage.add(table)
            yield
            self._stream.sync(SYNCED_PIECE)

    def finish(self, commit: dict[str, Any], cleared: int) -> Rewritten | None:
        """The segment, durably on the disk; None, and no file, if no row was left."""
        ids, links = self._index.write(self._sink), self._lineage.encoded()
        entry = links.entry if links else None
        size, crc32 = self._stream.size, self._stream.crc32
        self._writer.add_key_value_metadata(
            footer_note(
                self._ulid, self._level, commit, self._schema, size, crc32, ids, entry, **self._own
            )
        )
        self._writer.close()
        self._stream.sync()
        self._opened.close()
        if not self._rows:  # all of it was forgotten
            self._store.disk.unlink(self._beside)
            return None
        made = Segment(
            name=segment_name(self._level, self._first_ns, self._last_ns, self._ulid),
            rows=self._rows,
            min_ts=self._first_ns,
            max_ts=self._last_ns,
            bytes=self._stream.size,
            level=self._level,
            segment=self._ulid,
            crc32=f"{self._stream.crc32:08x}",
            shipped=self._inputs[0].shipped,
            cleared=cleared,
            ids=ids,
            **self._own,
            links=entry,
        )
        content = links.content if links and made.has_links else None
        return Rewritten(made, self._beside, tuple(self._inputs), content)

    def close(self) -> None:
        """Takes away what was written, unless it was exchanged. May come twice."""
        with contextlib.suppress(_GivenUp):
            self._opened.__exit__(_GivenUp, _GivenUp(), None)
        with contextlib.suppress(OSError):  # finished, but not exchanged
            os.unlink(self._beside)

    def _find_columns(self, inputs: Sequence[Input]) -> Iterator[None]:
        kinds: dict[str, set[str]] = {name: set() for name in promoted_names(self._store.manifest)}
        for each in inputs if kinds else ():
            for promoted in each.kinds_of(tuple(kinds)):
                for name, found in promoted:
                    kinds[name].update(found)
                yield
        self._own = {
            "promoted": tuple((name, tuple(sorted(found))) for name, found in kinds.items()),
            "blank": frozenset.intersection(*(each.blank for each in self._inputs)),
        }


class _GivenUp(Exception):
    """Tells the stream that its file is not wanted."""


def _checked(root: Path, segment: Segment) -> Iterator[None]:
    """Compares a file with its checksum; of a damaged one nothing goes into another."""
    try:
        handle = os.open(root / segment.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise DamagedInput(segment, "is missing") from None
    with open(handle, "rb", buffering=0) as file:
        crc = size = 0
        while piece := file.read(CHECKED_PIECE):
            crc, size = zlib.crc32(piece, crc), size + len(piece)
            if size % CHECKED_PIECE == 0:
                yield
    if size != segment.bytes:
        raise DamagedInput(segment, f"has {size} bytes instead of {segment.bytes}")
    if f"{crc:08x}" != segment.crc32:
        raise DamagedInput(segment, "fails its checksum")


def _groups(
    tables: Iterator[pa.Table], left_of: Callable[[pa.Table], pa.Table]
) -> Iterator[pa.Table | None]:
    """What is left of the rows, in tables that make a row group each.

    None comes between them, after each piece of work.
    """
    waiting: list[pa.Table] = []
    rows = 0
    for table in tables:
        waiting.append(left_of(table))
        rows += len(waiting[-1])
        yield None
        while rows >= ROW_GROUP:
            whole = pa.concat_tables(waiting).unify_dictionaries()
            yield whole.slice(0, ROW_GROUP)
            waiting = [whole.slice(ROW_GROUP)]
            rows -= ROW_GROUP
    if rows:
        yield pa.concat_tables(waiting).unify_dictionaries()
