"""Prints a verification: a line a contract, what its chains lack and why, and where to look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from whence.cli.render.page import clock_text, line, page_cells, table
from whence.cli.render.safe import clip, pad, wrap
from whence.query.contracts.verdict_words import (
    first_command,
    group_cells,
    notes,
    verdict_cells,
)
from whence.query.contracts.verify import Verdict, Verification
from whence.query.words import chains_text, count_text

__all__ = ["verification_lines"]

_MOST_GROUPS = 10
_SENTENCE_CELLS = 34
_STYLES = {"complete": "green", "incomplete": "bold red", "unknown": "yellow"}


def verification_lines(
    found: Verification,
    source_words: Sequence[str] | None = (),
    check_words: Sequence[str] = (),
) -> Iterator[Text]:
    """The lines, of at most 100 cells; of many reasons the most frequent ones."""
    cells = [verdict_cells(verdict) for verdict in found.contracts]
    name_cells = min(max((len(row[0]) for row in cells), default=0), 40)
    for verdict, (name, chains, complete, word) in zip(found.contracts, cells, strict=True):
        counts = f"  {pad(chains, 8, right=True)}  {complete}  "
        yield line(
            pad(clip(name, name_cells), name_cells), counts, (word, _STYLES[verdict.verdict])
        )
        yield from _groups(verdict)
    for note in notes(found):
        for part in wrap(note, page_cells()):
            yield line((part, "dim"))
    if command := first_command(found, source_words, check_words):
        yield line("First: ", clip(command, 10_000))


def _groups(verdict: Verdict) -> Iterator[Text]:
    groups = verdict.groups[:_MOST_GROUPS]
    rows = []
    for group in groups:
        clock = clock_text(group.wall_ns).partition(".")[0]
        count, sentence, *why = group_cells(group, clock)
        rows.append((f"  {count}", clip(sentence, _SENTENCE_CELLS), *why))
    if rows:
        yield from table(("", "", "", ""), rows, left=(1, 2, 3))[1:]
    more = verdict.ungrouped + sum(group.chains for group in verdict.groups[_MOST_GROUPS:])
    if more:
        kinds = len(verdict.groups) - len(groups)
        yield line(f"  and {chains_text(more)} more, for {count_text(kinds)} other reasons: --json")
