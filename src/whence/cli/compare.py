"""whence compare: puts two chains side by side and says what differs."""

from __future__ import annotations

import click

from whence.cli.asked import indexed
from whence.cli.held_to import HeldTo, held_to_options
from whence.cli.render.comparison import comparison_lines
from whence.cli.render.page import print_json, print_lines
from whence.cli.sources import Choice, source_options, tell_unreadable
from whence.cli.verb import FAILED, Verb, json_option
from whence.query.compare import compare as side_by_side

__all__ = ["compare"]


@click.command(cls=Verb)
@click.argument("a")
@click.argument("b")
@source_options
@click.option("--from-b", metavar="SOURCE", help="Where to read B, if elsewhere than A.")
@held_to_options("both chains", strict=False)
@click.option(
    "--limit", default=200, show_default=True, metavar="ROWS", help="Steps shown; 0 is all."
)
@json_option
@click.pass_context
def compare(
    context: click.Context,
    a: str,
    b: str,
    choice: Choice,
    from_b: str | None,
    held: HeldTo,
    limit: int,
    as_json: bool,
) -> None:
    """Compare two chains: what is the same, what differs, and where the time went.

    A and B are ids of requests, decision chains or events, or the beginning or end of one. Steps
    are aligned by their event types, in order: those of A alone are marked -, those of B
    alone +, those with other values ! and the values stand below. Lengths of time and the chains'
    own ids differ always and make nothing different; offsets and, where there are spans, the
    critical path of each are shown side by side.

    Exits with 0 if both came to the same outcome by the same steps and values, 1 if not, 4 if
    nothing is called A or B, 2 if several things are.
    """
    index, a = indexed(choice, a)
    tell_unreadable(index.recording)
    other = index
    if from_b is not None or choice.is_store:
        other, b = indexed(choice if from_b is None else Choice(source=from_b), b)
        tell_unreadable(other.recording)
    contracts = held.contracts()
    found = side_by_side(index, a, other, b, contracts)
    if as_json:
        print_json(found)
    else:
        print_lines(comparison_lines(found, limit))
    context.exit(0 if found.same else FAILED)
