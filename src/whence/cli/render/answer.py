"""Prints the answer to why: verdict first, then time, story, chain, gaps, and what to type next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.cells import cell_len
from rich.text import Text

from whence.cli.render.page import line, page_cells
from whence.cli.render.safe import clip, pad, safe, wrap
from whence.model.event import Option
from whence.query.answer_words import (
    chain_texts,
    path_text,
    process_text,
    row_offset,
    story_unit,
    time_text,
    told_texts,
    when_text,
)
from whence.query.contracts.finding import Finding, gap_text
from whence.query.from_to import end_text, way_text
from whence.query.why import Answer, StoryRow
from whence.query.words import (
    count_text,
    label_text,
)
from whence.query.words import value_text as in_words

__all__ = ["answer_lines", "story_lines"]

_LABEL = 8  # cells of the labels before Chain, Gaps, Next
_MOST_TYPE_CELLS = 30
_MOST_GAPS = 8
_MOST_DEPTH = 5
_LEAST_SENTENCE_CELLS = 10
_MOST_SCORES = 3
_SCORE_CELLS = 12
_VERDICT_STYLES = {"complete": "green", "incomplete": "red", "unknown": "yellow"}


def answer_lines(answer: Answer, most_rows: int = 200) -> Iterator[Text]:
    """The answer in lines of at most 100 cells; of a longer story the beginning and the end."""
    yield from _verdict(answer)
    for label, text in (
        ("Time went   ", time_text(answer)),
        ("Critical path  ", path_text(answer)),
    ):
        head = label
        for part in wrap(text, page_cells() - len(label)) if text else ():
            yield line((head, "dim"), part)
            head = " " * len(label)
    yield line()
    happened = [row for row in answer.story if not row.told]
    yield from story_lines(happened, most_rows)
    if happened:
        yield line()
    for one in answer.lineage:
        if len(one.before) > 1:
            yield from _labelled("From", way_text(one))
        ends = [end_text(end) for end in one.after]
        yield from _labelled("To", *ends, *([f"and {one.more} more"] if one.more else []))
    for verdict, text in chain_texts(answer):
        yield from _labelled("Chain", text, style=_VERDICT_STYLES.get(verdict, ""))
    if answer.sampled:
        yield from _labelled("Sampled", answer.sampled.removeprefix("sampled "))
    yield from _labelled("Told", *told_texts(answer))
    yield from _gaps(answer.gaps)
    commands = [safe(command) for command in answer.next_commands]
    joined = " · ".join(commands)
    if commands:
        yield from _labelled(
            "Next", *([joined] if cell_len(joined) <= page_cells() - _LABEL else commands)
        )


def story_lines(story: Sequence[StoryRow], most_rows: int = 200) -> Iterator[Text]:
    """One row per event with its offset, type and sentence, and the options under a decision.

    Between offset and type stands the pid, where events of several processes are among them.
    """
    unit = story_unit(story)
    shown, left_out = list(story), 0
    if most_rows and len(story) > most_rows:
        head = most_rows // 2
        left_out = len(story) - most_rows
        shown = [*story[:head], *story[head + left_out :]]
    types = [
        clip(
            "  " * min(row.depth, _MOST_DEPTH) + row.event_type,
            min(_MOST_TYPE_CELLS, page_cells() // 3),
        )
        for row in shown
    ]
    pids = [f"{row.pid}  " if row.pid else "" for row in shown]
    pid_cells = max(map(len, pids), default=0)
    offsets = [row_offset(row, unit) for row in shown]
    type_cells = max(map(cell_len, types), default=0)
    offset_cells = max(map(len, offsets), default=0)
    for number, (row, name, offset, pid) in enumerate(
        zip(shown, types, offsets, pids, strict=True)
    ):
        if left_out and number == most_rows // 2:
            yield line((f"  … {count_text(left_out)} more events: --limit 0 shows them", "dim"))
        when = pad(offset, offset_cells, right=True)
        yield from _row(row, when, pad(pid, pid_cells, right=True), pad(name, type_cells))


def _verdict(answer: Answer) -> Iterator[Text]:
    outcome = answer.outcome
    left = [clip(answer.name, 48)]
    if answer.model_id:
        left.append(clip(answer.model_id, 24))
    name = clip("  ".join(left), page_cells() - 16)
    verdict = clip(outcome.text, page_cells() - cell_len(name) - 2)
    right = clip("  ".join(filter(None, (when_text(answer), process_text(answer)))), page_cells())
    style = "bold red" if outcome.wrong else "bold"
    fits = cell_len(name) + cell_len(verdict) + cell_len(right) + 6 <= page_cells()
    yield line(name, "  ", (verdict, style), f"    {right}" if fits else "")
    if not fits and right:
        yield line(right)


def _row(row: StoryRow, offset: str, pid: str, name: str) -> Iterator[Text]:
    mark = ">" if row.asked else "!" if row.wrong else " "
    head = f"{mark}{offset}  {pid}"
    cells = cell_len(head) + cell_len(name) + 2
    first, *rest = wrap(row.sentence, max(page_cells() - cells, _LEAST_SENTENCE_CELLS))
    style = "red" if row.wrong else ""
    yield line((head, "red" if mark == "!" else ""), (name, "cyan"), "  ", (first, style))
    for text in rest:
        yield line(" " * cells, (text, style))
    if row.options:
        yield from _options(row.options, " " * 13)


def _options(options: Sequence[Option], indent: str) -> Iterator[Text]:
    """A table: chosen or not, the option's name, its scores in columns, the reason."""
    scores, left_out = _shown_scores(options)
    header = ["", "", *(label_text(name) for name in scores)]
    rows = [
        [
            "chosen" if option.chosen else "not",
            option.name,
            *(_score(option.scores, name) for name in scores),
        ]
        for option in options
    ]
    taken = len(indent) + 8 + (_SCORE_CELLS + 2) * len(scores)
    name_cells = min(36, page_cells() - taken)
    cut = [
        [clip(cell, name_cells if at == 1 else _SCORE_CELLS) for at, cell in enumerate(row)]
        for row in (header, *rows)
    ]
    widths = [max(map(cell_len, column)) for column in zip(*cut, strict=True)]
    for number, row in enumerate(cut):
        cells = [pad(c, w, right=at > 1) for at, (c, w) in enumerate(zip(row, widths, strict=True))]
        text = indent + "  ".join(cells)
        if number:
            yield from _with_reason(text, options[number - 1])
        elif scores:
            yield line((text, "dim"))
    if left_out:
        yield line((f"{indent}and {left_out} more scores: --json", "dim"))


def _shown_scores(options: Sequence[Option]) -> tuple[list[str], int]:
    """The criteria that have room beside the options' names, and how many others there are."""
    scores = list(dict.fromkeys(name for option in options for name in option.scores))
    most = min(_MOST_SCORES, (page_cells() - 45) // (_SCORE_CELLS + 2))
    return scores[:most], len(scores[most:])


def _with_reason(text: str, option: Option) -> Iterator[Text]:
    style = "bold" if option.chosen else ""
    room = page_cells() - cell_len(text) - 2
    if not option.reason:
        yield line((text, style))
    elif room < 20:  # many scores: the reason goes below
        yield line((text, style))
        for part in wrap(option.reason, page_cells() - 21):
            yield line(" " * 21, part)
    else:
        first, *rest = wrap(option.reason, room)
        yield line((text, style), "  ", first)
        for part in rest:
            yield line(" " * (cell_len(text) + 2), part)


def _score(scores: Mapping[str, float], name: str) -> str:
    return in_words(name, scores[name]) if name in scores else "-"


def _gaps(gaps: Sequence[Finding]) -> Iterator[Text]:
    texts = [gap_text(gap) for gap in gaps[:_MOST_GAPS]]
    if len(gaps) > _MOST_GAPS:
        texts.append(f"and {count_text(len(gaps) - _MOST_GAPS)} more: --json")
    if texts:
        style = "" if all(gap.optional for gap in gaps) else "yellow"
        yield from _labelled("Gaps", *texts, style=style)


def _labelled(label: str, *texts: str, style: str = "") -> Iterator[Text]:
    for text in texts:
        for part in wrap(text, page_cells() - _LABEL):
            yield line((pad(label, _LABEL), "dim"), (part, style))
            label = ""
