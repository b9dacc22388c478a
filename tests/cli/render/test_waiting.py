"""A question that takes long says so on a terminal, and nowhere else."""

from __future__ import annotations

import io
import sys
import time

import pytest

from whence.cli.render import waiting as room
from whence.cli.render.waiting import waiting


class Screen(io.StringIO):
    """Standard error that is a terminal, or is none."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        """As it was made."""
        return self._terminal


@pytest.mark.parametrize("terminal", [True, False])
def test_only_a_terminal_is_told_to_wait(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """R4.7 After a moment a line says what is going on; a pipe gets nothing."""
    screen = Screen(terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(room, "PATIENCE_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with waiting("asking the store"):
        deadline = time.monotonic() + 20
        while terminal and "asking" not in screen.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert ("asking the store" in screen.getvalue()) == terminal


def test_a_quick_answer_is_not_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    """R4.7 Within a moment nothing is said."""
    screen = Screen(True)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(room, "PATIENCE_S", 60.0)
    with waiting("asking the store"):
        pass
    assert screen.getvalue() == ""
