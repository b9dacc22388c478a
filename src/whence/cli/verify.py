"""whence verify: holds all chains to their contracts, and fails if one is not kept."""

from __future__ import annotations

import click

from whence.cli.allowed import Allowed, allowed_options
from whence.cli.asked import whole_chains
from whence.cli.filters import Picked, filter_options
from whence.cli.held_to import HeldTo, held_to_options
from whence.cli.render.page import print_json, print_lines
from whence.cli.render.verification import verification_lines
from whence.cli.sources import Choice, source_options, tell_unreadable
from whence.cli.verb import FAILED, NOT_FOUND, Verb, json_option
from whence.model.recording import Recording
from whence.query.contracts.verify import NOTHING
from whence.query.contracts.verify import verify as hold

__all__ = ["verify"]

_ADVICE = "--last, --type and --request narrow it; --timeout and --most-rows allow more"


@click.command(cls=Verb)
@source_options
@filter_options
@held_to_options()
@click.option(
    "--limit",
    default=100,
    show_default=True,
    metavar="CHAINS",
    help="Of a contract's chains that are not complete, how many --json lists one by one.",
)
@allowed_options("Of a store: more events in the chains are an error.", time="1h")
@json_option
@click.pass_context
def verify(
    context: click.Context,
    choice: Choice,
    picked: Picked,
    held: HeldTo,
    limit: int,
    allowed: Allowed,
    as_json: bool,
) -> None:
    """Hold every chain to the contract that covers it.

    For each contract one line says how many chains it covers, how many of them are complete, and
    whether it FAILED. Below stand the chains that are not, counted by what they lack and what is
    known of why; a ? before a count says that these may be complete: what they lack may be lost,
    off, sampled out or still to come. A chain is checked whole if one of its events passes the
    filters.

    Chains that no contract covers are counted and pass. Events that were overwritten may have been
    whole chains, of which nothing is left to check; a last line says how many there were.

    Exits with 0 if no chain breaks its contract, 1 if one does, 4 if there is nothing to verify,
    2 for a contract that cannot be understood. With --strict, 1 also where a chain may be complete
    and it cannot be known.
    """
    contracts = held.contracts()
    with allowed.spent(_ADVICE), whole_chains(choice, picked, allowed.rows) as (recordings, among):
        found = hold(
            map(_told_of, recordings),
            contracts,
            strict=held.strict,
            among=among,
            most_flaws=max(limit, 0),
        )
    if as_json:
        print_json(found)
    else:
        print_lines(verification_lines(found, choice.words, held.words))
    context.exit(NOT_FOUND if found.verdict == NOTHING else 0 if found.ok else FAILED)


def _told_of(recording: Recording) -> Recording:
    tell_unreadable(recording)
    return recording
