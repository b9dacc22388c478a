"""Prints what processes are doing: the line above, and a row for each process, type, failure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from whence.cli.render.page import clock_text, line, table
from whence.cli.render.safe import clip, safe
from whence.model.event import TraceEvent
from whence.query.activity import (
    RECORDING,
    SILENT,
    Activity,
    KindActivity,
    ProcessActivity,
)
from whence.query.words import count_text, duration_text, event_sentence

__all__ = [
    "FAILURE_HEADER",
    "KIND_HEADER",
    "PROCESS_HEADER",
    "activity_lines",
    "failure_cells",
    "headline",
    "kind_cells",
    "process_cells",
    "rate_lines",
    "rate_text",
    "state_style",
]

PROCESS_HEADER = (
    "pid",
    "service",
    "threads",
    "events/s",
    "ring",
    "lost",
    "sampled out",
    "last event",
    "state",
)
KIND_HEADER = ("event type", "component", "events/s", "sampled", "errors")
FAILURE_HEADER = ("time", "pid", "event type", "request", "rationale")
_MOST_CELLS = 60


def headline(found: Activity) -> Text:
    """Run, processes, events and losses a second, and how far the collector is behind."""
    run = found.runs[0] if len(found.runs) == 1 else f"{len(found.runs)} runs"
    live = sum(each.state in (RECORDING, SILENT) for each in found.processes)
    lost = found.lost_per_s
    nobody = "" if found.behind is not None or not lost else " (nobody collects)"
    lost_text = f"{rate_text(lost)} lost/s{nobody}"
    behind = "no collector" if found.behind is None else f"{count_text(found.behind)} to collect"
    return line(
        (f"run {safe(run)}" if len(found.runs) == 1 else run, "bold"),
        f"   {live} of {len(found.processes)} processes live",
        f"   {rate_text(found.events_per_s)} events/s   ",
        (lost_text, "bold red") if lost else lost_text,
        f"   {behind}",
    )


def process_cells(each: ProcessActivity) -> tuple[str, ...]:
    """One process under PROCESS_HEADER; safe text."""
    age = each.last_event_age_ns
    return (
        str(each.pid),
        clip(each.service or each.session, 16),
        str(each.threads),
        rate_text(each.events_per_s),
        f"{each.ring_fill:.0%}",
        count_text(each.lost),
        count_text(each.sampled_out),
        "-" if age is None else f"{duration_text(age)} ago",
        each.state if not each.damaged else f"{each.state}; damaged",
    )


def state_style(each: ProcessActivity) -> str:
    """How the state of a process is shown."""
    if each.damaged:
        return "bold red"
    return {RECORDING: "green", SILENT: "yellow"}.get(each.state, "dim")


def kind_cells(each: KindActivity, *, incomplete: bool = False) -> tuple[str, ...]:
    """One event type under KIND_HEADER; `incomplete`: there may be more errors than were seen."""
    if each.on is False:
        sampled = "off"
    elif each.on is None:
        sampled = "-"
    elif each.sample_rate is None:
        sampled = "differs"
    else:
        sampled = f"{each.sample_rate:.4g}"
    errors = count_text(each.errors) + ("+" if incomplete and each.errors else "")
    return (
        clip(each.event_type, 32),
        clip(each.component, 24),
        rate_text(each.events_per_s),
        sampled,
        errors,
    )


def failure_cells(
    event: TraceEvent, rationale: str, wall_ns: int | None, pid: int
) -> tuple[str, ...]:
    """One event that went wrong, under FAILURE_HEADER."""
    return (
        clock_text(wall_ns) or "-",
        str(pid),
        clip(event.event_type, 24),
        clip(event.request_id or "-", 24),
        clip(rationale or event_sentence(event), _MOST_CELLS),
    )


def rate_text(rate: float | None) -> str:
    """A rate a second: "-" where it is not known."""
    if rate is None:
        return "-"
    return count_text(round(rate)) if rate >= 10 or rate == 0 else f"{rate:.1f}"


def rate_lines(found: Activity) -> Iterator[Text]:
    """The line above, and a row for each event type with its rate."""
    yield headline(found)
    rows = [(*kind_cells(each)[:3], count_text(each.recorded)) for each in found.kinds]
    if rows:
        yield from table((*KIND_HEADER[:3], "recorded"), rows, left=(0, 1))


def activity_lines(
    found: Activity, failures: Sequence[tuple[str, ...]], *, incomplete: bool = False
) -> Iterator[Text]:
    """All of it once, for a page without a screen."""
    yield headline(found)
    yield line()
    rows = [process_cells(each) for each in found.processes]
    # a page is narrower than a screen: columns of nothing but zeros give way
    shown = [
        at
        for at, name in enumerate(PROCESS_HEADER)
        if name != "sampled out" or any(row[at] != "0" for row in rows)
    ]
    header = [PROCESS_HEADER[at] for at in shown]
    cells = [[row[at] for at in shown] for row in rows]
    yield from table(header, cells, left=(1, len(shown) - 1))
    if found.kinds:
        yield line()
        kinds = [kind_cells(each, incomplete=incomplete) for each in found.kinds]
        yield from table(KIND_HEADER, kinds, left=(0, 1))
    if failures:
        yield line()
        yield from table(FAILURE_HEADER, failures, left=(0, 2, 3, 4))
