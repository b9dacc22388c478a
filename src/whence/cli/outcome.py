"""whence outcome: tells what became of a request, once it is known."""

from __future__ import annotations

import click

from whence.cli.asked import indexed
from whence.cli.render.page import line, print_json, print_lines
from whence.cli.render.safe import safe
from whence.cli.sources import Choice, source_options
from whence.cli.verb import Verb, json_option
from whence.emit.outcome import outcome as tell
from whence.emit.recorder import join_run
from whence.model.errors import WhenceError
from whence.query.chain import find_chain

__all__ = ["outcome"]


@click.command(cls=Verb)
@click.argument("id")
@click.option("--score", type=float, help="How good it was: any finite number.")
@click.option("--label", default="", metavar="TEXT", help="What it was, such as accepted.")
@click.option("--comment", default="", metavar="TEXT", help="More words.")
@source_options
@json_option
def outcome(
    id: str, score: float | None, label: str, comment: str, choice: Choice, as_json: bool
) -> None:
    """Tell what became of a request, once it is known.

    ID is the id of the request or of one of its events, or the beginning or end of one; nothing is
    told of a request that is not there. A score, a label or both are needed. The outcome is
    recorded as one more process of the request's own run, so that `whence why` shows it beside
    what was decided; programs tell it with whence.outcome().

    Exits with 4 if nothing is called ID, 2 if several things are or nothing is told.
    """
    index, id = indexed(choice, id)
    chain = find_chain(index, id)
    if not chain.request_id:
        raise WhenceError(f"{chain.name} belongs to no request; outcomes are told of requests")
    if chain.request_id.startswith("lost:"):
        raise WhenceError(f"the id of {chain.request_id} was overwritten; tell it by its full id")
    session = index.recording.session(chain.events[0].session)
    join_run(session.run if session else "", "whence outcome")
    try:
        tell(chain.request_id, score=score, label=label, comment=comment)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        print_json(
            {"request_id": chain.request_id, "score": score, "label": label, "comment": comment}
        )
    else:
        said = label or f"score {score}"
        print_lines([line(safe(f"told of {chain.request_id}: {said}"))])
