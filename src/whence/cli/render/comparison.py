"""Prints two chains beside each other: verdicts, times, steps, what differs, and a last word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from whence.cli.render.page import clock_text, line, page_cells, table
from whence.cli.render.safe import clip, pad, wrap
from whence.query.answer_words import cut
from whence.query.compare import Comparison, Difference, Side, Step, StepSide, TimePair
from whence.query.words import count_text, duration_text, listed, offset_text, offset_unit

__all__ = ["comparison_lines"]

_MARKS = {"same": " ", "differs": "!", "only a": "-", "only b": "+"}
_STYLES = {"same": "", "differs": "yellow", "only a": "red", "only b": "green"}
_MOST_TYPE_CELLS = 36
_FIELD_CELLS = 18
_MOST_SPANS = 12
_LONGEST = 1_000  # characters of one value; --json has all


def comparison_lines(found: Comparison, most_steps: int = 200) -> Iterator[Text]:
    """The comparison in lines of at most 100 cells; the steps beyond so many are counted."""
    yield from _side("A", found.a)
    yield from _side("B", found.b)
    yield line()
    yield from _times("time went", found.time_went)
    if found.path:
        yield line()
        yield from _times("critical path", found.path[:_MOST_SPANS])
        if len(found.path) > _MOST_SPANS:
            more = count_text(len(found.path) - _MOST_SPANS)
            yield line((f"  … {more} more spans: --json", "dim"))
    yield line()
    shown = found.steps[:most_steps] if most_steps else found.steps
    yield from _steps(shown, found.steps)
    if len(shown) < len(found.steps):
        more = count_text(len(found.steps) - len(shown))
        yield line((f"  … {more} more steps: --limit 0 shows them", "dim"))
    yield line()
    for part in wrap(_last_word(found), page_cells()):
        yield line((part, "bold"))
    for name, side in (("A", found.a), ("B", found.b)):
        if not side.complete:
            text = f"{name} may lack steps, or lacks some: whence why says which, and why"
            yield line((text, "yellow"))


def _side(label: str, side: Side) -> Iterator[Text]:
    left = "  ".join(filter(None, (clip(side.name, 48), clip(side.model_id, 24))))
    who = ", ".join(filter(None, (clip(side.service, 30), f"pid {side.pid}" if side.pid else "")))
    right = "  ".join(filter(None, (clock_text(side.wall_ns), who)))
    style = "bold red" if side.outcome.wrong else "bold"
    room = page_cells() - cell_len(left) - 5
    verdict = clip(side.outcome.text, max(room, 20))
    fits = 3 + cell_len(left) + cell_len(verdict) + cell_len(right) + 6 <= page_cells()
    yield line((f"{label}  ", "bold"), left, "  ", (verdict, style), f"    {right}" if fits else "")
    if not fits and right:
        yield line(f"   {right}")


def _times(title: str, pairs: Sequence[TimePair]) -> Iterator[Text]:
    rows = []
    for pair in pairs:
        a, b = ("-" if ns is None else duration_text(ns) for ns in (pair.a_ns, pair.b_ns))
        more = ""
        if pair.a_ns is not None and pair.b_ns is not None:
            more = _signed(pair.b_ns - pair.a_ns)
        rows.append((pair.name, a, b, more))
    yield from table((title, "A", "B", "B - A"), rows)


def _signed(ns: int) -> str:
    return f"+{duration_text(ns)}" if ns > 0 else duration_text(ns)


def _steps(shown: Sequence[Step], every: Sequence[Step]) -> Iterator[Text]:
    sides = [side for step in every for side in (step.a, step.b) if side is not None]
    # what was told hours later must not put all the others into hours
    usual = sorted(abs(side.offset_ns) for side in sides)
    unit = offset_unit(usual[len(usual) * 9 // 10] if usual else 0)
    cells = [
        [
            clip(step.event_type, _MOST_TYPE_CELLS),
            *("" if s is None else offset_text(s.offset_ns, unit) for s in (step.a, step.b)),
            *(_took(s) for s in (step.a, step.b)),
        ]
        for step in shown
    ]
    head = ["step", "A", "B", "A took", "B took"]
    if not any(side.duration_ns for side in sides):
        head, cells = head[:3], [row[:3] for row in cells]
    widths = [max(map(cell_len, column)) for column in zip(head, *cells, strict=True)]
    yield line((f"  {_columns(head, widths)}", "bold"))
    for step, row in zip(shown, cells, strict=True):
        start = f"{_MARKS[step.kind]} {_columns(row, widths)}"
        only = step.a if step.b is None else step.b if step.a is None else None
        room = page_cells() - cell_len(start) - 2
        sentence = clip(only.sentence, room) if only is not None and room > 10 else ""
        yield line((start, _STYLES[step.kind]), f"  {sentence}")
        yield from _differences(step.differences)


def _took(side: StepSide | None) -> str:
    return duration_text(side.duration_ns) if side is not None and side.duration_ns else ""


def _columns(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (pad(c, w, right=at > 0) for at, (c, w) in enumerate(zip(cells, widths, strict=True)))
    return "  ".join(padded)


def _differences(differences: Sequence[Difference]) -> Iterator[Text]:
    """Both values below each other, of every field that differs by more than time."""
    for difference in differences:
        if difference.only_time:
            continue
        label = pad(clip(difference.field, _FIELD_CELLS), _FIELD_CELLS)
        for name, value in (("A", difference.a), ("B", difference.b)):
            head = f"      {label}  {name}  "
            text = "-" if value is None else cut(value, _LONGEST)
            for part in wrap(text, page_cells() - cell_len(head)):
                yield line((head, "dim"), part)
                head = " " * cell_len(head)
            label = " " * _FIELD_CELLS


def _last_word(found: Comparison) -> str:
    if found.same:
        return "Same: the same steps in the same order, with the same values; times may differ."
    said = []
    if not found.same_outcome:
        said.append("the outcome")
    if count := found.count("differs"):
        said.append(f"{_steps_text(count)} with other values")
    for kind, name in (("only a", "A"), ("only b", "B")):
        if count := found.count(kind):
            said.append(f"{_steps_text(count)} in {name} alone")
    return f"Different: {listed(said)}; {_steps_text(found.count('same'))} the same."


def _steps_text(count: int) -> str:
    return f"{count_text(count)} step{'' if count == 1 else 's'}"
