"""whence lineage: what a frame was made of, or what was made of it, and the decisions there."""

from __future__ import annotations

import contextlib

import click

from whence.cli.render.lineage import lineage_lines
from whence.cli.render.page import print_json, print_lines
from whence.cli.render.waiting import waiting
from whence.cli.sources import Choice, source_options
from whence.cli.verb import INCOMPLETE, Verb, json_option
from whence.query.lineage_answer import MOST_SHOWN, found_lineage_id, lineage_answer

__all__ = ["lineage"]


@click.command(cls=Verb)
@click.argument("id")
@source_options
@click.option("--down", is_flag=True, help="What was made of it, instead of what it was made of.")
@click.option(
    "--depth",
    default=100,
    show_default=True,
    metavar="N",
    type=click.IntRange(1, 1_000),
    help="How many links away at most.",
)
@click.option(
    "--most",
    default=MOST_SHOWN,
    show_default=True,
    metavar="N",
    type=click.IntRange(1, 100_000),
    help="How many ids at most.",
)
@json_option
@click.pass_context
def lineage(
    context: click.Context,
    id: str,
    choice: Choice,
    down: bool,
    depth: int,
    most: int,
    as_json: bool,
) -> None:
    """Print what a lineage id was made of, and of what that was.

    ID is a lineage id in decimal digits, or its last digits, as other commands print them: …7118.
    With --down it is the other way round: all that was made of it.

    Each id stands with when it was made, its stage and its process, and below it the decisions and
    other events that bear it. An id that is reached twice is shown once. Of a parent that no event
    bears the line says why, as far as that can be known: what the limits of a store dropped, what
    was off or may have been overwritten, or that it is none of what is recorded here. A window is
    made of the frames of its stream within its bounds.

    Exits with 0 if nothing is missing, 3 if something may be or there is more than was shown, 4 if
    no lineage id is ID, 2 if several end so. A parent that merely was never recorded here is not
    missing.
    """
    with contextlib.closing(choice.engine()) as engine, waiting("walking the links"):
        answer = lineage_answer(
            engine,
            found_lineage_id(engine, id),
            "down" if down else "up",
            most_depth=depth,
            most_ids=most,
            source_words=choice.words,
        )
    if as_json:
        print_json(answer)
    else:
        print_lines(lineage_lines(answer))
    context.exit(0 if answer.complete else INCOMPLETE)
