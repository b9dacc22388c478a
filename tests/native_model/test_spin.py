"""Runs the Promela model of kill and recovery under Spin, where Spin is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

MODEL = Path(__file__).resolve().parents[2] / "native" / "model" / "ring_crash.pml"
MUTANTS = re.findall(r"-D(\w+)", MODEL.read_text())

pytestmark = pytest.mark.skipif(
    shutil.which("spin") is None or shutil.which("gcc") is None,
    reason="needs spin (Debian: apt-get install spin) and gcc",
)


def verify(folder: Path, *defines: str) -> str:
    """Generate, compile and run the verifier; return what it prints."""
    flags = [f"-D{name}" for name in defines]
    subprocess.run(["spin", *flags, "-a", str(MODEL)], cwd=folder, check=True, capture_output=True)
    subprocess.run(["gcc", "-O1", "-w", "-DSAFETY", "-o", "pan", "pan.c"], cwd=folder, check=True)
    done = subprocess.run(
        ["./pan", "-m100000", "-n"], cwd=folder, check=False, capture_output=True, text=True
    )
    return done.stdout


def test_a_kill_at_any_step_loses_at_most_one_event_and_tears_none(tmp_path: Path) -> None:
    """All interleavings of writer, reader and kill keep every assertion. P3 P5 R5.1"""
    printed = verify(tmp_path)
    assert "errors: 0" in printed, printed
    assert "max search depth too small" not in printed


@pytest.mark.parametrize("mutant", MUTANTS)
def test_mutant_is_caught_by_spin(tmp_path: Path, mutant: str) -> None:
    """Each mutant, and the claim that nothing is ever lost, breaks an assertion. T43"""
    printed = verify(tmp_path, mutant)
    assert "assertion violated" in printed, printed


def test_the_model_names_its_mutants() -> None:
    """The list of mutants is read from the model's own head; it must not shrink."""
    assert len(MUTANTS) >= 8
