"""Questions over a store have the answers of events in memory, and of the plainest reading."""

from __future__ import annotations

import math
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("duckdb", reason="stores are asked with duckdb")
pytest.importorskip("pyarrow", reason="stores are read with pyarrow")

from tests.query.build import (
    event,
    inference_chain,
    late_chain,
    recording,
    rejected_chain,
)
from tests.query.stores import stored
from tests.query.worlds import SESSIONS, Clause, events_in, expected, queries
from whence.model.errors import BadQuestion, BudgetExceeded, CorruptFile, NotAStore
from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.model.severity import Severity
from whence.query.engines import nearest_files
from whence.query.engines.folder import FolderEngine
from whence.query.engines.memory import InMemory
from whence.query.engines.shapes import Aggregate, Budget, Found, PageKey
from whence.query.index import Index
from whence.query.plain import plain_event
from whence.query.why import why
from whence.store.columns import SCHEMA

Asked = tuple[TraceQuery, list[Clause]]
few = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)


@contextmanager
def engine_over(source: Recording, segments: int = 1, **more: Any) -> Iterator[FolderEngine]:
    """An engine over a store that holds the recording."""
    with tempfile.TemporaryDirectory() as folder:
        path = stored(Path(folder) / "store", source, segments)
        with FolderEngine(path, threads=1, **more) as engine:
            yield engine


def plainly(events: Any) -> list[dict[str, Any]]:
    """The events in a form in which NaN equals itself."""
    return [plain_event(e) for e in events]


@few
@given(events_in(), st.lists(queries(), min_size=1, max_size=12))
def test_a_store_picks_what_a_plain_reading_picks(
    events: tuple[TraceEvent, ...], asked: list[Asked]
) -> None:
    """R4.68 R0.44 Filters and conditions mean in SQL what they mean of events."""
    source = Recording(events, sessions=SESSIONS)
    memory = InMemory(source)
    with engine_over(source, segments=2) as engine:
        for query, parts in asked:
            page = engine.select(query, limit=1_000)
            right = expected(events, query, parts)
            assert plainly(page.events) == plainly(right), query
            assert page.wall_ns == memory.select(query, limit=1_000).wall_ns
            newest = engine.select(query, order="newest", limit=1_000)
            assert plainly(newest.events) == plainly(right[::-1])
            longest = engine.select(query, order="longest", limit=1_000)
            again = memory.select(query, order="longest", limit=1_000)
            assert plainly(longest.events) == plainly(again.events)


@few
@given(
    events_in(),
    st.lists(queries(), min_size=1, max_size=4),
    st.lists(
        st.sampled_from(["type", "severity", "session", "model", "status", "n", "phase", "flag"]),
        max_size=3,
        unique=True,
    ),
    st.sampled_from([None, 500_000, 1_000_003]),
    st.sampled_from(["duration_ns", "n", "share", "phase"]),
)
def test_figures_of_a_store_are_those_of_its_events(
    events: tuple[TraceEvent, ...],
    asked: list[Asked],
    group_by: list[str],
    bucket_ns: int | None,
    of: str,
) -> None:
    """R4.44 R5.5 R4.68 Groups, buckets, weights and percentiles agree with those of events."""
    source = Recording(events, sessions=SESSIONS)
    question = Aggregate(tuple(group_by), bucket_ns, of=of)
    with engine_over(source, segments=2) as engine:
        for query, _ in asked:
            right = InMemory(source).aggregate(question, query)
            found = engine.aggregate(question, query)
            assert [(r.keys, r.bucket_ns, r.rows, r.weighted) for r in found] == [
                (r.keys, r.bucket_ns, r.rows, r.weighted) for r in right
            ]
            for row, wanted in zip(found, right, strict=True):
                for name in ("count", "rate", "avg", "p50", "p95", "p99", "error_rate"):
                    value, other = getattr(row, name), getattr(wanted, name)
                    assert (value is None) == (other is None), name
                    assert value is None or math.isclose(value, other, rel_tol=1e-12), name


@pytest.mark.parametrize("order", ["oldest", "newest", "longest"])
@settings(max_examples=15, deadline=None)
@given(events=events_in(), size=st.integers(1, 7), first=st.sampled_from([1, 1_000]))
def test_pages_by_key_hold_each_event_once(
    order: Any, events: tuple[TraceEvent, ...], size: int, first: int
) -> None:
    """R4.45 Page after page gives all events, however many files are looked into for each."""
    source = Recording(events, sessions=SESSIONS)
    with engine_over(source, segments=4) as engine, pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest_files, "FIRST_ROWS", first)
        seen: list[TraceEvent] = []
        key = None
        while True:
            page = engine.select(TraceQuery(), order=order, limit=size, after=key)
            seen += page.events
            if page.next is None:
                break
            key = PageKey.parse(str(page.next))
    whole = InMemory(source).select(TraceQuery(), order=order, limit=1_000).events
    assert plainly(seen) == plainly(whole)


def test_percentiles_of_very_many_rows_are_read_from_a_histogram() -> None:
    """R4.44 R5.13 Beyond the limit figures are marked approximate, and are off by little."""
    events = [event("tick", n, ticket=n, duration_ms=1 + n % 97) for n in range(2_000)]
    events += [event("free", n, ticket=5_000 + n, attributes={"x": -n}) for n in range(50)]
    source = recording(events)
    question = Aggregate(("type",), bucket_ns=10**9)
    with engine_over(source, exact_rows=1_000) as engine:
        found = engine.aggregate(question, TraceQuery(event_type="tick"))
        exact = InMemory(source).aggregate(question, TraceQuery(event_type="tick"))
        assert all(row.approx for row in found)
        assert [r.avg for r in found] == pytest.approx([r.avg for r in exact])
        for row, wanted in zip(found, exact, strict=True):
            for name in ("p50", "p95", "p99"):
                assert getattr(row, name) == pytest.approx(getattr(wanted, name), rel=0.025)
        negative = engine.aggregate(Aggregate(of="x"), TraceQuery())[0]
        assert negative.approx
        assert negative.p50 == pytest.approx(-24.5, rel=0.05)
        assert not engine.aggregate(question, TraceQuery(event_type="free"))[0].approx


def test_ids_are_found_whole_or_by_a_part() -> None:
    """R5.11 The same ids are found as in memory, those that no row holds as text included."""
    events = [*inference_chain("req-1"), *inference_chain("req-12", 50, first_ticket=10)]
    events.append(event("tick", 99, "", ticket=20, decision_chain_id="plan-1"))
    events.append(event("tick", 98, "", ticket=21, event_id="Own-7"))
    source = recording(events)
    memory = InMemory(source)
    whole = events[2].event_id
    sought = ["req-1", "req", "12", "plan", "own", "Own-7", "nothing of the kind", "", "\ud800"]
    sought += [whole, whole.upper(), whole[-6:], whole[-15:], whole[:-2], whole[:20], "'; --"]
    with engine_over(source, segments=3) as engine:
        for text in sought:
            assert engine.find(text, 30) == memory.find(text, 30), text
    assert memory.find(whole[-6:]) == [Found("event", whole)]


def test_the_newest_decision_that_went_wrong_is_the_one_to_explain() -> None:
    """R5.11 What a store chooses to explain is what events in memory would."""
    lone = event("log", 99, "", ticket=90, severity=Severity.Error)
    last = event("tick", 100, "", ticket=91)
    spelled = event("tick", 120, "r", ticket=92, attributes={"success": "False"})
    status = event("stage", 130, "r", ticket=93, attributes={"status": "Timeout"})
    wrong = [*late_chain(), *rejected_chain("req-2", 200, 50)]
    worlds = ([*wrong, lone, last], [*inference_chain(), lone, last], [lone, last], [last], [])
    for events in (*worlds, [last, spelled], [last, spelled, status]):
        source = recording(events)
        with engine_over(source, segments=2) as engine:
            right = InMemory(source).newest_wrong(TraceQuery())
            assert engine.newest_wrong(TraceQuery()) == right


def test_a_part_of_a_store_comes_with_what_is_known_of_its_sessions() -> None:
    """R5.11 R5.16 Kinds and ledgers come along, and nothing not asked for is taken for lost."""
    source = recording([*late_chain(), *inference_chain("req-9", 90, first_ticket=30)])
    with engine_over(source) as engine:
        part = engine.recording(TraceQuery(request_id="req-000412"))
        assert part.events == tuple(late_chain())
        assert {kind.name for kind in part.kinds} == {kind.name for kind in source.kinds}
        assert [info.name for info in part.sessions] == [source.sessions[0].name]
        assert engine.sessions()[0].name == part.sessions[0].name
        assert engine.ledger() == list(part.rings)
        here, there = why(Index(part), "req-000412"), why(source, "req-000412")
        assert here.story == there.story
        assert (here.outcome, here.gaps) == (there.outcome, there.gaps)
        assert engine.recording(TraceQuery()).events == source.events


def test_a_question_leaves_no_clock_running() -> None:
    """Nothing that watched its time is alive when the interpreter ends. R4.7"""
    with engine_over(recording(inference_chain())) as engine:
        before = set(threading.enumerate())
        for _ in range(20):
            engine.select(TraceQuery(), budget=Budget(time_s=300.0))
            left = set(threading.enumerate()) - before
            assert all(thread.name.startswith("whence-query") for thread in left)


def test_an_answer_past_its_budget_is_refused() -> None:
    """R4.7 Rows, bytes and time each have a limit that says so."""
    with engine_over(recording(inference_chain()), segments=2) as engine:
        with pytest.raises(BudgetExceeded, match="more than 2 rows"):
            engine.recording(TraceQuery(), Budget(rows=2))
        with pytest.raises(BudgetExceeded, match="bytes, more than 10"):
            engine.select(TraceQuery(), budget=Budget(bytes=10))
        with pytest.raises(BudgetExceeded, match="no answer within"):
            engine.sql(
                "SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b",
                Budget(time_s=0.01),
            )
        assert len(engine.select(TraceQuery()).events) == 4


@pytest.mark.parametrize(
    "text",
    [
        "DROP VIEW events",
        "SELECT 1; SELECT 2",
        "SET threads = 1",
        "COPY (SELECT 1) TO '{out}'",
        "ATTACH '{out}'",
        "CREATE TABLE t AS SELECT 1",
        "INSERT INTO no_events SELECT * FROM events",
        "INSTALL httpfs",
        "PRAGMA database_list",
        "/* */ PRAGMA database_list",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}'",
        "EXPLAIN SELECT 1",
        "WITH a AS (SELECT 1) INSERT INTO no_events SELECT * FROM events",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{store}/MANIFEST'",
        "/**/ EXPLAIN ANALYZE COPY (SELECT 1) TO '{store}/out'",
        "EXPLAIN ANALYZE CREATE VIEW v AS SELECT 1",
        "WITH x AS (COPY (SELECT 1) TO '{store}/MANIFEST') SELECT * FROM x",
        "SELECT * FROM (WITH x AS (COPY (SELECT 1) TO '{store}/out') SELECT 1)",
        "WITH x AS (INSERT INTO no_events SELECT * FROM events RETURNING *) SELECT * FROM x",
        "WITH x AS (DELETE FROM no_events RETURNING 1) SELECT * FROM x",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
        "SELECT * FROM read_text('{store}/MANIFEST')",
        "SELECT * FROM '{store}/MANIFEST'",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM arrow_scan(1, 2, 3)",
        "SELECT * FROM duckdb_settings()",
        "SELECT getenv('HOME')",
        "SELECT * FROM enable_logging(storage='file', storage_path='{store}/out')",
        "SELECT $1",
        "SELECT '\ud800'",
        "SELECT 1 /* unclosed",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM 'https://example.org/a.parquet'",
        "SELECT * FROM events_of_python",
        "SELECT nonsense FROM events",
        "SELECT",
        "",
        "no sql",
    ],
)
def test_sql_only_reads_the_stores_events(text: str) -> None:
    """R5.26 A statement that writes, sets options or reads elsewhere is refused."""
    events_of_python = [1]
    assert events_of_python
    with engine_over(recording(inference_chain())) as engine:
        store = engine._store.path
        out = store / "events" / "out"  # reading is allowed there
        before = (store / "MANIFEST").read_bytes(), sorted(store.rglob("*"))
        with pytest.raises(BadQuestion):
            engine.sql(text.format(out=out, store=store))
        assert ((store / "MANIFEST").read_bytes(), sorted(store.rglob("*"))) == before
        assert engine.sql("-- (a word)\n (SELECT 1 AS n)").to_pylist() == [{"n": 1}]
        assert engine.sql("DESCRIBE events").num_rows == len(SCHEMA.names)
        table = engine.sql("SELECT event_type, count(*) AS n FROM events GROUP BY ALL;")
        assert table.num_rows == 4
        assert table.column_names == ["event_type", "n"]
        assert engine.sql("SELECT * FROM no_events").num_rows == 0


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("WITH x AS (SELECT ring FROM events) SELECT * FROM x UNION ALL FROM x -- ;", 8),
        ("WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) FROM n", 5),
        ("SELECT unnest(map_keys(attr_int)) FROM events LIMIT 0;;", 0),
        ("DESCRIBE events", 34),
        ("SUMMARIZE events", 34),
        ("SELECT * FROM range(3)", 3),
    ],
)
def test_sql_asks_whatever_a_select_can(text: str, rows: int) -> None:
    """R5.26 Named and recursive parts, comments, descriptions and plans are answered."""
    with engine_over(recording(inference_chain())) as engine:
        assert engine.sql(text).num_rows == rows


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM range(100000000000)",
        "SELECT repeat('x', 1000000) FROM range(1000)",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n",
        "SELECT sum(a.i * b.i) FROM range(10000000) a(i), range(10000000) b(i)",
        f"SELECT {'(' * 3_000}1{')' * 3_000}",
    ],
)
def test_a_question_without_end_is_ended(text: str) -> None:
    """R5.26 R4.7 Rows, memory and time are bounded before an answer is held."""
    with engine_over(recording(inference_chain()), memory="200MB") as engine:
        with pytest.raises((BudgetExceeded, BadQuestion)):
            engine.sql(text, Budget(rows=10_000, time_s=2.0))
        assert engine.sql("SELECT * FROM events").num_rows == 4


def test_an_empty_store_answers_too(tmp_path: Path) -> None:
    """R4.7 Before the first event there is nothing, and that is the answer."""
    path = stored(tmp_path / "odd [name]*?'", Recording())
    with FolderEngine(path) as engine:
        assert engine.select(TraceQuery()).events == ()
        assert engine.aggregate(Aggregate(), TraceQuery()) == []
        assert engine.find("x") == []
        assert engine.newest_wrong(TraceQuery()) is None
        assert engine.recording(TraceQuery()).events == ()
        assert engine.sql("SELECT count(*) AS n FROM events").to_pylist() == [{"n": 0}]
        stored(path, recording(inference_chain()))
        assert len(engine.select(TraceQuery()).events) == 4
        assert engine.sql("SELECT count(*) AS n FROM events").to_pylist() == [{"n": 4}]
    with pytest.raises(NotAStore):
        FolderEngine(tmp_path / "nowhere")


def test_a_file_that_was_replaced_meanwhile_is_looked_for_in_the_next_generation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R4.62 Compaction takes files away while somebody asks: the question is asked once more."""
    path = stored(tmp_path / "store", recording(inference_chain()), segments=2)
    with FolderEngine(path) as engine:
        old = engine._store.snapshot()
        gone = old.files[0]
        away = gone.with_name("away")
        gone.rename(away)
        snapshots = [old]

        def snapshot() -> Any:
            if not snapshots:
                away.rename(gone)
                return old
            return snapshots.pop()

        monkeypatch.setattr(engine._store, "snapshot", snapshot)
        assert len(engine.select(TraceQuery()).events) == 4


def test_a_question_can_be_cancelled(tmp_path: Path) -> None:
    """R4.7 Another thread ends a question that takes too long."""
    path = stored(tmp_path / "store", recording(inference_chain()))
    with FolderEngine(path) as engine:
        done = threading.Event()

        def again() -> None:
            while not done.wait(0.01):
                engine.cancel()

        thread = threading.Thread(target=again)
        thread.start()
        try:
            with pytest.raises(BudgetExceeded, match="cancelled"):
                engine.sql("SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b")
        finally:
            done.set()
            thread.join()
        assert len(engine.select(TraceQuery()).events) == 4


@pytest.mark.parametrize("kind", ["pipe", "link", "short", "folder"])
def test_what_stands_in_a_files_place_is_told_of(tmp_path: Path, kind: str) -> None:
    """R4.7 Nothing waits for a pipe, and no link leads out of the store."""
    path = stored(tmp_path / "store", recording(inference_chain()))
    with FolderEngine(path) as engine:
        (file,) = engine._store.snapshot().files
        content = file.read_bytes()
        file.unlink()
        match kind:
            case "pipe":
                os.mkfifo(file)
            case "link":
                (tmp_path / "elsewhere").write_bytes(content)
                file.symlink_to(tmp_path / "elsewhere")
            case "short":
                file.write_bytes(content[:-100])
            case "folder":
                file.mkdir()
        for ask in (lambda: engine.select(TraceQuery()), lambda: engine.sql("FROM events")):
            with pytest.raises(CorruptFile, match="instead of"):
                ask()


def test_what_stands_in_the_manifests_place_is_told_of(tmp_path: Path) -> None:
    """R4.7 A folder or a pipe is named, and keeps no handle; one without end is damage."""
    path = stored(tmp_path / "store", recording(inference_chain()))
    manifest = path / "MANIFEST"
    manifest.unlink()
    for make in (manifest.mkdir, lambda: os.mkfifo(manifest)):
        make()
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(OSError, match="not a plain file"):
            FolderEngine(path)
        assert len(os.listdir("/proc/self/fd")) == before
        manifest.rmdir() if manifest.is_dir() else manifest.unlink()
    manifest.touch()
    os.truncate(manifest, 1 << 40)
    with FolderEngine(path) as engine:
        assert len(engine.select(TraceQuery()).events) == 4
