"""Makes segments for tests: Parquet in memory with the columns that every segment has."""

from __future__ import annotations

import io
from typing import Any

import pytest

from whence.store.clickhouse.ddl import COLUMNS
from whence.store.clickhouse.inserts import Arrival

pa: Any = pytest.importorskip("pyarrow", reason="needs whence[store]")
pq: Any = pytest.importorskip("pyarrow.parquet", reason="needs whence[store]")


__all__ = ["START_NS", "segment"]

START_NS = 1_795_190_000_000_000_000  # a day of 2026
_TYPES = {
    "Int64": pa.int64(),
    "Int32": pa.int32(),
    "Bool": pa.bool_(),
    "Float64": pa.float64(),
    "String": pa.string(),
    "Nullable(String)": pa.string(),
}


def segment(
    name: str, first: int, rows: int, *, session: int = 1, step_ns: int = 1_000
) -> tuple[Arrival, bytes]:
    """The events of one ring with tickets `first` and following; of eight each is one request."""
    tickets = range(first, first + rows)
    times = [START_NS + ticket * step_ns for ticket in tickets]
    made = {
        "ts_ns": times,
        "session": [session] * rows,
        "ticket": list(tickets),
        "event_type": [f"type-{ticket % 3}" for ticket in tickets],
        "request_id": [f"request-{session}-{ticket // 8}" for ticket in tickets],
        "attr_int": [[("n", ticket)] for ticket in tickets],
    }
    columns = {
        column: pa.array(made.get(column, [_nothing(kind)] * rows), _arrow(kind))
        for column, kind in COLUMNS.items()
    }
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, compression="zstd")
    return Arrival(name, rows, times[0], times[-1]), out.getvalue()


def _bare(kind: str) -> str:
    return kind.partition(" CODEC")[0].replace("LowCardinality(String)", "String")


def _arrow(kind: str) -> Any:
    bare = _bare(kind)
    if bare.startswith("Map("):
        key, value = bare[4:-1].split(", ")
        return pa.map_(_TYPES[key], _TYPES[value])
    return _TYPES[bare]


def _nothing(kind: str) -> Any:
    bare = _bare(kind)
    if bare.startswith("Map("):
        return []
    return {"String": "", "Bool": False, "Float64": 1.0}.get(
        bare, None if bare.startswith("Nullable") else 0
    )
