"""Merges the rows of sorted segments, a few thousand rows of each in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from whence.store.manifest import Promoted
from whence.store.promoted import (
    ATTRIBUTE_KINDS,
    column_parts,
    columns_of,
    own_values,
    with_own_columns,
)
from whence.store.segment import ORDER, in_order

__all__ = ["Input", "common_schema", "merged"]

BATCH_ROWS = 8_192
KINDS_ROWS = 32_768
_Key = tuple[Any, ...]


class Input:
    """A segment whose rows are wanted in order. Holds the file open until it was read."""

    def __init__(self, path: Path, min_ts: int, promoted: Promoted = ()) -> None:
        self.min_ts = min_ts
        self.promoted = promoted
        # of a file that was compared with its checksum; pages are checked against a change since
        self._file = pq.ParquetFile(
            path, pre_buffer=False, buffer_size=1 << 16, page_checksum_verification=True
        )
        self.schema = self._file.schema_arrow.remove_metadata()
        self._batches: Iterator[pa.RecordBatch] | None = None
        self._rows: pa.Table = self.schema.empty_table()

    def refill(self, schema: pa.Schema) -> bool:
        """Reads on if all was taken; whether there is anything left."""
        if self._batches is None:
            self._batches = self._file.iter_batches(BATCH_ROWS, use_threads=False)
        while not len(self._rows):
            batch = next(self._batches, None)
            if batch is None:
                self.close()
                return False
            self._rows = _with_columns(pa.Table.from_batches([batch]), schema)
        return True

    @property
    def last(self) -> _Key:
        """The place of the last row that is in memory."""
        return _key(self._rows, len(self._rows) - 1)

    def take(self, bound: _Key) -> pa.Table:
        """The rows in memory that come before that place, and the one there."""
        low, high = 0, len(self._rows)
        if self.last <= bound:
            low = high
        while low < high:
            middle = (low + high) // 2
            if _key(self._rows, middle) <= bound:
                low = middle + 1
            else:
                high = middle
        taken = self._rows.slice(0, low)
        self._rows = self._rows.slice(low)
        return taken

    def kinds_of(self, names: Sequence[str]) -> Iterator[Promoted]:
        """The kinds of values that attributes have here: what is known of them after each piece.

        Reads the maps where the file has no columns of these attributes.
        """
        known = dict(self.promoted)
        found = {name: set(known.get(name, ())) for name in names}
        if missing := [name for name in names if name not in known]:
            maps = [f"attr_{kind}" for kind in ATTRIBUTE_KINDS]
            have = [name for name in maps if name in self.schema.names]
            for batch in self._file.iter_batches(KINDS_ROWS, columns=have, use_threads=False):
                _, promoted = with_own_columns(pa.Table.from_batches([batch]), missing)
                for name, kinds in promoted:
                    found[name].update(kinds)
                yield _promoted(found)
        yield _promoted(found)

    def close(self) -> None:
        """Closes the file."""
        self._file.close(force=True)


def common_schema(inputs: Sequence[Input], promoted: Promoted = ()) -> pa.Schema:
    """All their columns, and those of promoted attributes: no others of attributes.

    Raises pa.ArrowInvalid, pa.ArrowTypeError where types contradict.
    """
    schema = pa.unify_schemas([each.schema for each in inputs], promote_options="default")
    everywhere = set.intersection(*(set(each.schema.names) for each in inputs))
    had = {name for each in inputs for name in columns_of(each.promoted)}
    own = columns_of(promoted)
    return pa.schema(
        [
            *(
                each if each.name in everywhere else each.with_nullable(True)
                for each in schema
                if each.name not in had
            ),
            *(pa.field(name, ATTRIBUTE_KINDS[kind]) for name, (kind, _) in own.items()),
        ]
    )


def merged(inputs: Sequence[Input], schema: pa.Schema) -> Iterator[pa.Table]:
    """All rows in order, in tables of some thousands.

    A file is opened for reading when its first row is near: of files whose times do not overlap
    one is in memory at a time. Raises OSError, pa.ArrowInvalid.
    """
    waiting = sorted(inputs, key=lambda each: each.min_ts, reverse=True)
    opened: list[Input] = []
    while opened or waiting:
        if not opened:
            opened.append(waiting.pop())
        opened = [each for each in opened if each.refill(schema)]
        if not opened:
            continue
        bound = min(each.last for each in opened)
        while waiting and waiting[-1].min_ts <= bound[0]:
            late = waiting.pop()
            if late.refill(schema):
                opened.append(late)
                bound = min(bound, late.last)
        parts = [part for part in (each.take(bound) for each in opened) if len(part)]
        if len(parts) == 1:
            yield parts[0]
        else:
            yield in_order(pa.concat_tables(parts).unify_dictionaries())


def _key(rows: pa.Table, at: int) -> _Key:
    return tuple(rows.column(name)[at].as_py() for name in ORDER)


def _with_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns of a schema; those it lacks are null, or come from the maps."""
    if table.schema.equals(schema):
        return table
    have = set(table.schema.names)
    columns = [
        table.column(each.name).cast(each.type) if each.name in have else _taken_out(table, each)
        for each in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _taken_out(table: pa.Table, field: pa.Field) -> pa.ChunkedArray | pa.Array:
    values = None
    if own := column_parts(field.name):
        values = own_values(table, *own)
    return pa.nulls(len(table), field.type) if values is None else values.cast(field.type)


def _promoted(found: Mapping[str, set[str]]) -> Promoted:
    return tuple((name, tuple(sorted(kinds))) for name, kinds in found.items())
