"""whence mcp: answers agents that ask through the Model Context Protocol."""

from __future__ import annotations

import asyncio
import contextlib
import signal

import click

from whence.cli.held_to import HeldTo, held_to_options
from whence.cli.sources import Choice, source_options
from whence.cli.verb import Verb
from whence.model.errors import WhenceError

__all__ = ["mcp"]


@click.command(cls=Verb)
@source_options
@held_to_options(strict=False)
@click.option(
    "--most-bytes",
    type=click.IntRange(4_000, 10_000_000),
    default=64_000,
    show_default=True,
    help="How large an answer may be; of what is larger, the rest is left out and told of.",
)
@click.option(
    "--most-rows",
    type=click.IntRange(1),
    default=200_000,
    show_default=True,
    help="A question about more events is refused.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0.1, 3_600),
    default=30.0,
    show_default=True,
    help="Seconds that a question may take.",
)
def mcp(choice: Choice, held: HeldTo, most_bytes: int, most_rows: int, timeout_s: float) -> None:
    """Answer agents over the Model Context Protocol, on standard input and output.

    Name this command where an agent's settings ask for a server: `whence mcp --from ./traces`. Its
    tools are why, chain, select, verify, lineage, ledger, traces and compare; all of them read
    only. A process or an export is read anew for each question, and without --from the newest run
    at that moment.

    Recorded text may come from anybody and reaches the agent as data: the tools say so, and letters
    that people cannot see are spelled out.
    """
    if choice.source == "-":
        raise click.UsageError("standard input is where agents ask: name a file with --from")
    try:
        from whence.serve.asking import Asking
        from whence.serve.limits import Limits
        from whence.serve.mcp.questions import Costs
        from whence.serve.mcp.server import make_server, serve_stdio
    except ImportError as error:
        raise WhenceError(
            f"agents cannot be answered here ({error}): pip install 'whence[mcp]'"
        ) from None
    costs = Costs(held.contracts(), most_rows, most_bytes)
    limits = Limits(question_s=timeout_s, question_rows=most_rows)
    if choice.spec is not None:
        with contextlib.closing(choice.engine()):  # what cannot be read is told at once
            pass
    # who reads standard input cannot be woken: Ctrl-C ends this as SIGTERM does, nothing is open
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    asking = Asking(choice.engine, limits, anew=not choice.is_store)
    with contextlib.closing(asking):
        asyncio.run(serve_stdio(make_server(asking, costs)))
