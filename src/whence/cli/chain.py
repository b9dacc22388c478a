"""whence chain: prints every event of a request or decision chain, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click
from rich.text import Text

from whence.cli.asked import explained
from whence.cli.filters import Picked, filter_options
from whence.cli.render.answer import story_lines
from whence.cli.render.page import line, page_cells, print_json, print_lines, table
from whence.cli.render.safe import clip, safe, wrap
from whence.cli.sources import Choice, source_options, tell_unreadable
from whence.cli.verb import Verb, json_option
from whence.model.errors import ContractError
from whence.model.time import Duration
from whence.query.chain import Chain, find_chain
from whence.query.contracts.contract import parse_length
from whence.query.index import Index
from whence.query.related import NEAR_NS, Reason, Related, related
from whence.query.why import story
from whence.query.words import (
    count_text,
    duration_text,
    events_text,
    offset_text,
    offset_unit,
    sampled_text,
)

__all__ = ["chain"]

_MOST_RELATED = 100


def _length(context: click.Context, parameter: click.Parameter, value: str) -> Duration:
    try:
        return parse_length(value)
    except ContractError as error:
        raise click.BadParameter(str(error)) from None


@click.command(cls=Verb)
@click.argument("id")
@source_options
@filter_options
@click.option(
    "--related", "with_related", is_flag=True, help="Also events that its ids lead to, one step on."
)
@click.option(
    "--heuristic",
    is_flag=True,
    help="With --related, also events that merely resemble its own: guesses, labelled so.",
)
@click.option(
    "--near",
    default=duration_text(NEAR_NS).replace(" ", "").replace(".0", ""),
    show_default=True,
    callback=_length,
    metavar="LENGTH",
    help="With --heuristic, how close in time is close.",
)
@json_option
def chain(
    id: str,
    choice: Choice,
    picked: Picked,
    with_related: bool,
    heuristic: bool,
    near: Duration,
    as_json: bool,
) -> None:
    """Print the events of a chain in order.

    ID is the id of a request, a decision chain, a trace or an event, or the beginning or end of
    one, or a span's 16 digits. What names neither request nor decision chain is in the chain of its
    trace. With --json the events are printed whole, as exports hold them.

    Processes of one run, and of runs that overlapped in time, share their ids: one id is one chain.
    Of runs one after the other that use an id again, the newest is meant.
    Where several processes worked on it, each row names the pid of its own.

    --related adds the events that share its request, decision chain, trace or lineage id, its
    causes and effects, and the spans around, within and linked with its own; each with the id that
    tells. --heuristic adds events of the same model or component that are close in time, and
    chains that waited while this one did: no id says that these belong together.
    """
    if heuristic and not with_related:
        raise click.UsageError("--heuristic goes with --related")
    if choice.is_store:
        recording, name, _ = explained(choice, picked, id, related=with_related)
        id, index = name or id, Index(recording)
    else:
        index = Index(choice.recording())
    tell_unreadable(index.recording)
    found = find_chain(index, id)
    passes = picked.among(index)
    shown = [event for event in found.events if passes(event)]
    others: Sequence[Related] = ()
    if with_related:
        all_others = related(index, found, heuristic=heuristic, near_ns=near.nanos)
        others = [other for other in all_others if passes(other.event)]
    if as_json:
        answer = {
            "request_id": found.request_id,
            "decision_chain_id": found.chain_id,
            "events": shown,
        }
        print_json(answer | ({"related": others} if with_related else {}))
        return
    count = events_text(len(found.events))
    if len(shown) < len(found.events):
        count = f"{count_text(len(shown))} of {count} ({picked.words})"
    print_lines([line((clip(found.name, page_cells() - 20), "bold"), f"  {safe(count)}"), line()])
    if sampled := sampled_text(found.events):
        print_lines([*map(line, wrap(sampled, page_cells())), line()])
    print_lines(story_lines(story(index, found, passes), most_rows=0))
    if with_related:
        print_lines(_related_lines(index, found, others, heuristic))


def _related_lines(
    index: Index, chain: Chain, others: Sequence[Related], heuristic: bool
) -> Iterator[Text]:
    exact = [other for other in others if not other.heuristic]
    yield line()
    yield line(("Related by an id" if exact else "No id leads to other events.", "bold"))
    yield from _rows(index, chain, exact)
    if heuristic:
        guessed = [other for other in others if other.heuristic]
        title = "Heuristic: resembling, no id says that they belong together"
        yield line()
        yield line((title if guessed else "Nothing resembles it, either.", "bold"))
        yield from _rows(index, chain, guessed)


def _rows(index: Index, chain: Chain, others: Sequence[Related]) -> Iterator[Text]:
    if not others:
        return
    begun_ns = index.time_ns(chain.events[0])
    offsets = [index.time_ns(other.event) - begun_ns for other in others[:_MOST_RELATED]]
    unit = offset_unit(max(map(abs, offsets)))
    rows = [
        (
            offset_text(offset, unit),
            other.event.event_type,
            other.event.request_id or other.event.decision_chain_id,
            "; ".join(map(_reason_text, other.reasons)),
        )
        for offset, other in zip(offsets, others, strict=False)
    ]
    yield from table(("offset", "event type", "request", "known by"), rows, left=(1, 2, 3))
    if len(others) > _MOST_RELATED:
        yield line((f"  … {count_text(len(others) - _MOST_RELATED)} more: --json", "dim"))


def _reason_text(reason: Reason) -> str:
    return f"{reason.by} {reason.id}"
