"""Columns of many sessions are in order, of damaged files valid, and other engines read them."""

from __future__ import annotations

import random
import shutil
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pa = pytest.importorskip("pyarrow", reason="the columns of a store need pyarrow")

import whence  # noqa: E402
from tests.own_events import OwnEvents  # noqa: E402
from tests.store.made_events import batches  # noqa: E402
from tests.store.test_columns import agree, names, table_of  # noqa: E402
from whence._native import Batch  # noqa: E402
from whence.collect.events import to_events  # noqa: E402
from whence.collect.session_reader import SessionReader  # noqa: E402
from whence.model.event import TraceEvent  # noqa: E402
from whence.query.plain import plain_event  # noqa: E402
from whence.ring import layout  # noqa: E402
from whence.store.columns import SCHEMA, events_of  # noqa: E402


@given(batches())
def test_duckdb_gives_the_events_back(batch: Batch) -> None:
    """A question to DuckDB is answered in columns of its own types, which hold the events. R5.18"""
    duckdb = pytest.importorskip("duckdb", reason="the questions need DuckDB")
    with duckdb.connect() as connection:
        connection.register("columns", table_of(batch))
        answer = connection.sql(
            "select * from columns order by ts_ns, session, ring, ticket"
        ).to_arrow_table()
    assert answer.column_names == SCHEMA.names
    agree(events_of(answer, names()), to_events(batch.rows()))


def test_an_engine_takes_the_stream_without_pyarrow(recorded: OwnEvents) -> None:
    """DuckDB reads the native columns as they are. R5.18"""
    duckdb = pytest.importorskip("duckdb", reason="the questions need DuckDB")
    collector = whence.TraceCollector(100)
    for n in range(100):
        collector.record_now("a", f"C{n % 3}", f"because {n}", attributes={"n": n, "half": n / 2})
    batch = recorded.batch()
    with duckdb.connect() as connection:
        connection.register("columns", batch.arrow({row[17]: 0 for row in batch.rows()}))
        answer = connection.sql(
            "select component, count(*), sum(attr_int['n']), max(attr_num['half']) from columns"
            " group by component order by component"
        ).fetchall()
    assert answer == [("C0", 34, 1683, 49.5), ("C1", 33, 1617, 48.5), ("C2", 33, 1650, 49.0)]


def test_polars_reads_the_columns(recorded: OwnEvents) -> None:
    """So does Polars. R5.18"""
    polars = pytest.importorskip("polars", reason="one of the engines that others bring")
    collector = whence.TraceCollector(4)
    collector.record_now("a", "C", "because", attributes={"n": 7, "s": "é"})
    batch = recorded.batch()
    frame = polars.DataFrame(batch.arrow({row[17]: 0 for row in batch.rows()}))
    assert frame["rationale"].to_list() == ["because"]
    (pairs,) = frame["attr_str"].to_list()
    assert pairs in ({"s": "é"}, [{"key": "s", "value": "é"}])  # newer ones know maps


@pytest.fixture(scope="module")
def dead(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two sessions full of text, of two rings each."""
    from tests.apps import run_program

    folders = []
    for name in ("one", "two"):
        run = run_program(
            """
            import threading, whence
            whence.start(ring_slots=20, text_bytes=4096)
            say = whence.kind("say", component="C", rationale="{s} {t}", s=str, t=str, n=int, m=int)
            collector = whence.TraceCollector(20)
            def work():
                for n in range(20):
                    with whence.request(f"a request with a long id {n}"), whence.span("s", at=n):
                        say("é" * n, "t" * 70, n, n)
                        collector.record_now("t", "C", "r" * n, attributes={"k": n, "f": 0.5})
            work()
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            """,
            tmp_path_factory.mktemp(name),
        )
        folders.append(run.session_dir)
    return folders


def drained(folders: list[Path]) -> Batch:
    """One batch of all the sessions."""
    batch = Batch()
    for folder in folders:
        SessionReader(folder).drain_into(batch, 1 << 30)
    return batch


@given(st.lists(st.integers(-(2**62), 2**62), min_size=2, max_size=2))
def test_rows_of_many_sessions_are_in_order_of_wall_time(
    dead: list[Path], offsets: list[int]
) -> None:
    """By wall time, then session, ring and ticket, whatever the sessions' clocks say. R5.18"""
    batch = drained(dead)
    rows = batch.rows()
    clocks = dict(zip(sorted({row[17] for row in rows}), offsets, strict=True))
    keys = {reader.info.key: reader.info.name for reader in map(SessionReader, dead)}
    key_of = {name: key for key, name in keys.items()}
    table = pa.table(batch.arrow(clocks))
    places = ("ts_ns", "session", "ring", "ticket")
    found = list(zip(*(table.column(place).to_pylist() for place in places), strict=True))
    assert found == sorted(found)
    assert found == sorted(
        (row[3] + clocks[row[17]], key_of[row[17]], row[18], row[19]) for row in rows
    )
    by_place = {(event.session, event.ring, event.ticket): event for event in to_events(rows)}
    events = events_of(table, keys)
    agree(events, [by_place[event.session, event.ring, event.ticket] for event in events])


@settings(max_examples=60)
@given(st.data())
def test_columns_of_damaged_files_are_valid(dead: list[Path], data: st.DataObject) -> None:
    """Whatever a file holds, the columns keep Arrow's rules and say what the rows say. R5.18 P14"""
    folder = dead[0].parent / "damaged"
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(dead[0], folder)
    for path in sorted(folder.glob("ring-*")):
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(0, 12))):
            at = data.draw(st.integers(layout.RING_HEADER_BYTES, len(content) - 1))
            content[at] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
    reader = SessionReader(folder)
    batch = reader.drain()
    table = pa.table(batch.arrow({reader.info.name: 2**62}))
    table.validate(full=True)
    rows = {(row[18], row[19]): row for row in batch.rows()}
    events = events_of(table, {reader.info.key: reader.info.name})
    assert len(events) == len(rows)
    for event in events:
        (wanted,) = to_events([rows[event.ring, event.ticket]])
        assert _marks_joined(event) == _marks_joined(wanted)


def _marks_joined(event: TraceEvent) -> str:
    """How many marks stand for bytes that are no UTF-8 is not the same in every decoder."""
    shown = plain_event(event)
    shown["attributes"] = sorted(shown["attributes"].items())
    shown["attribute_types"] = sorted(shown.get("attribute_types", {}).items())
    text = repr(shown)
    while "\ufffd\ufffd" in text:
        text = text.replace("\ufffd\ufffd", "\ufffd")
    return text


def test_threads_may_take_the_columns_of_one_batch_at_once(recorded: OwnEvents) -> None:
    """The batch is only read, without the interpreter's lock, and each gets all of it. R5.18"""
    collector = whence.TraceCollector(2000)
    chance = random.Random(7)
    for n in range(2000):
        collector.record_now("a", f"C{n % 50}", "because " * chance.randrange(5))
    batch = recorded.batch()
    clocks = {row[17]: 0 for row in batch.rows()}
    wanted = pa.table(batch.arrow(clocks))
    found: list[pa.Table] = []
    threads = [
        threading.Thread(
            target=lambda: found.extend(pa.table(batch.arrow(clocks)) for _ in range(20))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    assert all(table.equals(wanted) for table in found)
