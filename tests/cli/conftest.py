"""What the tests of the command line share: a runner, files to ask, and sessions to read."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.cli.room import Room
from whence.cli.main import cli
from whence.export.json_export import write_recording
from whence.model.recording import Recording

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `whence` with arguments, in UTC, without colours."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("WHENCE_CONTRACTS", raising=False)

    def invoke(*arguments: object, **options: Any) -> Result:
        return CliRunner().invoke(
            cli, [str(a) for a in arguments], prog_name="whence", catch_exceptions=False, **options
        )

    return invoke


@pytest.fixture
def export(tmp_path: Path) -> Callable[[Recording], Path]:
    """Writes a recording to a file that --from reads."""

    def write(source: Recording) -> Path:
        path = tmp_path / "run.json"
        write_recording(path, source, 7)
        return path

    return write


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Room]:
    """Puts recordings made by hand in the place of this machine's sessions."""

    def furnish(*recordings: Recording) -> Room:
        furnished = Room(*recordings)
        monkeypatch.setitem(sys.modules, "whence.collect.sessions", furnished)
        return furnished

    return furnish
