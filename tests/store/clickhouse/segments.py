"""Makes segments for tests: Parquet in memory with the columns that every segment has."""

from __future__ import annotations

import io
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="needs whence[store]")

import pyarrow as pa
import pyarrow.parquet as pq

from whence.store.clickhouse.inserts import Arrival
from whence.store.columns import SCHEMA

__all__ = ["START_NS", "events", "segment"]

START_NS = 1_795_190_000_000_000_000  # a day of 2026
_FIXED = {"weight": 1.0, "severity": 1}


def events(first: int, rows: int, *, session: int = 1, step_ns: int = 1_000) -> pa.Table:
    """The events of one ring with tickets `first` and following; of eight each is one request."""
    tickets = range(first, first + rows)
    made: dict[str, list[Any]] = {
        "ts_ns": [START_NS + ticket * step_ns for ticket in tickets],
        "session": [session] * rows,
        "ticket": list(tickets),
        "event_type": [f"type-{ticket % 3}" for ticket in tickets],
        "component": ["Tests"] * rows,
        "request_id": [f"request-{session}-{ticket // 8}" for ticket in tickets],
        "attr_int": [[("n", ticket)] for ticket in tickets],
    }
    return pa.table([_column(made, field, rows) for field in SCHEMA], schema=SCHEMA)


def segment(
    name: str, first: int, rows: int, *, session: int = 1, step_ns: int = 1_000
) -> tuple[Arrival, bytes]:
    """The same events as a file."""
    table = events(first, rows, session=session, step_ns=step_ns)
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    times = table.column("ts_ns")
    return Arrival(name, rows, times[0].as_py(), times[rows - 1].as_py()), out.getvalue()


def _column(made: dict[str, list[Any]], field: pa.Field, rows: int) -> pa.Array:
    if field.name in made:
        values = made[field.name]
    elif field.nullable:
        values = [None] * rows
    elif pa.types.is_map(field.type):
        values = [[]] * rows
    elif pa.types.is_boolean(field.type):
        values = [False] * rows
    elif pa.types.is_string(field.type) or pa.types.is_dictionary(field.type):
        values = [""] * rows
    else:
        values = [_FIXED.get(field.name, 0)] * rows
    if pa.types.is_dictionary(field.type):
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, field.type)
