"""whence stats: the ledger of every ring and kind, and whether its sum closes."""

from __future__ import annotations

import click

from whence.cli.render.ledger import kind_totals, ledger_lines
from whence.cli.render.page import line, print_json, print_lines
from whence.cli.sources import Choice, source_options
from whence.cli.verb import INCOMPLETE, Verb, json_option
from whence.query.words import events_text

__all__ = ["stats"]


@click.command(cls=Verb)
@source_options
@json_option
@click.pass_context
def stats(context: click.Context, choice: Choice, as_json: bool) -> None:
    """Print the ledger of every ring and event type.

    It says what was recorded and what became of it: recorded = readable + lost + in flight, for
    every ring. Lost events were overwritten by newer ones; in flight is what was being written
    at this moment, or when the process ended. An event type was called as often as it was
    recorded, sampled out, throttled, below its minimum, rejected or nested. Exits with 3 if a
    sum does not close or a file of a session cannot be read.
    """
    recording = choice.recording()
    closes = all(ring.closes for ring in recording.rings)
    if as_json:
        print_json(
            {
                "sessions": recording.sessions,
                "rings": recording.rings,
                "kinds": kind_totals(recording.rings, recording.events),
                "gate_changes": recording.gate_changes,
                "closes": closes,
                "damage": recording.damage,
            }
        )
    elif recording.rings or recording.damage:
        print_lines(ledger_lines(recording))
    else:
        count = events_text(len(recording.events))
        print_lines([line(f"{count}, from a source that keeps no ledger")])
    context.exit(0 if closes and not recording.damage else INCOMPLETE)
