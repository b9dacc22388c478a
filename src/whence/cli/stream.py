"""whence stream: follows the events of a live process as they are recorded."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence

import click
from rich.text import Text

from whence.cli.filters import Picked, filter_options
from whence.cli.render.page import clock_text, line, page_cells, print_json, print_lines
from whence.cli.render.safe import clip, pad, safe
from whence.cli.sources import Choice, Stream, source_options
from whence.cli.verb import Verb
from whence.model.event import TraceEvent
from whence.model.recording import SessionInfo
from whence.model.severity import Severity
from whence.query.words import event_sentence, events_text

__all__ = ["follow", "stream"]

POLL_SECONDS = 0.1


@click.command(cls=Verb)
@source_options
@filter_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json prints one JSON object per line, as exports hold events.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--once", is_flag=True, help="Print what is there now and stop.")
def stream(choice: Choice, picked: Picked, form: str, as_json: bool, once: bool) -> None:
    """Print events as they are recorded.

    Begins with those still held. Follows the processes of the newest run that lives, or those
    chosen, until they end or you press Ctrl-C; of an export it prints the events once. Nothing in a
    process waits for this one; events overwritten before they could be read are counted on standard
    error as lost. Rows name their pid where several processes are followed.
    """
    streams = choice.streams()
    picked.warn([kind for cursor in streams for kind in cursor.kinds])
    show = _show_json
    if form == "text" and not as_json:
        show = functools.partial(_show_text, with_pid=len(streams) > 1)
    try:
        follow(streams, picked, show, once=once)
    except KeyboardInterrupt:
        return


def follow(
    streams: Sequence[Stream],
    picked: Picked,
    show: Callable[[TraceEvent, SessionInfo], None],
    *,
    once: bool,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Show the events picked from the streams, in order of time within each poll.

    --last holds for what is there at the first poll; what comes later is newer.
    Returns when all processes have ended and everything of theirs is shown; with `once`, after
    one poll of each.
    """
    lost_before: int | None = None
    since_ns: int | None = None
    while True:
        events = [(event, cursor.info) for cursor in streams for event in cursor.poll()]
        if since_ns is None:
            since_ns = _since_ns(picked, events)
        live = any(cursor.info.live for cursor in streams)  # as it was before those were read
        for event, info in sorted(events, key=lambda found: found[0].order_key):
            if picked.query.matches(event) and _shared_ns(event, info) >= since_ns:
                show(event, info)
        lost = sum(cursor.lost for cursor in streams)
        if lost_before is not None and lost > lost_before:  # what was gone before is in the stats
            text = f"lost {events_text(lost - lost_before)} before they could be read"
            print_lines([line((text, "red"))], err=True)
        lost_before = lost
        if once or not (live or events):
            return
        if not events:
            wait(POLL_SECONDS)


def _since_ns(picked: Picked, events: Sequence[tuple[TraceEvent, SessionInfo]]) -> int:
    """Where --last begins, counted from the newest event of all."""
    newest_ns = max((_shared_ns(event, info) for event, info in events), default=0)
    return newest_ns - picked.last.nanos if picked.last is not None else -(2**63)


def _shared_ns(event: TraceEvent, info: SessionInfo) -> int:
    """Wall time, which processes share, or without a known clock the monotonic moment."""
    wall_ns = info.wall_ns(event.timestamp.value_ns)
    return event.timestamp.value_ns if wall_ns is None else wall_ns


def _show_text(event: TraceEvent, info: SessionInfo, *, with_pid: bool) -> None:
    when = clock_text(info.wall_ns(event.timestamp.value_ns)) or f"{event.timestamp.value_ns} ns"
    if with_pid:
        when += f"  {info.pid}"
    head = f"{when}  {pad(clip(event.event_type, 24), 20)}  {clip(event.request_id, 24)}"
    sentence = event_sentence(event)
    style = ""
    if event.severity >= Severity.Warning:
        style, sentence = "red", f"{event.severity.name}: {sentence}"
    print_lines([_one_line(head, safe(sentence), style)])


def _one_line(head: str, sentence: str, style: str) -> Text:
    return line((head, "cyan"), "  ", (clip(sentence, 4 * page_cells()), style))


def _show_json(event: TraceEvent, info: SessionInfo) -> None:
    print_json(event, indent=None)
