"""Runs of others are held to the contracts for agents: the verdicts that came with them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.receive.files.stored import AGENT_RUNS, written
from whence.cli.main import cli
from whence.model.query import TraceQuery
from whence.query.contracts.declared import READY_MADE
from whence.query.contracts.verify import Verdict, verify
from whence.query.engines.folder import FolderEngine

# what their reasons are among our findings: the kind, and the member it is about
REASONS = {
    "D1_BUDGET_DENY_WITHOUT_GATE": ("unguarded", "budget.decision"),
    "D2_POST_TERMINAL_EXECUTION_DETECTED": ("after the end", "tool.execute"),
    "D3_DENY_WITHOUT_CONFIRM_GATE": ("unguarded", "authz.decision"),
}
# runs without a verdict: what a reader finds in them
OTHERS = {
    "a-fail-reason-invalid-autogen": ("wrong value", "termination.decision"),
    "b-handoff-mcp": None,
    "b-handoff-pydanticai": None,
    "c-acp": None,
    "c-mcp-tools": None,
}


def run(*arguments: str | Path) -> Result:
    """The command, as it is typed."""
    return CliRunner().invoke(cli, [str(each) for each in arguments])


def verdict_of(store: Path) -> Verdict:
    """What became of the one run of a store, under the contract that covers it."""
    with contextlib.closing(FolderEngine(store)) as engine:
        found = verify(engine.whole_chains(TraceQuery()), READY_MADE["agents"])
    assert (found.chains, found.uncovered, found.outside) == (1, 0, 0)
    (verdict,) = [each for each in found.contracts if each.chains]
    return verdict


def findings(verdict: Verdict) -> list[tuple[str, str]]:
    """The kind and the member of everything that is wrong."""
    return [
        (each.kind, each.member)
        for flaw in verdict.flaws
        for each in flaw.report.findings
        if not each.optional
    ]


def expected(path: Path) -> tuple[str, str] | None:
    """What is wrong with a run by the verdict beside it, or by what is known of it."""
    told = path.with_suffix(".verdict.json")
    if not told.exists():
        return OTHERS[path.stem]
    said: dict[str, Any] = json.loads(told.read_text())
    if said.get("topline", said.get("status")) == "PASS":
        return None
    return REASONS[said["reason_code"]]


@pytest.mark.parametrize("path", sorted(AGENT_RUNS.glob("*.ndjson")), ids=lambda path: path.stem)
def test_the_verdicts_that_came_with_the_runs_are_reproduced(path: Path, tmp_path: Path) -> None:
    """R4.69 R5.12 Each run fails for its one reason, or is complete; the commands say so, too."""
    store = tmp_path / "store"
    assert run("import", path, "--to", store).exit_code == 0
    verdict = verdict_of(store)
    wrong = expected(path)
    assert findings(verdict) == ([] if wrong is None else [wrong])
    assert verdict.verdict == ("complete" if wrong is None else "incomplete")
    told = run("verify", "--from", store, "--contracts", "agents", "--json")
    assert told.exit_code == (0 if wrong is None else 1)
    assert [
        each["contract"] for each in json.loads(told.stdout)["contracts"] if each["chains"]
    ] == [verdict.contract]


@pytest.mark.parametrize("field", ["subject", "resource", "action"])
def test_a_decision_that_says_half_is_found_in_a_file(field: str, tmp_path: Path) -> None:
    """R4.69 R5.12 Who, on what and what: an access decision that lacks one is named."""
    lines = []
    for text in (AGENT_RUNS / "a-pass-budget-allow-langgraph.ndjson").read_text().splitlines():
        said = json.loads(text)
        if said["event_type"] == "authz.decision":
            del said[field]
        lines.append(json.dumps(said))
    path = written(tmp_path / "run.ndjson", *lines)
    assert run("import", path, "--to", tmp_path / "store").exit_code == 0
    assert findings(verdict_of(tmp_path / "store")) == [("missing field", "authz.decision")]


def test_the_command_says_what_became_of_what(tmp_path: Path) -> None:
    """R4.69 In words and as JSON; its exit code tells whether all was taken."""
    store = tmp_path / "store"
    path = written(tmp_path / "a.ndjson", '{"type":"x","ts":1700000000,"color":"red"}', "{", "")
    found = run("import", path, "--to", store)
    assert found.exit_code == 3
    assert "1 events, 1 stored, 0 stored before" in found.stdout.replace("\n", " ")
    assert "line 2: not-json" in found.stdout
    assert "color (1)" in found.stdout
    again = run("import", path, "--to", store, "--json")
    (report,) = json.loads(again.stdout)["files"]
    assert (report["stored"], report["duplicates"], report["rejected"]) == (0, 1, 1)
    assert report["times"] == {"seconds, by their size": 1}
    assert report["mapped"]["event_type from type"] == 1
    assert run("import", path, "--to", store, "--strict").exit_code == 1
    assert run("import", tmp_path / "none", "--to", store).exit_code == 1
    assert run("import", path, path, "--to", store, "--as", "x").exit_code == 2
    assert run("import", path, "--to", store, "--zone", "here").exit_code == 2
    assert run("verify", "--from", store, "--contracts", "nobody").exit_code == 2


def test_units_and_zones_may_be_said(tmp_path: Path) -> None:
    """R4.69 What nobody could know is told by whoever imports."""
    path = written(
        tmp_path / "a.ndjson", '{"type":"x","ts":12}', '{"type":"y","ts":"1970-01-01T02:00:13"}'
    )
    assert run("import", path, "--to", tmp_path / "no").exit_code == 3
    said = ("--unit", "s", "--zone", "+02:00")
    assert run("import", path, "--to", tmp_path / "store", *said).exit_code == 0
    with contextlib.closing(FolderEngine(tmp_path / "store")) as engine:
        events = engine.select(TraceQuery(), limit=9).events
    assert [event.timestamp.value_ns for event in events] == [12 * 10**9, 13 * 10**9]
