"""Which rows of old files stay: those of requests and traces that other files have events of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from whence.model.errors import CorruptFile
from whence.store.id_index import hashes_of, text_hashes, trace_hashes
from whence.store.manifest import Segment
from whence.store.rewriting import DamagedInput
from whence.store.segment import ROW_GROUP

__all__ = ["Staying"]

_TEXTS = ("request_id", "decision_chain_id")
_COLUMNS = (*_TEXTS, "trace_hi", "trace_lo")
_ERRORS = (OSError, ValueError, KeyError, pa.ArrowException, CorruptFile)
_Id = str | tuple[int, int]
_Hashes = NDArray[np.uint64]


class Staying:
    """Finds out what of `old` files stays. find() does; the rest is true after it.

    By the indexes of ids of all files, of which only what old ones and others share is looked at
    closely: a number of 32 bits is no proof. Holds 4 bytes for each id of the old files, and the
    ids that stay. Costs a look at each file's index, and at the names in files that seem to share
    one. `rows` are how many stay, by file.
    """

    def __init__(self, root: Path, old: Sequence[Segment]) -> None:
        self.old = tuple(old)
        self.rows: dict[str, int] = {each.name: 0 for each in old}
        self._root = root
        self._names = frozenset(self.rows)
        self._looked_at: set[str] = set(self._names)
        self._of_old: _Hashes | None = np.empty(0, np.uint64)
        self._ids: set[_Id] = set()
        self._hashes: _Hashes = np.empty(0, np.uint64)

    @property
    def names(self) -> list[str]:
        """The requests and the traces, these as 32 hexadecimal digits, that stay."""
        return [each if isinstance(each, str) else _hexadecimal(*each) for each in self._ids]

    def find(self, files: Iterable[Segment]) -> Iterator[None]:
        """Looks at all files of the store, step by step. Raises DamagedInput."""
        shared: list[_Hashes] | None = []
        for each in self.old:
            found = self._index(each)
            if found is None or self._of_old is None:
                self._of_old = shared = None
            else:
                self._of_old = np.concatenate([self._of_old, found])
            yield
        if self._of_old is not None:
            self._of_old = np.unique(self._of_old)
        likely: list[Segment] = []
        for each in files:
            if each.name in self._names:
                continue
            self._looked_at.add(each.name)
            found = self._index(each)
            if found is None:
                shared = None
            elif self._of_old is not None:
                found = found[_are_in(self._of_old, found)]
                if shared is not None:
                    shared.append(found)
            if found is None or len(found):
                likely.append(each)
            yield
        if not likely:
            return
        hashes = None if shared is None else np.unique(np.concatenate(shared))
        wanted: set[_Id] = set()
        for each in self.old:
            for table in self._tables(each):
                wanted.update(name for _, name in _found(table, hashes))
                yield
        for each in likely:
            for table in self._tables(each):
                self._ids.update(name for _, name in _found(table, hashes) if name in wanted)
                yield
        yield from self._close()

    def left_of(self, table: pa.Table) -> pa.Table:
        """The rows that stay."""
        rows = self._rows_of(table)
        return table if rows.all() else table.filter(pa.array(rows))

    def is_touched_by(self, files: Iterable[Segment]) -> bool:
        """Whether files that came since may have events of what does not stay."""
        for each in files:
            if each.name in self._looked_at:
                continue
            found = self._index(each)
            if found is None or self._of_old is None:
                return True
            found = found[_are_in(self._of_old, found)]
            if not _are_in(self._hashes, found).all():
                return True
        return False

    def _close(self) -> Iterator[None]:
        """What shares an event with what stays does so, too; until that is all."""
        known = -1
        while len(self._ids) > known:
            known = len(self._ids)
            self._hashes = _hashes_of_all(self._ids)
            for each in self.old if known else ():
                self.rows[each.name] = 0
                for table in self._tables(each):
                    rows = self._rows_of(table)
                    self.rows[each.name] += int(rows.sum())
                    if rows.any():
                        kept = table.filter(pa.array(rows))
                        self._ids.update(name for _, name in _found(kept, None))
                    yield

    def _rows_of(self, table: pa.Table) -> NDArray[np.bool_]:
        rows = np.zeros(len(table), bool)
        at = [row for row, name in _found(table, self._hashes) if name in self._ids]
        rows[at] = True
        return rows

    def _index(self, segment: Segment) -> _Hashes | None:
        """All hashes of a file in order; None for one that does not tell."""
        if segment.ids is None:
            return None
        try:
            return hashes_of(self._root / segment.name, segment.ids).astype(np.uint64)
        except _ERRORS as error:
            raise _meant(error, segment) from None

    def _tables(self, segment: Segment) -> Iterator[pa.Table]:
        try:
            with pq.ParquetFile(self._root / segment.name, pre_buffer=False) as file:
                names = [name for name in _COLUMNS if name in file.schema_arrow.names]
                for batch in file.iter_batches(ROW_GROUP, columns=names, use_threads=False):
                    yield pa.Table.from_batches([batch])
        except _ERRORS as error:
            raise _meant(error, segment) from None


def _meant(error: Exception, segment: Segment) -> Exception:
    """That the file is damaged; not that memory, handles or the disk fail just now."""
    if isinstance(error, MemoryError):
        return error
    if isinstance(error, OSError) and error.errno and not isinstance(error, FileNotFoundError):
        return error
    return DamagedInput(segment, f"cannot be read: {error}")


def _found(table: pa.Table, hashes: _Hashes | None) -> Iterator[tuple[int, _Id]]:
    """The rows that have an id of one of these hashes, each with it; of all for None."""
    for name in _TEXTS:
        if name not in table.column_names:
            continue
        for first, texts in _chunks(table.column(name)):
            if texts.null_count == len(texts):
                continue
            rows = np.flatnonzero(texts.is_valid().to_numpy(zero_copy_only=False))
            texts = texts.drop_null()
            if hashes is not None:
                likely = np.flatnonzero(_are_in(hashes, text_hashes(texts)))
                rows, texts = rows[likely], texts.take(pa.array(likely))
            for row, text in zip((rows + first).tolist(), texts.to_pylist(), strict=True):
                if text:
                    yield row, text
    if "trace_lo" in table.column_names:
        high, low = (table.column(name).to_numpy() for name in ("trace_hi", "trace_lo"))
        rows = np.flatnonzero((high != 0) | (low != 0))
        if hashes is not None and len(rows):
            rows = rows[_are_in(hashes, trace_hashes(table))]
        pairs = zip(high[rows].tolist(), low[rows].tolist(), strict=True)
        yield from zip(rows.tolist(), pairs, strict=True)


def _chunks(column: pa.ChunkedArray) -> Iterator[tuple[int, pa.StringArray]]:
    first = 0
    for chunk in column.chunks:
        yield first, chunk.cast(pa.string()) if pa.types.is_dictionary(chunk.type) else chunk
        first += len(chunk)


def _hashes_of_all(ids: Collection[_Id]) -> _Hashes:
    texts = [each for each in ids if isinstance(each, str)]
    traces = [each for each in ids if not isinstance(each, str)]
    table = pa.table(
        {
            "trace_hi": pa.array([high for high, _ in traces], pa.int64()),
            "trace_lo": pa.array([low for _, low in traces], pa.int64()),
        }
    )
    of_texts = text_hashes(pa.array(texts, pa.string()))
    return np.unique(np.concatenate([of_texts, trace_hashes(table)]))


def _are_in(known: _Hashes, wanted: _Hashes) -> NDArray[np.bool_]:
    """Whether each is among the known ones, which are in order."""
    if not len(known):
        return np.zeros(len(wanted), dtype=bool)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.asarray(known[at] == wanted)


def _hexadecimal(high: int, low: int) -> str:
    return f"{high & 2**64 - 1:016x}{low & 2**64 - 1:016x}"
