"""Makes recorded text harmless to a terminal, and cuts and wraps it by the cells it fills."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from rich.cells import cell_len, chop_cells

__all__ = ["clip", "pad", "safe", "wrap"]

# Printable to Python, and yet blank on a terminal: fillers, and all that Unicode calls ignorable
# by default, such as variation selectors. Marks that show on their letter are not among them.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U0001d159").union(
    *(map(chr, range(first, last + 1)) for first, last in ((0x180B, 0x180F), (0xFE00, 0xFE0F)))
)
_IGNORABLE_PLANE = range(0xE0000, 0xE1000)
_CUT = "…"


def safe(text: str) -> str:
    """The text with all that could move, hide or recolour its surroundings made visible.

    Controls, formats (bidirectional ones among them), separators, variation selectors and others
    that nobody sees, private and unassigned characters and halves of surrogate pairs become
    escapes such as \\x1b or \\u202e, other spaces a plain space.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(letter) for letter in text)


def clip(text: str, cells: int) -> str:
    """The safe text, cut to at most that many cells; an ellipsis shows the cut."""
    # no more characters than this: marks that fill no cell must not pile up
    short = safe(text[: 2 * cells])
    if cell_len(short) <= cells and len(text) <= 2 * cells:
        return short
    whole = chop_cells(short, cells - 1)[0].rstrip() if cells > 1 else ""
    return (whole if cell_len(whole) < cells else "") + _CUT


def pad(text: str, cells: int, *, right: bool = False) -> str:
    """The text filled up with spaces, before it if `right`."""
    spaces = " " * (cells - cell_len(text))
    return spaces + text if right else text + spaces


def wrap(text: str, cells: int) -> list[str]:
    """The safe text in lines of at most that many cells, broken between words where it can be.

    Line breaks in the text stay line breaks; there is at least one line.
    """
    lines: list[str] = []
    for paragraph in text.replace("\r\n", "\n").split("\n"):
        lines.extend(_filled(safe(paragraph.expandtabs(4)), cells))
    while len(lines) > 1 and not lines[-1]:
        lines.pop()
    return lines or [""]


def _filled(text: str, cells: int) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        candidate = f"{line} {word}" if line else word
        if cell_len(candidate) <= cells:
            line = candidate
            continue
        if line:
            yield line
        *full, line = chop_cells(word, cells) or [""]
        yield from full
    yield line


def _escaped(letter: str) -> str:
    number = ord(letter)
    if letter.isprintable() and letter not in _INVISIBLE and number not in _IGNORABLE_PLANE:
        return letter
    if unicodedata.category(letter) == "Zs":
        return " "
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
