"""Builds a peer written in Go, with modules from the module proxy, or skips its test."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

__all__ = ["build"]


def build(source: Path, program: Path) -> Path:
    """`program`, built from the folder `source`."""
    built = subprocess.run(
        ["go", "build", "-o", str(program), "."], cwd=source, capture_output=True, text=True
    )
    if built.returncode != 0:
        pytest.skip(f"cannot be built here: {built.stderr[-200:]}")
    return program
