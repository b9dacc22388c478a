"""whence chain --related: what ids lead to, and guesses under a heading of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.query.build import event, recording
from whence.model.recording import Recording

Run = Callable[..., Result]


@pytest.fixture
def source(export: Callable[[Recording], Path]) -> Path:
    """Three requests: one causes the second; the third merely uses the same component."""
    return export(
        recording(
            [
                event("a", 0, "req-1", ticket=0),
                event("b", 0.5, "req-2", ticket=1, caused_by="req-1", component="Other"),
                event("c", 0.6, "req-3", ticket=2),
                event("d", 80, "req-4", ticket=3, trace_id="ab" * 16),
            ]
        )
    )


def test_a_chain_is_shown_with_what_its_ids_lead_to(run: Run, source: Path) -> None:
    """R1.46 Each row says which id tells; without --related there is nothing of it."""
    assert "Related" not in run("chain", "req-1", "--from", source).output
    found = run("chain", "req-1", "--from", source, "--related")
    assert found.exit_code == 0
    heading, _, row = found.output.splitlines()[-3:]
    assert heading == "Related by an id"
    assert row.split()[2:] == ["b", "req-2", "causes", "req-1"]
    assert "req-3" not in found.output
    alone = run("chain", "req-4", "--from", source, "--related")
    assert alone.output.splitlines()[-1] == "No id leads to other events."


def test_guesses_are_off_by_default_and_stand_apart(run: Run, source: Path) -> None:
    """R1.46 A guess says what it is, has no strength, and goes no further than --near."""
    found = run("chain", "req-1", "--from", source, "--related", "--heuristic")
    exact, guessed = found.output.split("Heuristic: resembling, no id says that they belong")
    assert "causes req-1" in exact
    assert "same component Scheduler" in guessed
    assert "req-4" not in found.output
    near = run("chain", "req-1", "--from", source, "--related", "--heuristic", "--near", "1us")
    assert "Nothing resembles it, either." in near.output
    refused = run("chain", "req-1", "--from", source, "--heuristic")
    assert (refused.exit_code, "goes with --related" in refused.output) == (2, True)


def test_relations_are_data_too(run: Run, source: Path) -> None:
    """R1.46 As JSON: the event whole, each reason with its id, and whether it is a guess."""
    arguments = ("chain", "req-1", "--from", source, "--related", "--heuristic", "--json")
    exact, guess = json.loads(run(*arguments).stdout)["related"]
    assert exact["event"]["request_id"] == "req-2"
    (reason,) = exact["reasons"]
    assert (reason["by"], reason["id"], reason["heuristic"]) == ("causes", "req-1", False)
    assert [reason["heuristic"] for reason in guess["reasons"]] == [True]
    picked = json.loads(run(*arguments, "--type", "b").stdout)
    assert (picked["events"], len(picked["related"])) == ([], 1)
    assert "related" not in json.loads(run("chain", "req-1", "--from", source, "--json").stdout)
