"""whence chain: prints every event of a request or decision chain, in order."""

from __future__ import annotations

import click

from whence.cli.render.answer import story_lines
from whence.cli.render.page import line, page_cells, print_json, print_lines
from whence.cli.render.safe import clip
from whence.cli.sources import Choice, source_options
from whence.cli.verb import Verb, json_option
from whence.query.chain import find_chain
from whence.query.index import Index
from whence.query.why import story
from whence.query.words import events_text

__all__ = ["chain"]


@click.command(cls=Verb)
@click.argument("id")
@source_options
@json_option
def chain(id: str, choice: Choice, as_json: bool) -> None:
    """Print the events of a chain in order.

    ID is a request's id, a decision chain's or an event's, or the beginning or end of one. With
    --json the events are printed whole, as exports hold them.

    Processes of one run, and of runs that overlapped in time, share their ids: one id is one chain.
    Of runs one after the other that use an id again, the newest is meant.
    Where several processes worked on it, each row names the pid of its own.
    """
    index = Index(choice.recording())
    found = find_chain(index, id)
    if as_json:
        print_json(
            {
                "request_id": found.request_id,
                "decision_chain_id": found.chain_id,
                "events": found.events,
            }
        )
    else:
        count = events_text(len(found.events))
        print_lines([line((clip(found.name, page_cells() - 20), "bold"), f"  {count}"), line()])
        print_lines(story_lines(story(index, found), most_rows=0))
