"""whence lineage and the From and To of whence why: the tree, what is unknown, and exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("pyarrow", reason="stores are written with pyarrow")
pytest.importorskip("duckdb", reason="stores are asked with duckdb")

from tests.conformance.lineage import event_of, tied
from tests.query.stores import stored
from tests.query.worlds import SESSIONS
from whence.cli.main import cli
from whence.model.event import TraceEvent
from whence.model.lineage_events import LineageFrame, LineageWindow, LinkPart
from whence.model.recording import Recording
from whence.query.why import why

BASE = 7_298_000_000_007_100
PAGE, LOST, BOX, BOOK, WINDOW = (BASE + end for end in (18, 19, 21, 30, 40))


def of(lineage_id: int, number: int, request: str) -> TraceEvent:
    """A decision of a request, tied to a frame."""
    return replace(tied(lineage_id, number), request_id=request, decision_chain_id=request)


def world() -> Recording:
    """A page, a box made of it and of a frame that nothing tells of, a book, a window of boxes."""
    events = (
        event_of(LineageFrame(PAGE, 1, 1, 0, "page"), 0),
        of(PAGE, 1, "req-1"),
        event_of(LineageFrame(BOX, 2, 1, 0, "box"), 2),
        event_of(LinkPart(BOX, 2, 1, 0, (PAGE, LOST)), 3),
        of(BOX, 5, "req-2"),
        event_of(LinkPart(BOOK, 3, 1, 0, (BOX, PAGE)), 6),
        event_of(LineageWindow(WINDOW, 2, 1, 0, 9), 7),
    )
    return Recording(events, sessions=SESSIONS)


@pytest.fixture
def store(tmp_path: Path) -> str:
    """That world in a folder."""
    return str(stored(tmp_path / "store", world(), 2))


def run(*words: str) -> Result:
    """The command with these words."""
    return CliRunner().invoke(cli, ["lineage", *words])


def test_the_tree_shows_each_id_once_with_its_decisions(store: str) -> None:
    """R5.15 R2.34 Up from the last digits: stage, place, decisions; what came before is not told
    twice, and a parent of which nothing is known is said to be unknown, which is no failure."""
    found = run("…7130", "--from", store)
    assert found.exit_code == 0, found.output
    lines = found.output.splitlines()
    assert lines[0].startswith(f"{BOOK}")
    assert "joined from 2" in lines[0]
    assert sum("…7118  " in each for each in lines) == 2
    assert sum("(shown above)" in each for each in lines) == 1
    assert any("req-2  picked  the nearest" in each for each in lines)
    assert any("…7119  unknown: not recorded" in each for each in lines)


def test_down_and_through_windows(store: str) -> None:
    """R5.15 R2.34 All that was made of a page; a window is made of the frames in its bounds."""
    down = json.loads(run(str(PAGE), "--down", "--json", "--from", store).output)
    assert [node["lineage_id"] for node in down["nodes"]] == list(
        map(str, (PAGE, BOX, BOOK, WINDOW))
    )
    up = json.loads(run(str(WINDOW), "--json", "--from", store).output)
    assert up["links"][0] == {
        "child": str(WINDOW), "parent": str(BOX), "depth": 1, "cycle": False
    }  # fmt: skip


def test_limits_and_what_is_not_found_have_their_exit_codes(store: str) -> None:
    """R5.15 3 for more than was shown, 4 with the nearest ids, 2 where several ids end so."""
    cut = run("7130", "--depth", "1", "--most", "1", "--from", store)
    assert (cut.exit_code, "There is more than is shown" in cut.output) == (3, True)
    missing = run(str(BOOK + 1), "--from", store)
    assert missing.exit_code == 4
    assert str(BOOK) in missing.output
    assert run("box", "--from", store).exit_code == 4
    several = json.loads(run("0", "--json", "--from", store).output)
    assert (several["error"], len(several["candidates"])) == ("ambiguous", 2)


def test_why_tells_from_what_and_into_what(store: str) -> None:
    """R5.15 The From and To of a chain, of a store as of what is in memory, and in a page."""
    told = CliRunner().invoke(cli, ["why", "req-2", "--from", store]).output
    assert "From    …7118 page, req-1  ->  …7121 box, joined from 2 frames, req-2" in told
    assert "and 1 more parent" in told
    assert "To      …7130 joined from 2 frames" in told
    assert f"whence lineage {WINDOW}" in told
    page = why(world(), "req-2")._repr_html_()
    assert "From" in page
    assert "…7118 page" in page
    assert why(world(), "req-1").lineage[0].after[0].lineage_id == BOX


def test_two_nodes_with_one_id_are_said_and_the_same_set_heard_twice_is_not(tmp_path: Path) -> None:
    """R2.34 TL-6: other parents under one id are another set; again or over a bridge is not."""
    same = [
        event_of(LinkPart(BOOK, stream, 1, 0, (PAGE, BOX)), n) for n, stream in enumerate((3, 3, 8))
    ]
    other = event_of(LinkPart(BOOK, 3, 1, 0, (LOST, BOX)), 5)
    for name, events, differ in (("same", same, False), ("other", [*same, other], True)):
        kept = stored(tmp_path / name, Recording(tuple(events), sessions=SESSIONS), 1)
        shown = run(str(BOOK), "--from", str(kept)).output
        assert ("told in 2 ways, which differ" in shown) == differ, shown
        assert f"joined from {3 if differ else 2}" in shown


def test_a_part_that_is_not_here_is_said(tmp_path: Path) -> None:
    """R2.34 The parents known are shown, the missing part is counted, and the exit code is 3."""
    part = event_of(LinkPart(BOOK, 3, 1, 0, (PAGE, BOX), 2, 3), 0)
    kept = stored(tmp_path / "store", Recording((part,), sessions=SESSIONS), 1)
    answer = run(str(BOOK), "--from", str(kept))
    assert (answer.exit_code, "2 parts of its parents are not here" in answer.output) == (3, True)


def test_overlapping_windows_share_their_frames(tmp_path: Path) -> None:
    """R2.34 TL-31: a frame in two windows went into both, and each id is shown once."""
    frames = [event_of(LineageFrame(BASE + n, 2, 1, n), n) for n in range(6)]
    windows = [event_of(LineageWindow(WINDOW + n, 2, 1, n, n + 3), 7 + n) for n in range(2)]
    kept = str(stored(tmp_path / "store", Recording((*frames, *windows), sessions=SESSIONS), 2))
    for root, words, expected in (
        (WINDOW, (), {BASE, BASE + 1, BASE + 2, BASE + 3}),
        (WINDOW + 1, (), {BASE + 1, BASE + 2, BASE + 3, BASE + 4}),
        (BASE + 2, ("--down",), {WINDOW, WINDOW + 1}),
        (BASE, ("--down",), {WINDOW}),
        (BASE + 5, ("--down",), set()),
    ):
        answer = json.loads(run(str(root), "--from", kept, *words, "--json").output)
        nodes = [int(node["lineage_id"]) for node in answer["nodes"]]
        assert (set(nodes) - {root}, len(nodes)) == (expected, len(expected) + 1)


def test_select_and_export_ask_for_one_lineage_id(store: str, tmp_path: Path) -> None:
    """R5.15 R4.43 --lineage picks all that bears an id, of a store and of an export made so."""
    target = tmp_path / "page.json"
    words = ["--lineage", str(PAGE), "--from", store]
    found = CliRunner().invoke(cli, ["select", *words, "--json"])
    assert {each["lineage_id"] for each in json.loads(found.output)["events"]} == {str(PAGE)}
    made = CliRunner().invoke(cli, ["export", "--format", "json", *words, "--output", str(target)])
    assert made.exit_code == 0, made.output
    shown = run(str(PAGE), "--from", str(target))
    assert (shown.exit_code, "page" in shown.output) == (0, True)
    assert CliRunner().invoke(cli, ["select", "--lineage", "0", "--from", store]).exit_code == 2
