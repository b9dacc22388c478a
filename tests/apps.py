"""Runs a small program that records, in a process and a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from whence.collect.sessions import read_recording
from whence.model.recording import Recording
from whence.ring.folders import session_folders

__all__ = ["AppRun", "output_of", "run_program"]


@dataclass(frozen=True)
class AppRun:
    """A program that has ended, and the folder it recorded to."""

    whence_dir: Path
    returncode: int
    stdout: str
    stderr: str

    @property
    def session_dirs(self) -> list[Path]:
        """The folders of all its sessions, newest name first."""
        return list(session_folders(self.whence_dir))

    @property
    def session_dir(self) -> Path:
        """The folder of its only session."""
        (only,) = self.session_dirs
        return only

    def recording(self) -> Recording:
        """Everything that its sessions hold."""
        return read_recording(self.session_dirs)


def run_program(
    source: str, folder: Path, *, env: dict[str, str] | None = None, fails: bool = False
) -> AppRun:
    """Runs `source` as a script; its WHENCE_DIR is `folder`/whence. It must not fail unless told.

    `env` is added to the environment; variables that would change what is recorded are not
    inherited.
    """
    script = folder / "app.py"
    script.write_text(textwrap.dedent(source), encoding="utf-8")
    whence_dir = folder / "whence"
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WHENCE_", "OTEL_", "XDG_RUNTIME_DIR"))
    }
    finished = subprocess.run(
        [sys.executable, str(script)],
        env={**kept, "WHENCE_DIR": str(whence_dir), **(env or {})},
        capture_output=True,
        text=True,
        timeout=60,
    )
    run = AppRun(whence_dir, finished.returncode, finished.stdout, finished.stderr)
    assert fails or run.returncode == 0, run.stderr
    return run


def output_of(*words: str, whence_dir: Path, environment: Mapping[str, str] = os.environ) -> str:
    """What a Python process with these arguments prints; it works in the folder of `whence_dir`."""
    return subprocess.run(
        [sys.executable, *words],
        env={**environment, "WHENCE_DIR": str(whence_dir)},
        cwd=whence_dir.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
