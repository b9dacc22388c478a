"""Every form and mutant of the ring's protocol gets the verdict it must."""

from __future__ import annotations

import subprocess
import sys

import pytest
import run
from cases import CASES, Case
from crash_machine import Findings

SAFE = [case for case in CASES if case.safe]
MUTANTS = [case for case in CASES if not case.safe]
# rows of the table of orders, and what the text ring adds to them
REQUIRED = (
    *("A:", "C:", "D:", "G:", "H:", "J:", "M:"),
    *("text relaxed", "reader's text relaxed", "intent after the text", "intent not re-read"),
    *("final stamp relaxed", "name used before", "re-check against the head", "cursor jumps to"),
)


@pytest.mark.parametrize("case", SAFE, ids=lambda case: case.name)
def test_safe_form_is_safe(case: Case) -> None:
    """No outcome of a safe form breaks a promise, and all its answers do occur. R1.27

    P2: nothing torn is accepted. P3: lost is exact. P4: tickets in order. P5: what a kill leaves.
    P18: names resolve.
    """
    assert case.complaint(case.examine()) == ""


@pytest.mark.parametrize("case", MUTANTS, ids=lambda case: case.name)
def test_mutant_is_caught(case: Case) -> None:
    """A protocol with one wrong order, or one step out of place, is found unsafe. T43"""
    assert case.complaint(case.examine()) == ""


@pytest.mark.parametrize("name", REQUIRED)
def test_required_mutant_is_in_the_table(name: str) -> None:
    """No mutant that must be caught can drop out of the table unnoticed. T43"""
    assert [case.name for case in MUTANTS if case.name.startswith(name)] != []


def test_every_case_says_why() -> None:
    """Each row has a name of its own and a reason in one line."""
    assert len({case.name for case in CASES}) == len(CASES)
    assert [case.name for case in CASES if not case.reason or "\n" in case.reason] == []


def test_table_exits_1_when_a_mutant_is_not_caught(monkeypatch, capsys) -> None:
    """A checker that accepts everything is itself found wrong. T43"""
    blind = Case("blind", False, "finds nothing", Findings)
    monkeypatch.setattr(run, "CASES", [blind])
    assert run.main() == 1
    assert "mutant not caught" in capsys.readouterr().out


def test_table_exits_1_when_a_safe_form_breaks_or_shows_nothing(monkeypatch, capsys) -> None:
    """A safe form fails by a broken promise, and by never accepting anything."""
    broken = Case("broken", True, "tears", lambda: Findings(broken={"torn": "here"}))
    idle = Case("idle", True, "accepts nothing", Findings, frozenset({"whole"}))
    monkeypatch.setattr(run, "CASES", [broken, idle])
    assert run.main() == 1
    printed = capsys.readouterr().out
    assert "not safe" in printed
    assert "never seen: whole" in printed
    assert "2 not as expected" in printed


def test_table_runs_from_the_command_line() -> None:
    """`python native/model/run.py` prints every row and exits 0. T43"""
    done = subprocess.run(
        [sys.executable, run.__file__], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [case.name for case in CASES if case.name not in done.stdout] == []
