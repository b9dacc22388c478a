"""Shows answers in notebooks: small HTML without scripts, in which recorded text is only text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

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
from whence.query.contracts.finding import gap_text
from whence.query.contracts.verdict_words import flaw_lines, group_cells, notes, verdict_cells
from whence.query.contracts.verify import Verification
from whence.query.from_to import end_text, way_text
from whence.query.safe import safe
from whence.query.why import Answer, StoryRow
from whence.query.words import clock_text, count_text, label_text, value_text

__all__ = ["answer_page", "verification_page"]

_MOST_ROWS = 200
_MOST_GROUPS = 10
_MOST_FLAWS = 5
_LONGEST = 2_000  # characters of one sentence

_RED, _DIM = "color:#c00", "opacity:.65"
_COLOURS = {"complete": "color:#080", "incomplete": _RED, "unknown": "color:#a60"}
_CELL = "text-align:left;vertical-align:top;padding:0 1em 0 0"


def answer_page(answer: Answer) -> str:
    """The answer in the order of `whence why`; of a long story the beginning and the end."""
    outcome = answer.outcome
    verdict = _styled("b", outcome.text, _RED if outcome.wrong else "")
    head = [_styled("b", answer.name), _text(answer.model_id), verdict]
    head += [_text(when_text(answer)), _text(process_text(answer))]
    lines = [" &nbsp; ".join(part for part in head if part)]
    if answer.time_went:
        lines.append(f"{_label('Time went')}{_text(time_text(answer))}")
    if path := path_text(answer):
        lines.append(f"{_label('Critical path')}{_text(path)}")
    parts = [_lines(lines), _story([row for row in answer.story if not row.told])]
    lines = []
    for one in answer.lineage:
        if len(one.before) > 1:
            lines.append(_label("From") + _text(way_text(one)))
        lines += [_label("To") + _text(end_text(end)) for end in one.after]
        if one.more:
            lines.append(_label("To") + _text(f"and {one.more} more"))
    lines += [
        _label("Chain") + _styled("span", text, _COLOURS.get(verdict, ""))
        for verdict, text in chain_texts(answer)
    ]
    lines += [_label("Told") + _text(text) for text in told_texts(answer)]
    lines += [_label("Gap") + _text(gap_text(gap)) for gap in answer.gaps]
    lines += [_label("Next") + _styled("code", command) for command in answer.next_commands]
    return _box([*parts, _lines(lines)])


def verification_page(found: Verification) -> str:
    """The verdict of each contract, what its chains lack and why, and what else is to be known."""
    parts = []
    for verdict in found.contracts:
        *cells, word = verdict_cells(verdict)
        counts = [_styled("b", cells[0]), *map(_text, cells[1:])]
        counts.append(_styled("b", word, _COLOURS[verdict.verdict]))
        parts.append(_lines([" &nbsp; ".join(counts)]))
        groups = verdict.groups[:_MOST_GROUPS]
        rows = [group_cells(group, clock_text(group.wall_ns)) for group in groups]
        parts.append(_table(map(_cells, rows)))
        told = (text for flaw in verdict.flaws[:_MOST_FLAWS] for text in flaw_lines(flaw))
        parts.append(_lines(_styled("span", text, _DIM) for text in told))
        more = verdict.chains - verdict.complete - min(len(verdict.flaws), _MOST_FLAWS)
        if more:
            parts.append(_lines([_text(f"and {count_text(more)} more")]))
    lines = [_styled("span", note, _DIM) for note in notes(found)]
    if found.first:
        lines.append(_label("First") + _styled("code", found.first))
    return _box([*parts, _lines(lines)])


def _story(story: Sequence[StoryRow]) -> str:
    unit = story_unit(story)
    rows = [_row(row, unit) for row in story]
    if len(rows) > _MOST_ROWS:
        half, left_out = _MOST_ROWS // 2, len(rows) - _MOST_ROWS
        told = _cells(["", "", "", f"… {count_text(left_out)} more events"])
        rows = [*rows[:half], told, *rows[half + left_out :]]
    return _table(rows)


def _row(row: StoryRow, unit: str) -> str:
    mark = ">" if row.asked else "!" if row.wrong else ""
    name = f"{'  ' * min(row.depth, 5)}{row.event_type}"
    said = _styled("span", row.sentence, _RED if row.wrong else "") + _options(row.options)
    cells = [f"{mark}{row_offset(row, unit)}", str(row.pid) if row.pid else "", name]
    return f'{_cells(cells)}<td style="{_CELL}">{said}</td>'


def _options(options: Sequence[Option]) -> str:
    if not options:
        return ""
    names = list(dict.fromkeys(name for option in options for name in option.scores))
    head = [_cells(["", "", *map(label_text, names)])] if names else []
    rows = (
        _cells(
            [
                "chosen" if option.chosen else "not",
                option.name,
                *(_score(option, name) for name in names),
                option.reason,
            ]
        )
        for option in options
    )
    return _table([*head, *rows])


def _score(option: Option, name: str) -> str:
    return value_text(name, option.scores[name]) if name in option.scores else "-"


def _box(parts: Iterable[str]) -> str:
    inside = "".join(part for part in parts if part)
    return f'<div style="font-family:monospace;font-size:13px;line-height:1.45">{inside}</div>'


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"<div>{line}</div>" for line in lines)


def _table(rows: Iterable[str]) -> str:
    inside = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table style="border:0;font:inherit">{inside}</table>' if inside else ""


def _cells(texts: Iterable[str]) -> str:
    return "".join(f'<td style="{_CELL};white-space:pre">{_text(text)}</td>' for text in texts)


def _label(text: str) -> str:
    return _styled("span", f"{text} ", _DIM)


def _styled(tag: str, text: str, style: str = "") -> str:
    shown = f' style="{style}"' if style else ""
    return f"<{tag}{shown}>{_text(text)}</{tag}>" if text else ""


def _text(text: str) -> str:
    """Recorded text as text: neither markup nor what could hide or turn round its surroundings."""
    long = len(text) > _LONGEST
    return escape(safe(text[:_LONGEST])) + ("…" if long else "")
