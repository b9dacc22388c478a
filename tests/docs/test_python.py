"""The page of Python names lists every name, error and setting that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import whence
from whence.model import errors

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text()
_FIRST_CELL = re.compile(r"^\| (.+?) \|", re.MULTILINE)


def test_every_public_name_is_in_a_table() -> None:
    """Whatever `import whence` offers can be looked up by what it is for. R0.1"""
    named = set(re.findall(r"`(\w+)`", " ".join(_FIRST_CELL.findall(PAGE))))
    assert set(whence.__all__) - named == set()


@pytest.mark.parametrize("name", errors.__all__)
def test_every_named_error_is_in_the_table(name: str) -> None:
    """Each one says what else it is, and can be caught as whence.WhenceError."""
    raised = getattr(errors, name)
    assert issubclass(raised, whence.WhenceError)
    row = re.search(rf"^\| `{name}` \| .+ \| *(?:`(\w+)` )?\|$", PAGE, re.MULTILINE)
    assert row is not None
    bases = {base.__name__ for base in raised.__bases__}
    assert bases - {"WhenceError", "Exception"} == ({row[1]} if row[1] else set())


def test_every_setting_that_is_read_is_in_the_table() -> None:
    """Environment variables of ours that the sources name are all explained."""
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "native" / "whence").glob("*.hpp")]
    files += (ROOT / "native" / "python").glob("*.[ch]pp")
    read = set(re.findall(r'"(WHENCE_[A-Z_]+)"', "\n".join(path.read_text() for path in files)))
    assert "WHENCE_DIR" in read
    assert {name for name in read if f"`{name}`" not in PAGE} == set()
