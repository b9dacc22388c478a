"""Puts lines on the terminal: styled where it shows colours, the same words where not."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterable, Sequence

import click
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from whence.cli.render.safe import clip, pad, safe
from whence.query.plain import plain
from whence.query.words import clock_text

__all__ = [
    "clock_text",
    "escape_unencodable",
    "line",
    "page_cells",
    "print_json",
    "print_lines",
    "require_output",
    "table",
]

_LEAST_PAGE, _MOST_PAGE = 60, 100

_LEAST_CELLS = 12

Part = str | tuple[str, str]  # text, or (text, style); the text is safe already


def line(*parts: Part) -> Text:
    """One line out of its parts."""
    text = Text(end="")
    for part in parts:
        if isinstance(part, str):
            text.append(part)
        else:
            text.append(part[0], style=part[1])
    text.rstrip()
    return text


def page_cells() -> int:
    """How wide lines may be: as the terminal, between 60 and 100 cells; 100 where there is none."""
    try:
        columns = os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError, AttributeError):  # a file, a pipe, a stand-in
        return _MOST_PAGE
    return min(max(columns, _LEAST_PAGE), _MOST_PAGE) if columns else _MOST_PAGE


def print_lines(lines: Iterable[Text], *, err: bool = False) -> None:
    """Print lines as they are, without wrapping and without reading markup in them."""
    console = Console(
        stderr=err, soft_wrap=True, highlight=False, markup=False, emoji=False, width=_MOST_PAGE
    )
    if not err:
        require_output()
    for text in lines:
        console.print(text, soft_wrap=True)


def print_json(value: object, *, indent: int | None = 2) -> None:
    """Print a value as JSON in ASCII, which no recorded text can break out of."""
    require_output()
    click.echo(json.dumps(plain(value), indent=indent, allow_nan=False))


def require_output() -> None:
    """OSError if this process was started without a standard output: an answer would be lost."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, left: Iterable[int] = (0,)
) -> list[Text]:
    """Lines of aligned columns; those numbered in `left` begin at the left, others end right.

    Columns on the left give way where a line would be wider than the page.
    """
    cells = [[safe(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    lefts = frozenset(left)
    _narrow(widths, lefts)
    lines = []
    for number, row in enumerate(cells):
        padded = [
            pad(clip(cell, width), width, right=at not in lefts)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        text = "  ".join(padded).rstrip()
        lines.append(line((text, "bold") if number == 0 else text))
    return lines


def _narrow(widths: list[int], lefts: frozenset[int]) -> None:
    """Take from the widest of the left columns until a line fits, but leave each some cells."""
    excess = sum(widths) + 2 * (len(widths) - 1) - page_cells()
    while excess > 0 and lefts:
        widest = max(lefts, key=lambda at: widths[at])
        if widths[widest] <= _LEAST_CELLS:
            return
        widths[widest] -= 1
        excess -= 1


def escape_unencodable() -> None:
    """Let output that the terminal's encoding lacks appear as escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="backslashreplace")
