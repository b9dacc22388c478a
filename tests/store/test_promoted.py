"""Attributes with columns of their own: the same events and answers, in files that others read."""

from __future__ import annotations

from pathlib import Path

import pytest

pa = pytest.importorskip("pyarrow", reason="stores are read with pyarrow")

import pyarrow.parquet as pq  # noqa: E402

from tests.query.build import event  # noqa: E402
from whence.model.errors import BadQuestion  # noqa: E402
from whence.model.event import TraceEvent  # noqa: E402
from whence.model.query import TraceQuery  # noqa: E402
from whence.model.recording import SessionInfo  # noqa: E402
from whence.model.store_settings import checked_promoted  # noqa: E402
from whence.query.engines.folder import FolderEngine  # noqa: E402
from whence.query.engines.shapes import UNLIMITED, Aggregate  # noqa: E402
from whence.store.columns import SCHEMA  # noqa: E402
from whence.store.folder import FolderStore  # noqa: E402
from whence.store.place import MANIFEST, PREVIOUS  # noqa: E402
from whence.store.promoted import blanks_of, filled, promoted_names  # noqa: E402
from whence.store.sessions import StoredSession  # noqa: E402
from whence.store.tables import table_of  # noqa: E402

UUID = "5d0f0a52-9a9c-4f43-8a3f-000000000001"
SESSION = SessionInfo("s", uuid=UUID, key=7)


def events(first: int, count: int = 8) -> list[TraceEvent]:
    """Events whose slack is a number, and now and then a text."""
    made: list[TraceEvent] = []
    for n in range(first, first + count):
        slack = "none" if n % 5 == 4 else n
        attributes = {"slack": slack, "phase": ("read", "swap")[n % 2], "half": n / 2}
        made.append(event("tick", n, f"req-{n}", ticket=n, session="s", attributes=attributes))
    return made


def put(store: FolderStore, made: list[TraceEvent]) -> None:
    store.put_session(StoredSession(info=SESSION))
    store.append(table_of(made, [SESSION]), {UUID: {0: made[-1].ticket + 1}})


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A store with a file from before its attributes had columns, and others of two choices."""
    path = tmp_path / "mixed"
    with FolderStore(path, write=True) as store:
        put(store, events(0))
        store.promote(["slack", "phase"])
        put(store, events(8))
        store.promote(["half", "absent"], demote=["phase"])
        put(store, events(16))
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """The same events, in maps alone."""
    path = tmp_path / "plain"
    with FolderStore(path, write=True) as store:
        for first in (0, 8, 16):
            put(store, events(first))
    return path


def columns_beside(path: Path) -> list[list[str]]:
    """The columns of each file that are in no store of maps alone."""
    return [
        [name for name in pq.read_schema(file).names if name not in SCHEMA.names]
        for file in FolderStore(path).snapshot().files
    ]


QUESTIONS = [
    (Aggregate(("phase",), None, ("count", "avg", "p95"), of="slack"), None),
    (Aggregate(("slack",), None, ("count",)), "half > 3"),
    (Aggregate(("type", "slack", "phase"), 1_000, ("count", "avg"), of="half"), "slack < 12"),
    (Aggregate((), None, ("count",)), "absent = 1"),
    (Aggregate(("absent",), None, ("count", "avg"), of="absent"), "phase != read"),
]


def answers(path: Path, exact_rows: int = 1_000) -> list[object]:
    found: list[object] = []
    with FolderEngine(path, threads=1, exact_rows=exact_rows) as engine:
        for question, where in QUESTIONS:
            query = TraceQuery(where=where)
            found.append(engine.aggregate(question, query))
            found.append([each.attributes for each in engine.select(query).events])
        found.append(engine.table(TraceQuery()).to_pylist())
    return found


def test_a_promoted_attribute_has_a_column_for_each_type_of_its_values(mixed: Path) -> None:
    """R4.44 Files from then on have it, earlier ones stay, and what never occurs has none."""
    before, both, later = columns_beside(mixed)
    assert before == []
    assert both == ["attr_str_phase", "attr_int_slack", "attr_str_slack"]
    assert later == ["attr_num_half", "attr_int_slack", "attr_str_slack"]
    manifest = FolderStore(mixed).snapshot().manifest
    assert promoted_names(manifest) == ("absent", "half", "slack")
    assert dict(manifest.files[2].promoted)["absent"] == ()
    file = FolderStore(mixed).snapshot().files[1]
    assert pq.read_table(file).column("attr_int_slack").to_pylist() == [
        8, None, 10, 11, 12, 13, None, 15,
    ]  # fmt: skip


@pytest.mark.parametrize("exact_rows", [1_000, 0])
def test_answers_are_the_same_with_and_without_columns(
    mixed: Path, plain: Path, exact_rows: int
) -> None:
    """R4.68 Select, aggregate and whole tables, over files of every sort at once."""
    assert answers(mixed, exact_rows) == answers(plain, exact_rows)


def test_a_question_reads_the_column_and_not_the_map(mixed: Path) -> None:
    """Where every file has it; rows that were forgotten stay hidden."""
    FolderStore(mixed).hide(["req-20"])
    with FolderEngine(mixed) as engine:
        files = engine._snapshot().manifest.files
        source = engine._source(files[1:], UNLIMITED, frozenset({"slack"}))
        statement = source.statement()
        assert statement.attribute("int", "slack") == '"attr_int_slack"'
        assert statement.attribute("bool", "slack") == "CAST(NULL AS BOOLEAN)"
        assert "UNION" not in source.text
        assert "UNION" in engine._source(files, UNLIMITED, frozenset({"slack"})).text
        (row,) = engine.aggregate(Aggregate((), None, ("count",)), TraceQuery(where="slack >= 16"))
    assert row.rows == 6  # of 16 to 23, 19 is a text and 20 forgotten


def test_merged_files_have_columns_for_all_their_rows(mixed: Path, plain: Path) -> None:
    """R4.44 Values of files that had none come from their maps; dropped ones leave no column."""
    with FolderStore(mixed, write=True) as store:
        assert store.compact() == 1
    assert columns_beside(mixed) == [["attr_num_half", "attr_int_slack", "attr_str_slack"]]
    (file,) = FolderStore(mixed).snapshot().files
    slack = pq.read_table(file).column("attr_int_slack").to_pylist()
    assert slack == [None if n % 5 == 4 else n for n in range(24)]
    assert answers(mixed) == answers(plain)


def test_a_lost_manifest_loses_no_column(mixed: Path, plain: Path) -> None:
    """R4.44 Each file says in its footer what it has; what to promote is a setting, and lost."""
    before = FolderStore(mixed).snapshot().manifest.files
    for name in (MANIFEST, PREVIOUS):
        (mixed / name).unlink()
    with FolderStore(mixed, write=True) as store:
        assert store.manifest.files == before
        assert promoted_names(store.manifest) == ()
    assert answers(mixed) == answers(plain)


def test_plain_engines_see_plain_columns(mixed: Path) -> None:
    """R5.18 By name in DuckDB, Polars and pandas; null in files that have no such column."""
    files = [str(path) for path in FolderStore(mixed).snapshot().files]
    duckdb = pytest.importorskip("duckdb", reason="stores are asked with duckdb")
    text = f"SELECT sum(attr_int_slack) FROM read_parquet({files}, union_by_name=true)"
    wanted = sum(n for n in range(8, 24) if n % 5 != 4)
    assert duckdb.sql(text).fetchall() == [(wanted,)]
    text = f"SELECT count(*), sum(attr_int['slack']) FROM read_parquet({files})"
    assert duckdb.sql(text).fetchall() == [(24, wanted + 0 + 1 + 2 + 3 + 5 + 6 + 7)]


def test_questions_in_sql_see_the_column_filled_for_every_file(mixed: Path) -> None:
    """R4.68 The table `events` has it for files from before as well."""
    with FolderEngine(mixed) as engine:
        table = engine.sql("SELECT sum(attr_int_slack), count(attr_str_slack) FROM events")
        assert table.to_pylist() == [
            {
                "sum(attr_int_slack)": sum(n for n in range(24) if n % 5 != 4),
                "count(attr_str_slack)": 4,
            }
        ]
        with pytest.raises(BadQuestion):
            engine.sql("SELECT attr_int_nothing FROM events")


@pytest.mark.parametrize("names", [["a b"], ['x"'], ["é"], [""], ["Slack", "slack"], ["x" * 101]])
def test_what_can_be_no_column_is_refused(tmp_path: Path, names: list[str]) -> None:
    """A store is not changed by it."""
    with (
        FolderStore(tmp_path / "t", write=True) as store,
        pytest.raises(ValueError, match="column"),
    ):
        store.promote(names)
    assert promoted_names(FolderStore(tmp_path / "t").snapshot().manifest) == ()
    with pytest.raises(ValueError, match="at most"):
        checked_promoted(f"a{n}" for n in range(100))


def test_columns_that_hold_nothing_are_known_and_not_read(plain: Path) -> None:
    """R4.68 They stay in every file, for readers of any kind; the manifest names them."""
    snapshot = FolderStore(plain).snapshot()
    for file, each in zip(snapshot.files, snapshot.manifest.files, strict=True):
        table = pq.read_table(file, partitioning=None)
        assert table.column_names == SCHEMA.names
        assert each.blank == blanks_of(table)
        assert {"links", "span_id", "attr_bool", "weight"} <= each.blank
        assert not {"attr_int", "attr_str", "request_id", "ts_ns"} & each.blank
        kept = table.drop_columns(sorted(each.blank))
        assert filled(kept).select(SCHEMA.names).cast(SCHEMA).equals(table.cast(SCHEMA))
    with FolderEngine(plain) as engine:
        assert "links" not in engine._source(snapshot.manifest.files, UNLIMITED).columns


def test_polars_and_pandas_read_the_files(mixed: Path, plain: Path) -> None:
    """R5.18 As they are; columns that only some files have are null in the others."""
    plain_files = [str(path) for path in FolderStore(plain).snapshot().files]
    files = [str(path) for path in FolderStore(mixed).snapshot().files]
    polars = pytest.importorskip("polars", reason="one of the engines that others bring")
    frame = polars.scan_parquet(plain_files, hive_partitioning=False).collect()
    assert frame.shape == (24, len(SCHEMA))
    more = polars.scan_parquet(
        files[::-1], hive_partitioning=False, missing_columns="insert", extra_columns="ignore"
    )
    wanted = sum(n for n in range(8, 24) if n % 5 != 4)
    assert more.select("attr_int_slack").collect().sum().item() == wanted
    pandas = pytest.importorskip("pandas", reason="one of the engines that others bring")
    read = pandas.read_parquet(plain_files, partitioning=None)
    assert read.shape == (24, len(SCHEMA))
    assert sorted(read["request_id"]) == sorted(f"req-{n}" for n in range(24))
    assert pandas.read_parquet(files[::-1], partitioning=None)["attr_int_slack"].sum() == wanted
