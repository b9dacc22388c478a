"""The page about lineage names all there is, and shows a root, one parent and several."""

from __future__ import annotations

import re
from pathlib import Path

from whence import lineage

PAGE = (Path(__file__).parents[2] / "docs" / "lineage.md").read_text()


def test_the_page_names_all_that_the_room_offers() -> None:
    """R2.32 Node ids, attaching and every other public name can be looked up; epochs too."""
    assert [name for name in lineage.__all__ if not re.search(rf"\b{name}\b", PAGE)] == []
    assert "begins a new epoch" in PAGE


def test_the_first_program_shows_all_three_rules() -> None:
    """R2.31 A root, a stage of one input and a join; tests/test_docs.py runs it."""
    program = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    assert all(f"line.{verb}(" in program for verb in ("root", "reuse", "join"))
