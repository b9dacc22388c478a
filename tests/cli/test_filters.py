"""Every command that reads takes the same filters, and they mean the same in each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.query.build import event, inference_chain, late_chain, recording
from whence.model.recording import Recording
from whence.model.severity import Severity
from whence.receive.json_export import read_json_export

Run = Callable[..., Result]


@pytest.fixture
def source(export: Callable[[Recording], Path]) -> Path:
    """A chain of four types, and three ticks: of another component, severe, and an hour later."""
    ticks = [
        event("tick", 30, "req-1", ticket=20, component="Clock"),
        event("tick", 31, "req-2", ticket=21, severity=Severity.Error, model_id="m"),
        event("tock", 3_600_000, "req-2", ticket=22),
    ]
    return export(recording([*inference_chain(), *ticks]))


FILTERS = [
    (["--type", "tick"], 2),
    (["--type", "tick", "--type", "tock"], 3),
    (["--component", "Clock"], 1),
    (["--component", "Clock", "--component", "Scheduler"], 7),
    (["--severity", "error"], 1),
    (["--last", "5min"], 1),
    (["--time-range", "2h"], 7),
    (["--request", "req-2"], 2),
    (["--model", "m"], 1),
    (["--model", "ocr_rec", "--type", "tick"], 0),
]


@pytest.mark.parametrize(("filters", "count"), FILTERS)
@pytest.mark.parametrize("group", [[], ["trace"]])
def test_export_and_stream_pick_the_same(
    run: Run, source: Path, tmp_path: Path, group: list[str], filters: list[str], count: int
) -> None:
    """R1.44 R1.45 R1.49 R1.51 R0.44 Filters are joined by and, repeated ones by or."""
    target = tmp_path / "out.json"
    run(*group, "export", "--format", "json", "--from", source, *filters, "--output", target)
    streamed = run(*group, "stream", "--format", "json", "--from", source, "--once", *filters)
    lines = [json.loads(line) for line in streamed.stdout.splitlines()]
    ids = [found.event_id for found in read_json_export(target).events]
    assert [line["event_id"] for line in lines] == ids
    assert len(ids) == count


@pytest.mark.parametrize(("filters", "count"), FILTERS)
def test_stats_counts_what_passes(run: Run, source: Path, filters: list[str], count: int) -> None:
    """R1.44 R1.53 The ledger stays whole, and what was asked for is counted besides."""
    answer = json.loads(run("stats", "--from", source, *filters, "--json").stdout)
    assert answer["picked"]["events"] == sum(answer["picked"]["by_type"].values()) == count
    assert sum(ring["recorded"] for ring in answer["rings"]) == 7
    text = run("stats", "--from", source, *filters).stdout
    assert f"{count} of 7 readable events: " in text
    assert "picked" not in json.loads(run("stats", "--from", source, "--json").stdout)


def test_stats_lists_the_types_asked_for(run: Run, source: Path) -> None:
    """R1.44 R1.53 Counts by type and component can be picked, those of rings cannot."""
    answer = json.loads(run("stats", "--from", source, "--type", "tick", "--json").stdout)
    assert [kind["event_type"] for kind in answer["kinds"]] == ["tick"]
    assert all(row["event_type"] == "tick" for r in answer["rings"] for row in r["per_kind"])


@pytest.mark.parametrize(("filters", "count"), FILTERS)
def test_a_chain_shows_the_rows_asked_for(
    run: Run, source: Path, filters: list[str], count: int
) -> None:
    """R1.44 R0.49 chain and why show of a named chain what passes; the verdict is of all."""
    whole = {e.event_id: e for e in read_json_export(source).events}
    chain = json.loads(run("chain", "req-1", "--from", source, *filters, "--json").stdout)
    told = json.loads(run("why", "req-1", "--from", source, *filters, "--json").stdout)
    ids = [found["event_id"] for found in chain["events"]]
    assert [row["event_id"] for row in told["story"]] == ids
    assert told["event_count"] == 5
    assert all(whole[name].request_id == "req-1" for name in ids)
    assert len(ids) <= count


def test_why_explains_the_newest_of_what_passes(
    run: Run, export: Callable[[Recording], Path]
) -> None:
    """R1.44 R5.11 Without an id, filters say among which events the one to explain is."""
    late = late_chain()
    path = export(recording([*inference_chain("req-1", -90), *late]))
    assert run("why", "--from", path).output.startswith(late[0].request_id)
    assert run("why", "--from", path, "--request", "req-1").output.startswith("req-1")
    nothing = run("why", "--from", path, "--model", "nobody")
    assert (nothing.exit_code, "asked for" in nothing.stderr) == (4, True)


def test_a_type_that_no_kind_has_is_told_of_every_name(run: Run, source: Path) -> None:
    """R1.44 Each misspelled type is named with what is near."""
    found = run("export", "--from", source, "--type", "fre", "--type", "alloc", "--type", "zzzz")
    told = [line for line in found.stderr.splitlines() if "no kind is called" in line]
    assert [("fre" in told[0], "nearest: free" in told[0]), "zzzz" in told[1]] == [
        (True, True),
        True,
    ]
