"""The page that walks with an event names functions that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "life-of-an-event.md"


def test_functions_named_on_the_way_are_there() -> None:
    """Each `name()` of the page is a function of the sources."""
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "native" / "whence").glob("*.hpp")]
    files += (ROOT / "native" / "python").glob("*.[ch]pp")
    code = "\n".join(path.read_text() for path in files)
    named = set(re.findall(r"`(\w+)\(\)`", PAGE.read_text()))
    assert len(named) > 30
    assert [name for name in sorted(named) if not re.search(rf"\b{name}\(", code)] == []


def test_functions_are_in_the_files_that_are_named_for_them() -> None:
    """Where the page says that a function is in a file, it is there."""
    said = re.findall(r"`(\w+)\(\)`\s+(?:in|of)\s+`([\w/.]+)`", PAGE.read_text())
    assert len(said) > 25
    elsewhere = [
        (name, path)
        for name, path in said
        if not re.search(rf"\b{name}\(", (ROOT / path).read_text())
    ]
    assert elsewhere == []


def test_the_places_where_slots_are_touched_are_named() -> None:
    """A stranger finds the one file that stores slots and the one that loads them."""
    page = PAGE.read_text()
    assert "`native/whence/ring_writer.hpp`, the only file that stores" in page
    assert "`native/whence/ring_reader.hpp`, the only file that loads" in page
