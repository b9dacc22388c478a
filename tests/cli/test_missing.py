"""Kinds without a name and rings without a file: every command that counts says how many."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.apps import AppRun

Run = Callable[..., Result]
RunApp = Callable[..., AppRun]

KINDS = "2 kinds without a name: their events are unknown-kind-N"
RINGS = "1 ring in memory only"


@pytest.fixture
def session_dir(run_app: RunApp, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dead session whose control page counts two such kinds and one such ring."""
    made = run_app("import whence; whence.kind('tick', component='C', n=int)(1)").session_dir
    with open(made / "control", "r+b") as control:
        control.seek(0x38)
        control.write(struct.pack("<II", 2, 1))
    monkeypatch.setenv("WHENCE_DIR", str(made.parent))
    return made


def test_ls_stats_and_recover_tell_what_is_missing(
    session_dir: Path, run: Run, tmp_path: Path
) -> None:
    """R0.22 R1.53 In words, and in the JSON of each session."""
    target = tmp_path / "out.json"
    for arguments in (
        ("ls",),
        ("stats", "--from", session_dir),
        ("recover", session_dir, "-o", target),
    ):
        found = run(*arguments)
        assert KINDS in found.output, arguments
        assert f"{RINGS}: their events are gone" in found.output, arguments
        (told,) = json.loads(run(*arguments, "--json").stdout)["sessions"]
        assert (told["unnamed_kinds"], told["memory_rings"]) == (2, 1), arguments


def test_an_export_carries_the_counts_on(session_dir: Path, run: Run, tmp_path: Path) -> None:
    """R1.53 Read back they are the same; what became of a ring's events nobody claims then."""
    target = tmp_path / "out.json"
    run("recover", session_dir, "-o", target)
    found = run("stats", "--from", target)
    assert KINDS in found.output
    assert f"{RINGS}\n" in found.output


def test_a_live_session_s_rings_end_with_it(run_app: RunApp) -> None:
    """R0.22 Asked while the process runs, in words of what will be."""
    told = run_app("""
        import subprocess, sys, whence
        session = whence.start()
        with open(session.path / "control", "r+b") as control:
            control.seek(0x3C)
            control.write(b"\\3")
        command = [sys.executable, "-m", "whence", "ls"]
        print(subprocess.run(command, capture_output=True, text=True).stdout)
    """)
    assert "3 rings in memory only: their events end with the process" in told.stdout


def test_nothing_is_said_where_nothing_is_missing(run_app: RunApp, run: Run) -> None:
    """R1.53 No line of zeros."""
    made = run_app("import whence; whence.kind('tick', component='C', n=int)(1)").session_dir
    found = run("stats", "--from", made)
    assert "in memory only" not in found.output
    assert "without a name" not in found.output
