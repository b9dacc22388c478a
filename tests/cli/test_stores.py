"""Commands over a store say what they say over the processes and exports it was made of."""

from __future__ import annotations

import gzip
import json
import resource
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

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
from whence.model.recording import Recording

Run = Callable[..., Result]


def world() -> Recording:
    """A late request, one in time, a rejected one, and sampled ticks."""
    ticks = [
        event("tick", 500 + n, "", ticket=60 + n, duration_ms=n, weight=10.0, component="Clock")
        for n in range(20)
    ]
    return recording(
        [
            *late_chain(),
            *inference_chain("req-000409", 300, first_ticket=20),
            *rejected_chain("req-7", 400, 30),
            *ticks,
        ]
    )


@pytest.fixture
def sources(tmp_path: Path, export: Callable[[Recording], Path]) -> dict[str, Path]:
    """The same events as an export and as a store."""
    return {"export": export(world()), "store": stored(tmp_path / "traces", world(), segments=3)}


@pytest.mark.parametrize(
    "arguments",
    [
        ("why",),
        ("why", "req-000412"),
        ("why", "q-7"),
        ("why", "--component", "AdmissionController"),
        ("chain", "req-000412"),
        ("chain", "12", "--type", "scheduling_decision"),
        ("select", "--json"),
        ("select", "--limit", "3", "--order", "oldest"),
        ("select", "--type", "tick", "--group-by", "type,severity", "--bucket", "5ms"),
        ("select", "--group-by", "deadline_met", "--json"),
        ("select", "--group-by", "type", "--measure", "count,sum,min,max,last"),
        ("select", "--errors"),
        ("select", "--where", "deadline_met = false", "--last", "1h", "--json"),
        ("select", "--last", "10ms"),
        ("select", "--since", "2026-11-20T00:00:00+00:00", "--text", "Selected"),
        ("select", "--until", "2020-01-01"),
        ("select", "--order", "longest", "--limit", "2", "--json"),
    ],
)
def test_a_store_is_asked_like_an_export(
    run: Run, sources: dict[str, Path], arguments: tuple[str, ...]
) -> None:
    """R5.11 R4.7 The answer over a store is that over the same events elsewhere."""
    told = {}
    for name, path in sources.items():
        result = run(*arguments, "--from", path)
        assert result.exit_code in (0, 3), result.output
        told[name] = result.exit_code, _comparable(result.output.replace(str(path), "SOURCE"))
    assert told["store"] == told["export"]


def _comparable(output: str) -> Any:
    """JSON as values, whose attributes have no order; of text the words, for the same reason."""
    try:
        return json.loads(output, parse_float=lambda digits: f"{float(digits):.9g}")
    except ValueError:
        return [sorted(line.replace(",", " ").split()) for line in output.splitlines()]


def test_pages_go_on_where_they_ended(run: Run, sources: dict[str, Path]) -> None:
    """R4.45 The key under a page leads to the next one, over stores and exports."""
    for path in sources.values():
        seen: list[str] = []
        key: list[str] = []
        while True:
            result = run("select", "--limit", 7, "--json", *key, "--from", path)
            page = json.loads(result.output)
            seen += [each["event_id"] for each in page["events"]]
            if page["next"] is None:
                break
            assert len(page["events"]) == 7
            key = ["--after", page["next"]]
        assert seen == [each.event_id for each in reversed(world().events)]
    text = run("select", "--limit", 7, "--from", path).output
    assert "More: --after newest.0." in text


def test_a_table_without_texts_is_as_wide_as_its_numbers(
    run: Run, sources: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """R4.44 Nothing gives way where there are figures alone, however narrow the page."""
    monkeypatch.setattr("whence.cli.render.page.page_cells", lambda: 60)
    result = run("select", "--bucket", "1h", "--from", sources["store"])
    assert result.exit_code == 0
    assert result.output.splitlines()[1].split()[:2] == ["2026-11-20", "14:00:00.000"]


def test_a_group_that_no_event_has_is_told(run: Run, sources: dict[str, Path]) -> None:
    """R4.44 With the attributes that are spelled much like it."""
    for path in sources.values():
        result = run("select", "--group-by", "deadline_mett", "--from", path)
        assert result.exit_code == 0
        assert "no event has 'deadline_mett'; nearest: deadline_met" in result.output


def test_no_statement_takes_all_memory(run: Run, sources: dict[str, Path]) -> None:
    """R4.7 What a function makes is bounded, too, and the process goes on without the bound."""
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    statement = "SELECT length(repeat('x', 4000000000))"
    result = run("sql", statement, "--from", sources["store"])
    assert result.exit_code != 0
    assert "memory" in result.output
    assert resource.getrlimit(resource.RLIMIT_DATA) == limits


def test_figures_of_groups_are_tabled(run: Run, sources: dict[str, Path]) -> None:
    """R4.44 R5.5 Counts stand for what was sampled out, and the table says so."""
    result = run("select", "--group-by", "component", "--from", sources["store"])
    head, first, *rest = result.output.splitlines()
    assert head.split()[:4] == ["component", "count", "rows", "a"]
    assert first.split()[:3] == ["Clock", "200", "20"]
    assert rest[-1] == "Counts are of all events that the rows stand for: some were sampled out."
    groups = json.loads(
        run("select", "--group-by", "component", "--json", "--from", sources["store"]).output
    )["groups"]
    assert groups[0]["group"] == {"component": "Clock"}
    assert (groups[0]["count"], groups[0]["rows"], groups[0]["weighted"]) == (200.0, 20, True)
    assert groups[0]["p50"] == 10_000_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("select", "--where", "n ="), "cannot understand the condition"),
        (("select", "--trace", "17"), "32 hexadecimal"),
        (("select", "--since", "soon"), "neither a moment"),
        (("select", "--after", "x"), "no key of a page"),
        (("select", "--after", "oldest.0.1.2.3.4"), "--order oldest"),
        (("select", "--after", "newest.0.1.2.3.4", "--bucket", "1s"), "not with groups"),
        (("select", "--bucket", "soon"), "no length of time"),
        (("sql", "DROP VIEW events"), "only one SELECT"),
        (("sql", "SELECT nothing FROM events"), "nothing"),
        (("sql", "SELECT 'infinity'::DATE"), "cast this time"),
        (("select", "--group-by", "type", "--of", ""), "what is measured"),
        (("select", "--group-by", "type", "--measure", "maxx"), "'maxx' is not measured; max"),
    ],
)
def test_a_question_that_makes_no_sense_is_told_so(
    run: Run, sources: dict[str, Path], arguments: tuple[str, ...], message: str
) -> None:
    """R4.7 Exit code 2, and what is wrong in words."""
    result = run(*arguments, "--from", sources["store"])
    assert result.exit_code == 2, result.output
    assert message in result.output


@pytest.mark.parametrize(
    "value", ["{}", "[{}]", "{{'at': {}}}", "MAP {{'at': {}}}", "[{{'at': [{}]}}]"]
)
def test_times_of_nanoseconds_are_shown_as_texts(
    run: Run, sources: dict[str, Path], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R4.7 Every digit of them, also inside of other values, and without pandas."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    moment = value.format("TIMESTAMP_NS '2020-01-01 00:00:00.123456789'")
    result = run("sql", f"SELECT {moment} AS a", "--json", "--from", sources["store"])
    assert result.exit_code == 0, result.output
    assert "2020-01-01 00:00:00.123456789" in result.output


def test_sql_answers_a_select(run: Run, sources: dict[str, Path]) -> None:
    """R4.7 A table on a terminal, rows of JSON for machines; too many rows are an error."""
    statement = "SELECT event_type, count(*) AS n FROM events GROUP BY ALL ORDER BY n DESC LIMIT 1"
    result = run("sql", statement, "--from", sources["store"])
    assert result.output.split() == ["event_type", "n", "tick", "20", "1", "row"]
    rows = json.loads(run("sql", statement, "--json", "--from", sources["store"]).output)
    assert rows == [{"event_type": "tick", "n": 20}]
    maps = "SELECT attr_bool, 1.5::DECIMAL(3,1) AS d, ts_ns > 1 AS late FROM events LIMIT 1"
    assert json.loads(run("sql", maps, "--json", "--from", sources["store"]).output) == [
        {"attr_bool": {"admitted": True}, "d": 1.5, "late": True}
    ]
    result = run("sql", "FROM events", "--limit", 3, "--from", sources["store"])
    assert result.exit_code == 1
    assert "more than 3 rows" in result.output
    result = run("sql", "SELECT 1", "--from", sources["export"])
    assert (result.exit_code, "is no store" in result.output) == (2, True)


def test_sql_shows_awkward_values(run: Run, sources: dict[str, Path]) -> None:
    """R4.7 R5.26 Two columns of a name, long texts, and what would colour a terminal."""
    twice = "SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS a"
    rows = json.loads(run("sql", twice, "--json", "--from", sources["store"]).output)
    assert rows == [{"a": 1, "a_1": 2, "a_1_1": 3, "a_2": 4}]
    long = "SELECT repeat('x', 1000000) AS t, 1 AS n UNION ALL SELECT 'y', 2"
    assert len(run("sql", long, "--from", sources["store"]).output) < 5_000
    assert len(run("sql", long, "--json", "--from", sources["store"]).output) > 1_000_000
    red = "SELECT chr(27) || '[31m' AS \"\x1b[31mx\""
    for statement in (red, "SELECT error('\x1b[31m')", "SELECT '\x1b[31m'::INT"):
        assert "\x1b" not in run("sql", statement, "--from", sources["store"]).output


def test_the_ledger_of_a_store_is_told(run: Run, sources: dict[str, Path]) -> None:
    """R5.9 What is stored is readable; its processes are listed."""
    whole = json.loads(run("stats", "--json", "--from", sources["store"]).output)
    assert [ring["readable"] for ring in whole["rings"]] == [len(world().events)]
    assert whole["closes"] is True
    picked = json.loads(run("stats", "--json", "--type", "tick", "--from", sources["store"]).output)
    assert picked["picked"]["by_type"] == {"tick": 20}
    assert "tick" in run("stats", "--type", "tick", "--from", sources["store"]).output
    listed = run("ls", "--from", sources["store"]).output
    assert "demo-4711" in listed
    sessions = json.loads(run("ls", "--json", "--from", sources["store"]).output)["sessions"]
    assert [each["name"] for each in sessions] == ["demo-4711"]
    assert "no process" in run("ls", "--live", "--from", sources["store"]).output


def test_an_unknown_id_and_an_empty_store_are_told(run: Run, tmp_path: Path) -> None:
    """R5.16 Exit code 4, with what is known of why it is not there."""
    empty = stored(tmp_path / "empty", replace(world(), events=()))
    assert run("why", "--from", empty).exit_code == 4
    assert "nothing is stored" in run("why", "--from", empty).output
    assert run("why", "req-1", "--from", empty).exit_code == 4
    assert run("select", "--from", empty).output == "No event is what was asked for.\n"
    assert run("stream", "--from", empty).exit_code == 1


@pytest.mark.parametrize("source", ["export", "store"])
def test_tables_are_written_of_stores_and_exports(
    run: Run, sources: dict[str, Path], tmp_path: Path, source: str
) -> None:
    """R5.18 R4.56 R4.57 R4.58 CSV and Parquet, filtered, compressed, whole or not at all."""
    import pyarrow.parquet as pq

    path = sources[source]
    output = tmp_path / "ticks.csv.gz"
    result = run("export", "--format", "csv", "--type", "tick", "-o", output, "--from", path)
    assert result.output == f"{output}: 20 events (type tick)\n"
    lines = gzip.decompress(output.read_bytes()).decode().splitlines()
    assert lines[0] == "timestamp_ns,event_type,model_id,request_id,payload"
    assert len(lines) == 21
    whole = run("export", "--format", "csv", "--columns", "all", "--from", path)
    assert whole.output.splitlines()[0].startswith("wall_ns,timestamp_ns,session")
    output = tmp_path / "late.parquet"
    where = ("--where", "deadline_met = false")
    told = run("export", "--format", "parquet", "-o", output, "--json", *where, "--from", path)
    assert json.loads(told.output) == {
        "path": str(output),
        "events": 1,
        "filters": "where deadline_met = false",
    }
    table = pq.read_table(output)
    assert table.column("request_id").to_pylist() == ["req-000412"]
    refused = run("export", "--format", "parquet", "--compress", "gzip", "-o", "x", "--from", path)
    assert refused.exit_code == 1
    assert "compressed already" in refused.output
    assert run("export", "--format", "csv", "-o", tmp_path, "--from", path).exit_code == 1


def test_csv_of_a_store_is_that_of_an_export(run: Run, sources: dict[str, Path]) -> None:
    """R4.56 Each event of a store once, in order, as of an export."""
    ask = ("export", "--format", "csv", "--columns", "basic", "--from")
    whole = run(*ask, sources["store"]).output
    exported = run(*ask, sources["export"]).output
    assert [row[:60] for row in exported.splitlines()] == [row[:60] for row in whole.splitlines()]
    assert len(whole.splitlines()) > 2 * 7
    some = run(*ask, sources["store"], "--type", "tick")
    assert len(some.output.splitlines()) == 21


def test_a_store_is_exported_as_json_and_read_again(
    run: Run, sources: dict[str, Path], tmp_path: Path
) -> None:
    """R4.55 R4.68 The export of a store explains what the store does."""
    output = tmp_path / "again.json"
    assert run("export", "-o", output, "--from", sources["store"]).exit_code == 0
    first, again = (
        json.loads(run("why", "req-000412", "--json", "--from", path).output)
        for path in (sources["store"], output)
    )
    first.pop("next_commands"), again.pop("next_commands")
    assert again == first
    picked = tmp_path / "picked.json"
    run("export", "-o", picked, "--where", "deadline_met = false", "--from", sources["store"])
    assert json.loads(picked.read_text())["filtered"] == "where deadline_met = false"


@pytest.mark.parametrize("form", ["json", "csv", "parquet"])
@pytest.mark.parametrize("where", [(), ("--type", "tick", "--last", "10ms")])
def test_an_export_in_pieces_is_the_export_at_once(
    run: Run,
    sources: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    where: tuple[str, ...],
) -> None:
    """R4.55 R4.56 R4.45 However small the pieces are that a store is read in, the file is one."""
    import pyarrow.parquet as pq

    from whence.query.engines.folder import FolderEngine

    told = []
    monkeypatch.setattr("whence.cli.export.time.time_ns", lambda: 1)
    in_pieces = FolderEngine.in_pieces
    for rows in (1_000, 4, 1):
        monkeypatch.setattr(
            FolderEngine, "in_pieces", lambda engine, query, n=rows: in_pieces(engine, query, n)
        )
        output = tmp_path / f"run.{rows}.{form}"
        result = run("export", "--format", form, *where, "-o", output, "--from", sources["store"])
        assert result.exit_code == 0, result.output
        read = pq.read_table(output).to_pylist if form == "parquet" else output.read_bytes
        told.append(read())
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize("form", ["json", "csv", "parquet"])
def test_an_export_that_is_broken_off_leaves_no_file(
    run: Run, sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """R4.55 Ctrl-C in the middle of it leaves the old file as it was, and nothing besides."""
    from whence.query.engines.folder import FolderEngine

    in_pieces = FolderEngine.in_pieces

    def broken_off(engine: FolderEngine, query: Any) -> Any:
        known, pieces = in_pieces(engine, query, 3)

        def some() -> Any:
            yield next(pieces)
            raise KeyboardInterrupt

        return known, some()

    monkeypatch.setattr(FolderEngine, "in_pieces", broken_off)
    output = tmp_path / "out" / "run"
    output.parent.mkdir()
    output.write_text("before")
    result = run("export", "--format", form, "-o", output, "--from", sources["store"])
    assert result.exit_code == 1
    assert [path.name for path in output.parent.iterdir()] == ["run"]
    assert output.read_text() == "before"


ENDLESS = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sql", ENDLESS, "--timeout", "200ms"), "no answer within 200.0 ms"),
        (("sql", "SELECT * FROM events", "--limit", "3"), "--timeout and --limit allow more"),
        (("select", "--group-by", "type", "--most-rows", "2"), "more than 2 rows"),
        (("why", "req-000412", "--most-rows", "2"), "the whole id, --last and --type narrow it"),
        (("verify", "--most-rows", "5"), "more than 5 events (--last"),
    ],
)
def test_a_question_past_its_budget_says_what_narrows_it(
    run: Run, sources: dict[str, Path], arguments: tuple[str, ...], said: str
) -> None:
    """R4.7 Rows and time have limits that people set; the error says what to do."""
    found = run(*arguments, "--from", sources["store"], "--json")
    assert found.exit_code == 1
    assert json.loads(found.output)["error"] == "budget"
    assert said in json.loads(found.output)["message"]


def test_time_is_a_limit_in_each_source(
    run: Run, sources: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """R4.7 What else a command does ends in time, too, and the clock is given back."""
    import signal
    import threading

    from whence.query.engines.memory import InMemory

    before = signal.getsignal(signal.SIGALRM)
    monkeypatch.setattr(InMemory, "select", lambda *a, **more: threading.Event().wait(100))
    found = run("select", "--timeout", "50ms", "--from", sources["export"])
    assert (found.exit_code, "no answer within 50.0 ms" in found.output) == (1, True)
    assert signal.getsignal(signal.SIGALRM) is before
    refused = run("select", "--timeout", "0s", "--from", sources["export"])
    assert (refused.exit_code, "too little" in refused.output) == (2, True)
