"""The examples run, and print what their `# >` lines say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

_EXPECTED = re.compile(r"^\s*# > ?(.*)$", re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_prints_what_it_says(example: Path, whence_dir: Path) -> None:
    """Each line that an example prints stands in it, after `# >`, in order. R0.1 R2.33"""
    finished = subprocess.run(
        [sys.executable, str(example)],
        env={**os.environ, "WHENCE_DIR": str(whence_dir)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    expected = _EXPECTED.findall(example.read_text())
    assert expected
    assert finished.stdout.splitlines() == expected


def test_every_example_is_named_in_a_page() -> None:
    """A reader finds the examples from the pages."""
    text = (ROOT / "docs" / "python.md").read_text()
    assert [path.name for path in EXAMPLES if f"`examples/{path.name}`" not in text] == []
