"""whence metrics: our own figures, once, as OpenMetrics."""

from __future__ import annotations

import sys

import click

from whence.cli.render.safe import safe
from whence.cli.sources import Choice, source_options
from whence.cli.verb import Verb
from whence.collect.live import LiveSessions
from whence.export.openmetrics import render
from whence.export.own_metrics import OwnMetrics

__all__ = ["metrics"]


@click.command(cls=Verb)
@source_options
def metrics(choice: Choice) -> None:
    """Print what processes record and lose, and how far collectors are, as OpenMetrics text.

    For a look, or for a file that a node exporter picks up; `whence collect --metrics` serves the
    same to scrapers. Counts are those of the sessions that are there now.
    """
    choice.paths()  # says that there is nothing
    own = OwnMetrics(LiveSessions(choice.paths))
    # a scraper wants names as they are, a terminal must not obey them
    spell = safe if sys.stdout.isatty() else str
    click.echo(render(own.families(), spell=spell), nl=False)
