"""whence stats: the ledger of every ring and kind, and whether its sum closes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from whence.cli.asked import ledger_of
from whence.cli.filters import Picked, filter_options
from whence.cli.interval import seconds_of
from whence.cli.render.activity import rate_lines
from whence.cli.render.collected import collector_lines
from whence.cli.render.ledger import kind_totals, ledger_lines
from whence.cli.render.page import line, print_json, print_lines, table
from whence.cli.render.safe import safe
from whence.cli.sources import Choice, source_options
from whence.cli.verb import INCOMPLETE, Verb, json_option
from whence.collect.collectors import collectors_in
from whence.collect.live import LiveSessions
from whence.model.recording import Recording
from whence.query.activity import Activity, activity_of
from whence.query.words import count_text, events_text

__all__ = ["stats"]


@click.command(cls=Verb)
@source_options
@filter_options
@click.option(
    "--interval",
    "interval_s",
    callback=seconds_of,
    metavar="LENGTH",
    help="Look twice, so far apart, and add events and losses a second: 1s.",
)
@json_option
@click.pass_context
def stats(
    context: click.Context,
    choice: Choice,
    picked: Picked,
    interval_s: float | None,
    as_json: bool,
) -> None:
    """Print the ledger of every ring and event type.

    It says what was recorded and what became of it: recorded = readable + lost + in flight, for
    every ring. Lost events were overwritten by newer ones; in flight is what was being written
    at this moment, or when the process ended. An event type was called as often as it was
    recorded, sampled out, throttled, below its minimum, rejected or nested. With filters, the
    readable events that pass are counted besides, and of event types only those asked for are
    listed: a ring's counts cannot be split. Collectors beside the sessions are shown with what
    each sink has acknowledged, and by how many of these events it is behind. Exits with 3 if a
    sum does not close or a file of a session cannot be read.
    """
    found = _looked_twice(choice, interval_s) if interval_s is not None else None
    counts = None
    if choice.is_store:
        recording, counts = ledger_of(choice, picked)
    else:
        recording = choice.recording()
    closes = all(ring.closes for ring in recording.rings)
    recording = _of_kinds(recording, picked)
    if not choice.is_store and not picked.everything:
        counts = _counted(recording, picked)
    bases = sorted({Path(info.path).parent for info in recording.sessions if info.path})
    collectors = collectors_in(bases, recording.sessions, recording.rings)
    if as_json:
        print_json(
            {
                "sessions": recording.sessions,
                "rings": recording.rings,
                "kinds": kind_totals(recording.rings, recording.events),
                "gate_changes": recording.gate_changes,
                "closes": closes,
                "damage": recording.damage,
                "collectors": collectors,
            }
            | ({} if counts is None else {"picked": counts})
            | ({} if found is None else {"activity": found})
        )
    elif recording.rings or recording.damage or _silent(recording):
        print_lines(ledger_lines(recording, time.monotonic_ns()))
    else:
        count = events_text(len(recording.events))
        print_lines([line(f"{count}, from a source that keeps no ledger")])
    if not as_json:
        print_lines(collector_lines(collectors))
    if counts is not None and not as_json:
        print_lines(_counted_lines(counts, picked))
    if found is not None and not as_json:
        print_lines([line(), *rate_lines(found)])
    context.exit(0 if closes and not recording.damage else INCOMPLETE)


def _looked_twice(choice: Choice, interval_s: float) -> Activity:
    sessions = LiveSessions(choice.paths)
    before = sessions.read()
    time.sleep(interval_s)
    return activity_of(sessions.read(), before)


def _silent(recording: Recording) -> bool:
    return any(not session.is_copy for session in recording.sessions)


def _of_kinds(recording: Recording, picked: Picked) -> Recording:
    """The recording with the counts of the event types and components asked for alone."""
    types, components = picked.query.spelled_types, picked.query.components
    if types is None and components is None:
        return recording
    rings = [
        replace(
            ring,
            per_kind=tuple(
                row
                for row in ring.per_kind
                if (types is None or row.kind in types)
                and (components is None or row.component in components)
            ),
        )
        for ring in recording.rings
    ]
    return replace(recording, rings=tuple(rings))


def _counted(recording: Recording, picked: Picked) -> dict[str, Any]:
    """How many of the readable events pass the filters, by their type."""
    picked.warn(recording.kinds, recording.events)
    events = picked.of(recording)
    by_type = Counter(event.event_type for event in events)
    return {
        "filters": picked.words,
        "events": len(events),
        "readable": len(recording.events),
        "by_type": dict(by_type.most_common()),
    }


def _counted_lines(counts: Mapping[str, Any], picked: Picked) -> Iterator[Text]:
    yield line()
    of = f"{count_text(counts['events'])} of {count_text(counts['readable'])} readable events"
    yield line((safe(f"{of}: {picked.words}"), "bold"))
    if counts["by_type"]:
        rows = [(name, count_text(count)) for name, count in counts["by_type"].items()]
        yield from table(("event type", "events"), rows)
