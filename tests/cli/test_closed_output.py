"""Output that cannot be written: one line and an exit code, whatever the command, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_sessions import record


def shell(command: str) -> subprocess.CompletedProcess[str]:
    """Runs the words after `whence` in a shell, which can close and redirect output."""
    return subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m whence {command}'],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"NO_COLOR": "1"},
        check=False,
    )


@pytest.mark.parametrize(
    "command", ["export", "why", "why --json", "ls --json", "stats", "stream --once"]
)
def test_a_closed_standard_output_is_told_in_one_line(whence_dir: Path, command: str) -> None:
    """R1.49 R5.11 Nothing is answered into nowhere with exit code 0."""
    record()
    found = shell(f"{command} >&-")
    assert found.returncode == 1
    assert found.stderr == "whence: standard output is closed\n"


@pytest.mark.parametrize(
    "command", ["export", "why", "why --json", "chain nonsense --json", "--help"]
)
def test_a_full_disk_is_told_in_one_line(whence_dir: Path, command: str) -> None:
    """R1.49 R5.11 The error of the system is said once; the interpreter's end adds nothing."""
    record()
    found = shell(f"{command} >/dev/full")
    assert found.returncode == 1
    assert found.stderr.count("\n") == 1
    assert found.stderr.startswith("whence: ")
    assert "No space left on device" in found.stderr


@pytest.mark.parametrize("command", ["export", "stream --once --json", "why --json"])
def test_a_reader_who_has_seen_enough_is_no_error(whence_dir: Path, command: str) -> None:
    """R1.49 R1.51 A pipe that closes ends the command silently."""
    record()
    found = shell(f"{command} | head -c 1")
    assert found.stderr == ""
