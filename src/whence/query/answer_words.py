"""Puts the parts of an answer into words: the same in the terminal and in a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from whence.query.contracts.check import COMPLETE, ChainReport
from whence.query.critical_path import time_by_span
from whence.query.safe import safe
from whence.query.why import Answer, StoryRow
from whence.query.words import (
    clock_text,
    count_text,
    duration_text,
    events_text,
    offset_text,
    offset_unit,
)

__all__ = [
    "chain_texts",
    "cut",
    "path_text",
    "process_text",
    "row_offset",
    "story_unit",
    "time_text",
    "told_texts",
    "when_text",
]

_MOST_SERVICE = 30
_MOST_NAME = 40
_MOST_SPANS = 5


def when_text(answer: Answer) -> str:
    """When the chain began, by the clock on the wall; empty where that is unknown."""
    return clock_text(answer.wall_ns)


def process_text(answer: Answer) -> str:
    """The process that began the chain, and how many others there were."""
    process = cut(safe(answer.service), _MOST_SERVICE)
    if answer.pid:
        process += f"{', ' if process else ''}pid {answer.pid}"
    if answer.other_processes:
        process += f" and {answer.other_processes} more"
    return process


def time_text(answer: Answer) -> str:
    """Where the time went: waiting 31.6 ms · executing 15.0 ms."""
    unit = offset_unit(max((abs(share.duration_ns) for share in answer.time_went), default=0))
    return " · ".join(
        f"{share.name} {offset_text(share.duration_ns, unit).lstrip('+')}"
        for share in answer.time_went
    )


def path_text(answer: Answer) -> str:
    """The spans that the chain's length rests on, the longest first; empty for fewer than two."""
    times = time_by_span(answer.critical_path)
    if len(times) < 2:
        return ""
    named = sorted(times.items(), key=lambda pair: -pair[1])
    said = [f"{cut(name, _MOST_NAME)} {duration_text(ns)}" for name, ns in named[:_MOST_SPANS]]
    if len(named) > _MOST_SPANS:
        said.append(f"{count_text(len(named) - _MOST_SPANS)} more")
    return " · ".join(said)


def story_unit(story: Sequence[StoryRow]) -> str:
    """The unit of the offsets of a story."""
    return offset_unit(max((abs(row.offset_ns) for row in story if not row.told), default=0))


def row_offset(row: StoryRow, unit: str) -> str:
    """The offset of a row of the story."""
    if row.told and row.offset_ns >= 0:  # hours later, perhaps: in no unit of the others
        return f"+{duration_text(row.offset_ns)}"
    return offset_text(row.offset_ns, unit)


def chain_texts(answer: Answer) -> Iterator[tuple[str, str]]:
    """The verdict of each chain of the answer, and the sentence that says what was counted."""
    if not answer.reports:
        yield "", f"{events_text(answer.event_count)}; no contract covers them"
    for report in answer.reports:
        several = len(answer.reports) > 1
        prefix = f"{cut(report.chain_id, _MOST_NAME)}: " if several else ""
        yield report.verdict, prefix + _checked(report)


def told_texts(answer: Answer) -> Iterator[str]:
    """Outcomes told later, each with when and by whom."""
    for told in answer.told:
        when = "" if told.after_ns is None else f"{duration_text(told.after_ns)} later"
        by = cut(told.service, _MOST_SERVICE)
        who = ", ".join(part for part in (by, f"pid {told.pid}" if told.pid else "") if part)
        known = ", ".join(part for part in (when, who and f"by {who}") if part)
        yield f"outcome told later: {told.sentence}" + (f" ({known})" if known else "")


def cut(text: str, most: int) -> str:
    """The text, with an ellipsis if it is longer than that many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _checked(report: ChainReport) -> str:
    counts = f"{count_text(report.present)} of {count_text(report.required)}"
    there = report.verdict != COMPLETE and report.present == report.required
    but = ", but see the gaps" if there else ""  # a field is absent, or an order is not kept
    name = cut(report.contract, _MOST_NAME)
    return f'{report.verdict}: {counts} required by contract "{name}"{but}'
