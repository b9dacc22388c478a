"""Makes recorded text harmless to a terminal, and cuts and wraps it by the cells it fills."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len, chop_cells

from whence.query.safe import safe

__all__ = ["clip", "pad", "safe", "wrap"]

_CUT = "…"


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
