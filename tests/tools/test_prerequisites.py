"""The check before set-up names exactly what is missing, in one line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "prerequisites.sh"

# A python3 that is the real one but for what `case` calls missing.
STUB = """#!/bin/sh
case "$*" in {pattern}) exit 1 ;; esac
exec {python} "$@"
"""
NO_ENSUREPIP = "*ensurepip*"
NO_HEADERS = "-"
TOO_OLD = "*version_info*"


def stub(folder: Path, pattern: str, name: str = "python3") -> Path:
    """An interpreter that fails on calls of this shell pattern."""
    path = folder / name
    path.write_text(STUB.format(pattern=pattern, python=sys._base_executable))  # type: ignore[attr-defined]
    path.chmod(0o755)
    return path


def check(python: Path | str, compiler: str = "g++") -> subprocess.CompletedProcess[str]:
    """Run the check with this interpreter and compiler."""
    return subprocess.run(
        [str(SCRIPT), str(python)],
        env={**os.environ, "CXX": compiler},
        capture_output=True,
        text=True,
    )


def apt_line(finished: subprocess.CompletedProcess[str]) -> str:
    """The one line that says what to install."""
    (line,) = [line.strip() for line in finished.stderr.splitlines() if "apt" in line]
    return line


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs the compiler it looks for")
def test_nothing_is_said_where_everything_is_there() -> None:
    """A machine that can build whence passes in silence."""
    finished = check(sys.executable)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("pattern", "packages"),
    [(NO_ENSUREPIP, "python3-venv"), (NO_HEADERS, "python3-dev")],
)
def test_only_the_missing_package_is_named(tmp_path: Path, pattern: str, packages: str) -> None:
    """Missing headers or a missing ensurepip ask for one package each."""
    finished = check(stub(tmp_path, pattern))
    assert finished.returncode == 1
    assert apt_line(finished) == f"apt install {packages}"


def test_everything_missing_is_one_line(tmp_path: Path) -> None:
    """Compiler, headers and venv together are still one line to paste."""
    finished = check(stub(tmp_path, f"{NO_ENSUREPIP}|{NO_HEADERS}"), compiler="no-such-compiler")
    assert apt_line(finished) == "apt install g++ python3-dev python3-venv"


def test_packages_follow_the_name_of_the_interpreter(tmp_path: Path) -> None:
    """Debian names the headers of python3.12 python3.12-dev."""
    finished = check(stub(tmp_path, NO_HEADERS, name="python3.12"))
    assert apt_line(finished) == "apt install python3.12-dev"


def test_an_old_python_is_told_how_to_name_another(tmp_path: Path) -> None:
    """A Python before 3.11 is refused with the way to name a newer one."""
    finished = check(stub(tmp_path, TOO_OLD))
    assert finished.returncode == 1
    assert "make setup PYTHON=" in finished.stderr
