"""A batch's Arrow columns hold its events: they come back equal, from memory and from Parquet."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pa = pytest.importorskip("pyarrow", reason="the columns of a store need pyarrow")

import pyarrow.parquet as pq  # noqa: E402

import whence  # noqa: E402
from tests.own_events import OwnEvents  # noqa: E402
from tests.store.made_events import batches  # noqa: E402
from whence._native import Batch  # noqa: E402
from whence.collect.events import to_events  # noqa: E402
from whence.collect.local import local_session  # noqa: E402
from whence.model.event import TraceEvent  # noqa: E402
from whence.query.plain import plain_event  # noqa: E402
from whence.store.columns import SCHEMA, events_of  # noqa: E402

OFFSET_NS = 1_700_000_000_000_000_000


def table_of(batch: Batch, offset_ns: int = OFFSET_NS) -> pa.Table:
    """The batch's columns, whole and valid."""
    table = pa.table(batch.arrow({row[17]: offset_ns for row in batch.rows()}))
    table.validate(full=True)
    assert table.schema.equals(SCHEMA, check_metadata=True)
    return table


def names() -> dict[int, str]:
    """The name of this process's session."""
    session = local_session()
    return {session.key: session.name} if session else {}


def agree(found: list[TraceEvent], wanted: list[TraceEvent]) -> None:
    """Equal in every field and type; NaN is itself."""
    assert [plain_event(event) for event in found] == [plain_event(event) for event in wanted]
    for one, other in zip(found, wanted, strict=True):
        if "nan" not in repr(other):
            assert one == other
        assert one.timestamp == other.timestamp


@given(batches())
def test_columns_hold_what_rows_hold(batch: Batch) -> None:
    """Declared, built and span events of any text and number come back equal. R5.18"""
    agree(events_of(table_of(batch), names()), to_events(batch.rows()))


@given(batches())
def test_events_come_back_from_parquet(batch: Batch) -> None:
    """Written with delta and dictionary encodings, compressed, and read again. R5.18"""
    table = table_of(batch)
    file = io.BytesIO()
    delta = ["ts_ns", "ticket", "duration_ns", "trace_hi", "trace_lo", "span_id", "parent_span_id"]
    kinds = ["event_type", "component", "model_id", "status"]
    pq.write_table(
        table,
        file,
        compression="zstd",
        compression_level=1,
        use_dictionary=kinds,
        column_encoding=dict.fromkeys(delta, "DELTA_BINARY_PACKED"),
    )
    read = pq.read_table(file)
    agree(events_of(read, names()), to_events(batch.rows()))
    assert read.schema.equals(SCHEMA)


@given(batches(), st.data())
def test_any_slice_of_a_table_holds_its_rows(batch: Batch, data: st.DataObject) -> None:
    """Offsets into shared memory are minded, in maps and dictionaries, too. R5.18"""
    table = table_of(batch)
    first = data.draw(st.integers(0, len(table)))
    count = data.draw(st.integers(0, len(table)))
    wanted = to_events(batch.rows())
    agree(events_of(table.slice(first, count), names()), wanted[first : first + count])
    agree(
        events_of(pa.concat_tables([table, table.slice(first)]), names()), wanted + wanted[first:]
    )


@given(batches())
def test_options_and_links_are_the_text_of_the_json_export(batch: Batch) -> None:
    """To the byte; null where it has none. R5.18"""
    exported = b"[" + b"".join(batch.json()) + b"]"
    table = table_of(batch)
    for column in ("options", "links"):
        texts = table.column(column).to_pylist()
        parsed = [None if text is None else json.loads(text) for text in texts]
        assert parsed == [event.get(column) for event in json.loads(exported)]
        assert all(f'"{column}":{text}'.encode() in exported for text in texts if text is not None)


def test_columns_need_no_batch(recorded: OwnEvents) -> None:
    """A collector may clear its batch and fill it anew; columns and tables live on. R5.18"""
    collector = whence.TraceCollector(8)
    collector.record_now("a", "X", "first")
    batch = recorded.batch()
    wanted = to_events(batch.rows())
    columns = batch.arrow({wanted[0].session: OFFSET_NS})
    batch.clear()
    table, again = pa.table(columns), pa.table(columns)
    del columns, batch
    assert events_of(table, names()) == events_of(again, names()) == wanted
    assert table.column("ts_ns")[0].as_py() == wanted[0].timestamp.value_ns + OFFSET_NS


def test_many_rows_come_in_several_batches_of_one_dictionary(recorded: OwnEvents) -> None:
    """Record batches have at most 65,536 rows; dropping a stream half read is harmless. R5.18"""
    kind = whence.kind("columns_many", component="Many", n=int)
    collector = whence.TraceCollector(70_000)
    for n in range(70_000):
        collector.record_now("a", f"component {n % 300}")
    kind(1)
    batch = recorded.batch()
    session = local_session()
    assert session is not None
    columns = batch.arrow({session.name: 0})
    assert len(columns) == 70_001
    first, second = list(pa.RecordBatchReader.from_stream(columns))
    assert (len(first), len(second)) == (65_536, 70_001 - 65_536)
    assert first.column("component").dictionary.equals(second.column("component").dictionary)
    reader = pa.RecordBatchReader.from_stream(columns)
    part = reader.read_next_batch()
    del reader, columns, batch
    assert part.num_rows == 65_536
    part.validate(full=True)


def test_memory_that_others_used_before_leaves_nothing_behind(recorded: OwnEvents) -> None:
    """Columns are laid out in memory that nobody cleared. R5.18"""
    collector = whence.TraceCollector(1000)
    for n in range(1000):
        values = {f"{name}{n % 7}": value for name, value in (("i", n), ("t", "x"), ("b", True))}
        collector.record_now("a", "C", "r" * (n % 5), attributes=values)
    batch = recorded.batch()
    wanted = to_events(batch.rows())
    for pattern in (b"\0", b"\xff", b"\x7f"):
        used = [bytearray(pattern * size) for size in range(64, 20_000, 64)]
        del used
        agree(events_of(table_of(batch), names()), wanted)


def test_an_empty_batch_has_all_columns_and_no_rows() -> None:
    """Nothing recorded is a table, too. R5.18"""
    table = pa.table(Batch().arrow({}))
    assert table.schema.equals(SCHEMA)
    assert events_of(table, {}) == []
    assert pa.schema(Batch().arrow({})).equals(SCHEMA)


def test_a_session_without_a_clock_is_an_error(recorded: OwnEvents) -> None:
    """No row ever gets a made-up wall time. R5.18"""
    collector = whence.TraceCollector(1)
    collector.record_now("a", "X")
    with pytest.raises(KeyError, match="-"):
        recorded.batch().arrow({})


@pytest.mark.parametrize("wrong", [[], {"a": 1.5}, {1: 1}, None, {"a": None}])
def test_clocks_of_another_type_are_an_error(wrong: Any) -> None:
    """A clock is a number of nanoseconds. R5.18"""
    with pytest.raises(TypeError):
        Batch().arrow(wrong)


def test_a_clock_beyond_64_bits_is_an_error() -> None:
    """Never cut. R5.18"""
    with pytest.raises(OverflowError):
        Batch().arrow({"a": 2**63})


def test_names_of_sessions_are_asked_for(recorded: OwnEvents) -> None:
    """A session whose name is not known is an error, as is a table of other columns. R5.18"""
    collector = whence.TraceCollector(1)
    collector.record_now("a", "X")
    table = table_of(recorded.batch())
    with pytest.raises(KeyError):
        events_of(table, {})
    with pytest.raises(KeyError):
        events_of(table.drop_columns(["links"]), names())
