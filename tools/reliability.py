"""Counts what docs/reliability.md names: its test files, the tests in them, and the attack inputs.

Usage: python tools/reliability.py. Prints one line for each section of the page.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["PAGE", "ROOT", "named", "tests_of"]

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
_LINK = re.compile(r"\]\((\.\./(?:tests|native)/[^)#]+)\)")
_TEST = re.compile(r"^(?:async )?def test_\w+\(", re.MULTILINE)
_SCENE = re.compile(r"check::scene\(")


def named(text: str) -> list[Path]:
    """The test files that a text links to, each once."""
    return sorted({(PAGE.parent / link).resolve() for link in _LINK.findall(text)})


def tests_of(path: Path) -> int:
    """How many tests a file of tests has."""
    found = _TEST if path.suffix == ".py" else _SCENE
    return len(found.findall(path.read_text()))


def main() -> None:
    """One line for each section, and one for all."""
    text = PAGE.read_text()
    for section in text.split("\n## ")[1:]:
        files = named(section)
        if files:
            title = section.partition("\n")[0]
            faults = len(re.findall(r"^\| (?!what happens)[^|-]", section, re.MULTILINE))
            print(
                f"{title}: {faults} faults, {sum(map(tests_of, files))} tests in {len(files)} files"
            )
    files = named(text)
    print(f"all: {sum(map(tests_of, files))} tests in {len(files)} files")


if __name__ == "__main__":
    main()
