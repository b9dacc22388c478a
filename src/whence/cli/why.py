"""whence why: explains a request, a chain or an event, by default the newest that went wrong."""

from __future__ import annotations

import click

from whence.cli.allowed import Allowed, allowed_options
from whence.cli.asked import explained
from whence.cli.filters import Picked, filter_options
from whence.cli.held_to import HeldTo, held_to_options
from whence.cli.render.answer import answer_lines
from whence.cli.render.page import print_json, print_lines
from whence.cli.sources import Choice, source_options, tell_unreadable
from whence.cli.verb import INCOMPLETE, Verb, json_option
from whence.query.index import Index
from whence.query.why import why as explain

__all__ = ["why"]

_ADVICE = "the whole id, --last and --type narrow it; --timeout and --most-rows allow more"


@click.command(cls=Verb)
@click.argument("id", required=False, metavar="[ID]")
@source_options
@filter_options
@held_to_options()
@click.option(
    "--limit", default=200, show_default=True, metavar="ROWS", help="Rows of the story; 0 is all."
)
@allowed_options("Of a store: more events of one request or trace are an error.", 200_000)
@json_option
@click.pass_context
def why(
    context: click.Context,
    id: str | None,
    choice: Choice,
    picked: Picked,
    held: HeldTo,
    limit: int,
    allowed: Allowed,
    as_json: bool,
) -> None:
    """Explain why a request went as it did.

    ID is the id of a request, a decision chain, a trace or an event, or the beginning or end of
    one, or a span's 16 digits. What names neither request nor decision chain is in the chain of its
    trace. Without ID, the newest decision, request or trace that went wrong is explained: one with
    a severity of Warning or more, or a negative outcome (admitted, deadline_met, success, status);
    if none did, the newest decision; where there is none, the newest event that went wrong.

    With filters, the one to explain is chosen among the events that pass them; of an ID they say
    which rows of its story are shown.

    Processes of one run, and of runs that overlapped in time, share their ids: one id is one chain.
    Of runs one after the other that use an id again, the newest is meant.

    The first line is the verdict. Below stand where the time went, the story with its options,
    whether the chain is complete under its contract, what is known of the gaps, and commands to
    type next. A line whose data was not recorded is left out. Rows that say something went wrong
    are marked !, the event that was asked for >. Where several processes worked on the request,
    each row names the pid of its own.

    Exits with 0 if the chain is complete, 3 if it is not, 4 if nothing is called ID, 2 if several
    things are.
    """
    contracts = held.contracts()
    chosen = None
    with allowed.spent(_ADVICE):
        if choice.is_store:
            recording, id, chosen = explained(choice, picked, id, most_rows=allowed.rows)
            index = Index(recording)
        else:
            index = Index(choice.recording())
            picked.warn(index.recording.kinds, index.events)
    tell_unreadable(index.recording)
    answer = explain(
        index,
        id,
        contracts,
        strict=held.strict,
        source_words=choice.words,
        check_words=held.words,
        among=chosen or (None if picked.everything else picked.among(index)),
    )
    if as_json:
        print_json(answer)
    else:
        print_lines(answer_lines(answer, limit))
    context.exit(0 if answer.complete else INCOMPLETE)
