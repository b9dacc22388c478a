"""A session with a file that cannot be read: every command says so and none calls it whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.query.build import event, inference_chain, ledger, recording, session
from whence.model.recording import Damage, Recording
from whence.receive.json_export import read_json_export

Run = Callable[..., Result]
Export = Callable[[Recording], Path]

TORN = Damage("demo-4711", "ring-00001", "the file is cut short")


def damaged(*damage: Damage, **fields: object) -> Recording:
    """A complete chain in a session of which some files cannot be read."""
    whole = recording(inference_chain())
    parts = {name: getattr(whole, name) for name in ("events", "kinds", "sessions", "rings")}
    return Recording(**(parts | fields), damage=damage)


def test_stats_names_the_damage_and_does_not_close(run: Run, export: Export) -> None:
    """R1.53 The sum is not said to close over a ring that nobody could count."""
    path = export(damaged(TORN))
    found = run("stats", "--from", path)
    assert found.exit_code == 3
    assert "closes" not in found.output
    assert "without 1 file that cannot be read" in found.output
    assert "Cannot be read: demo-4711/ring-00001: the file is cut short" in found.output
    (told,) = json.loads(run("stats", "--from", path, "--json").stdout)["damage"]
    assert told["file"] == "ring-00001"


def test_stats_of_a_session_whose_only_ring_is_damaged_tells_of_it(
    run: Run, export: Export
) -> None:
    """R1.53 A ledger that cannot be read is no source without a ledger."""
    found = run("stats", "--from", export(damaged(TORN, events=(), rings=())))
    assert found.exit_code == 3
    assert "keeps no ledger" not in found.output
    assert "Cannot be read: demo-4711/ring-00001" in found.output


@pytest.mark.parametrize("strict", [False, True])
def test_a_chain_in_a_damaged_session_is_not_known_to_be_complete(
    run: Run, export: Export, strict: bool
) -> None:
    """R5.11 What looks complete may lack events; the gap names the file."""
    arguments = ["--from", export(damaged(TORN)), *(["--strict"] if strict else [])]
    found = run("why", "req-1", *arguments)
    assert found.exit_code == 3
    assert f"{'incomplete' if strict else 'unknown'}: 4 of 4 required" in found.output
    assert "Gaps    events of this chain may be missing (damaged: ring-00001" in found.output


def test_a_chain_without_a_contract_tells_of_the_damage_too(run: Run, export: Export) -> None:
    """R5.11 No contract is needed to know that something may be missing."""
    source = Recording((event("tick"),), (), (session(),), (ledger([event("tick")]),), (), (TORN,))
    found = run("why", "--from", export(source))
    assert found.exit_code == 3
    assert "cannot be read: the file is cut short" in " ".join(found.output.split())


def test_damage_elsewhere_touches_no_chain(run: Run, export: Export) -> None:
    """R5.11 Another session's ring and the log of gates hold no events of this chain."""
    elsewhere = damaged(Damage("other", "ring-00000", "?"), Damage("demo-4711", "gates", "?"))
    found = run("why", "req-1", "--from", export(elsewhere))
    assert (found.exit_code, "Gaps" in found.output) == (0, False)


def test_an_export_carries_the_damage_on(run: Run, export: Export, tmp_path: Path) -> None:
    """R1.49 Nobody downstream takes the part for the whole."""
    path, copy = export(damaged(TORN)), tmp_path / "copy.json"
    found = run("export", "--from", path, "-o", copy)
    assert found.exit_code == 3
    assert "Cannot be read: demo-4711/ring-00001" in found.stderr
    assert read_json_export(copy).damage == (TORN,)
    assert "damage" not in json.loads(export(damaged()).read_text())
