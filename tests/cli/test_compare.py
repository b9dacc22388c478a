"""whence compare: what it prints, what it exits with, and where it reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from rich.cells import cell_len

from tests.query.build import event, inference_chain, late_chain, recording
from whence.export.json_export import write_recording
from whence.model.recording import Recording

Run = Callable[..., Result]
Export = Callable[[Recording], Path]

PAGE = """\
time went        A         B      B - A
waiting     4.0 ms   31.6 ms   +27.6 ms
executing  15.0 ms   15.0 ms       0 ns
other       1.0 ms  200.0 us  -800.0 us
in all     20.0 ms   46.8 ms   +26.8 ms
"""
STEPS = """\
+ scheduling_decision            +31.6 ms                    Selected ocr_rec: 8.4 ms to its deadli…
  execution_started     +5.0 ms  +31.8 ms
! execution_completed  +20.0 ms  +46.8 ms  15.0 ms  15.0 ms
      rationale           A  -
                          B  15.0 ms of 15.0 ms budget; deadline missed
      budget_ns           A  15.0 ms
                          B  -
      deadline_met        A  true
                          B  false
"""


def both() -> Recording:
    """A request in time, one just like it, and one that was late."""
    return recording(
        [
            *inference_chain(),
            *inference_chain("req-2", 300, first_ticket=60),
            *(replace(e, ticket=e.ticket + 30) for e in late_chain()),
        ]
    )


def test_two_chains_stand_side_by_side(run: Run, export: Export) -> None:
    """R5.14 Verdicts, times, steps and a last word, in 100 columns; exit 1 as they differ."""
    found = run("compare", "req-1", "0412", "--from", export(both()))
    assert found.exit_code == 1
    lines = found.output.splitlines()
    assert lines[0].startswith("A  req-1  ocr_rec  MET deadline (20.0 of 40.0 ms)")
    assert lines[1].startswith("B  req-000412  ocr_rec  LATE by 6.8 ms (46.8 of 40.0 ms)")
    assert PAGE in found.output
    assert STEPS in found.output
    assert "1 step in B alone" in found.output
    assert max(map(cell_len, lines)) <= 100


def test_what_is_the_same_exits_with_0(run: Run, export: Export) -> None:
    """R5.14 Times and ids of their own are no difference."""
    found = run("compare", "req-1", "req-2", "--from", export(both()))
    assert found.exit_code == 0
    assert "Same: the same steps" in found.output


def test_the_second_chain_may_be_elsewhere(run: Run, export: Export, tmp_path: Path) -> None:
    """R5.14 --from-b names the source of B: the same request, before and after."""
    other = tmp_path / "other.json"
    write_recording(other, recording(inference_chain()[:3]), 7)
    words = ("compare", "req-1", "req-1", "--from", export(both()), "--from-b", other, "--json")
    found = run(*words)
    assert found.exit_code == 1
    answer = json.loads(found.output)
    assert [step["kind"] for step in answer["steps"]] == ["same", "same", "same", "only a"]
    assert (answer["a"]["complete"], answer["b"]["complete"]) == (True, False)


def test_an_id_that_is_not_there_is_told(run: Run, export: Export) -> None:
    """R5.14 Exit 4 with the nearest ids, whichever of the two it is."""
    path = export(both())
    for a, b in (("req-1", "req-99"), ("req-99", "req-1")):
        found = run("compare", a, b, "--from", path)
        assert found.exit_code == 4
        assert "req-99" in found.output


def test_nothing_recorded_can_harm_a_terminal(run: Run, export: Export) -> None:
    """R5.14 Hostile texts are escaped, long ones wrapped, and many steps counted."""
    evil = "\x1b[2J\u202e" + "x" * 500
    events = [event("step", n, "a", ticket=n, rationale=f"{n}") for n in range(50)]
    events += [event("step", 0, "b", ticket=90, rationale=evil, attributes={evil: evil})]
    path = export(recording(events))
    text = run("compare", "a", "b", "--from", path, "--limit", "3").output
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert max(map(cell_len, text.splitlines())) <= 100
    assert "47 more steps: --limit 0 shows them" in text
    assert "more steps" not in run("compare", "a", "b", "--from", path, "--limit", "0").output


def test_chains_of_stores_are_compared(run: Run, export: Export, tmp_path: Path) -> None:
    """R5.14 R5.21 Both from one store, or one from an export; ids by their ends, as elsewhere."""
    pytest.importorskip("duckdb")
    from tests.query.stores import stored

    store = stored(tmp_path / "store", both())
    answers = [
        run("compare", *words).output
        for words in (
            ("req-1", "0412", "--from", store),
            ("req-1", "0412", "--from", store, "--from-b", export(both())),
            ("req-1", "0412", "--from", export(both())),
        )
    ]
    assert STEPS in answers[0]
    assert answers[0] == answers[1] == answers[2]
    assert run("compare", "req-1", "req-99", "--from", store).exit_code == 4
