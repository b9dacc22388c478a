"""Attributes that have columns of their own beside the maps, and columns that hold nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from whence.store.columns import SCHEMA
from whence.store.manifest import Manifest, Promoted

__all__ = [
    "ATTRIBUTE_KINDS",
    "blanks_of",
    "column_parts",
    "columns_of",
    "filled",
    "own_column",
    "own_values",
    "promoted_names",
    "with_own_columns",
]

ATTRIBUTE_KINDS: dict[str, pa.DataType] = {
    "int": pa.int64(),
    "num": pa.float64(),
    "str": pa.string(),
    "bool": pa.bool_(),
    "uint": pa.int64(),
}
"""The type of each kind of attribute; `attr_<kind>` is the map that has them all."""
_SETTING = "promoted"
# What a column holds that holds nothing. Those of places and times, and the names, always do.
_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(("trace_hi", "trace_lo", "span_id", "parent_span_id", "lineage_id"), 0),
    **dict.fromkeys(("span", "decision", "text_lost", "truncated"), False),
    **dict.fromkeys(
        ("decision_chain_id", "status_message", "event_id", "caused_by", "options", "links"), None
    ),
    **{f"attr_{kind}": None for kind in ATTRIBUTE_KINDS},
    "weight": 1.0,
}


def promoted_names(manifest: Manifest) -> tuple[str, ...]:
    """The attributes that have columns of their own in files written from now on."""
    return tuple(map(str, manifest.settings.get(_SETTING, ())))


def own_column(kind: str, name: str) -> str:
    """What the column is called in which an attribute has its values of one kind."""
    return f"attr_{kind}_{name}"


def column_parts(column: str) -> tuple[str, str] | None:
    """The kind and the attribute of a column of its own; None for any other column."""
    start, _, rest = column.partition("_")
    kind, _, name = rest.partition("_")
    return (kind, name) if start == "attr" and kind in ATTRIBUTE_KINDS and name else None


def columns_of(promoted: Promoted) -> dict[str, tuple[str, str]]:
    """The kind and the attribute of each of a file's own columns."""
    return {own_column(kind, name): (kind, name) for name, kinds in promoted for kind in kinds}


def with_own_columns(table: pa.Table, names: Sequence[str]) -> tuple[pa.Table, Promoted]:
    """The table with a column for every kind of value that each attribute has in it.

    The maps stay as they are. Some 20 ns a row for each attribute and each map that is not empty.
    """
    promoted = []
    for name in names:
        kinds = []
        for kind in ATTRIBUTE_KINDS:
            values = own_values(table, kind, name)
            if values is not None and values.null_count < len(values):
                kinds.append(kind)
                table = table.append_column(own_column(kind, name), values)
        promoted.append((name, tuple(kinds)))
    return table, tuple(promoted)


def own_values(table: pa.Table, kind: str, name: str) -> pa.ChunkedArray | None:
    """An attribute's values of one kind, null where there is none; None where no row has any."""
    if f"attr_{kind}" not in table.schema.names:
        return None
    column = table.column(f"attr_{kind}")
    if not any(_pairs(chunk) for chunk in column.chunks):
        return None
    return pa.chunked_array([_looked_up(chunk, name) for chunk in column.chunks])


def _looked_up(maps: pa.MapArray, name: str) -> pa.Array:
    """The value that each map has under a name."""
    import pyarrow.compute as pc  # costs 50 ms, and most stores promote nothing

    ends = maps.offsets.to_numpy()
    first = ends[0]
    named = pc.equal(maps.keys.slice(first, ends[-1] - first), name)
    at = first + pc.indices_nonzero(named).to_numpy().astype(np.int64)
    place = np.full(len(maps), -1, dtype=np.int64)
    place[np.searchsorted(ends, at, side="right") - 1] = at
    return maps.items.take(pa.array(place, mask=place < 0))


def blanks_of(table: pa.Table) -> frozenset[str]:
    """The columns that hold nothing but their default. Few are looked through to the end."""
    return frozenset(
        name
        for name, default in _DEFAULTS.items()
        if name in table.schema.names and _is_blank(table.column(name), default)
    )


def filled(table: pa.Table) -> pa.Table:
    """The table with all columns of SCHEMA: those that were not asked for hold their default."""
    have = set(table.schema.names)
    if len(have) == len(SCHEMA):
        return table
    rows = len(table)
    columns = [
        table.column(each.name) if each.name in have else _default(each, rows) for each in SCHEMA
    ]
    return pa.table(columns, names=SCHEMA.names)


def _default(field: pa.Field, rows: int) -> pa.Array:
    default = _DEFAULTS[field.name]
    if pa.types.is_map(field.type):
        return pa.MapArray.from_arrays(
            pa.repeat(pa.scalar(0, pa.int32()), rows + 1),
            pa.array([], field.type.key_type),
            pa.array([], field.type.item_type),
        )
    if default is None:
        return pa.nulls(rows, field.type)
    return pa.repeat(pa.scalar(default, field.type), rows)


def _is_blank(column: pa.ChunkedArray, default: Any) -> bool:
    if not len(column):
        return True
    if pa.types.is_map(column.type):
        return not any(_pairs(chunk) for chunk in column.chunks)
    if default is None:
        return bool(column.null_count == len(column))
    if column[0].as_py() != default:
        return False
    import pyarrow.compute as pc

    least = pc.min_max(column).as_py()
    return bool(column.null_count == 0 and least["min"] == least["max"] == default)


def _pairs(chunk: pa.MapArray) -> int:
    """How many pairs the maps of a chunk hold."""
    offsets = chunk.offsets
    return int(offsets[-1].as_py() - offsets[0].as_py()) if len(chunk) else 0
