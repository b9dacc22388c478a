"""Writes docs/features.md: every line of tools/features.toml with the tests that name it.

A Python test or benchmark names a line in its docstring (R0.9), a C++ test in a comment. `--check`
writes nothing and exits 1 when the page is stale.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["Line", "Mention", "collect", "lines", "main", "page"]

ROOT = Path(__file__).resolve().parent.parent
PAGE = Path("docs/features.md")
SHOWN = 3

_LINE = re.compile(r"\bR[0-5]\.\d+\b")
_COMMENT = re.compile(r"//[^\n]*|/\*[\s\S]*?\*/")


class Line(NamedTuple):
    """One line of the feature list, such as R0.9."""

    name: str
    text: str


class Mention(NamedTuple):
    """A test that names a line; `test` is empty where a whole C++ file is meant."""

    path: str
    test: str


def main(arguments: list[str]) -> int:
    """Write the page, or compare it with `--check`; the exit status."""
    fresh = page(ROOT)
    target = ROOT / PAGE
    if "--check" not in arguments:
        target.parent.mkdir(exist_ok=True)
        target.write_text(fresh, encoding="utf-8")
        return 0
    if target.exists() and target.read_text(encoding="utf-8") == fresh:
        return 0
    print(f"{PAGE} is stale: run `make docs`.", file=sys.stderr)
    return 1


def page(root: Path) -> str:
    """The page's text for the tree under `root`."""
    mentions = collect(root)
    groups = _groups(root)
    out = [
        "# Features",
        "",
        "Written by `tools/features.py` (`make docs`): what whence does, line by line, with the",
        "tests and benchmarks that name it. *later* means that none does yet.",
        "",
        "| group | about | lines with a test |",
        "|---|---|---|",
    ]
    for group, (title, members) in groups.items():
        tested = sum(1 for line in members if line.name in mentions)
        out.append(
            f"| [{group}](#{_anchor(group, title)}) | {title} | {tested} of {len(members)} |"
        )
    for group, (title, members) in groups.items():
        out += ["", f"## {group} {title}", "", "| line | what | tests |", "|---|---|---|"]
        out += [
            f"| {line.name} | {line.text} | {_tests(mentions.get(line.name, []))} |"
            for line in members
        ]
    return "\n".join(out) + "\n"


def lines(root: Path) -> list[Line]:
    """Every line of the feature list, in order."""
    return [line for _, members in _groups(root).values() for line in members]


def collect(root: Path) -> dict[str, list[Mention]]:
    """Which tests name which line: {"R0.9": [Mention, ...]}, sorted."""
    found: dict[str, set[Mention]] = {}
    for name, mention in [*_python_mentions(root), *_native_mentions(root)]:
        found.setdefault(name, set()).add(mention)
    return {name: sorted(mentions) for name, mentions in found.items()}


def _groups(root: Path) -> dict[str, tuple[str, list[Line]]]:
    with (root / "tools" / "features.toml").open("rb") as file:
        table = tomllib.load(file)
    return {
        group: (
            entries["title"],
            [Line(f"{group}.{key}", text) for key, text in entries.items() if key != "title"],
        )
        for group, entries in table.items()
    }


def _python_mentions(root: Path) -> Iterator[tuple[str, Mention]]:
    for path in sorted([*(root / "tests").rglob("*.py"), *(root / "benchmarks").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("test_") or path.parts[-2] == "benchmarks":
                mention = Mention(path.relative_to(root).as_posix(), node.name)
                for name in _LINE.findall(ast.get_docstring(node) or ""):
                    yield name, mention


def _native_mentions(root: Path) -> Iterator[tuple[str, Mention]]:
    for path in sorted((root / "native" / "tests").glob("*.cpp")):
        for comment in _COMMENT.findall(path.read_text(encoding="utf-8")):
            for name in _LINE.findall(comment):
                yield name, Mention(path.relative_to(root).as_posix(), "")


def _tests(mentions: list[Mention]) -> str:
    if not mentions:
        return "*later*"
    shown = [
        f"[{mention.test or Path(mention.path).name}](../{mention.path})"
        for mention in mentions[:SHOWN]
    ]
    if len(mentions) > SHOWN:
        shown.append("and more")
    return ", ".join(shown)


def _anchor(group: str, title: str) -> str:
    return f"{group} {title}".lower().replace(" ", "-")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
