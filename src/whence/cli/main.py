"""The command `whence` and its subcommands."""

from __future__ import annotations

import contextlib
import os
import sys
from importlib import metadata
from typing import Any

import click

from whence.cli.chain import chain
from whence.cli.collect import collect
from whence.cli.compare import compare
from whence.cli.config import config
from whence.cli.demo import demo
from whence.cli.export import export
from whence.cli.ls import ls
from whence.cli.metrics import metrics
from whence.cli.outcome import outcome
from whence.cli.record import record
from whence.cli.recover import recover
from whence.cli.render.page import escape_unencodable
from whence.cli.select import select
from whence.cli.ship import ship
from whence.cli.sql import sql
from whence.cli.stats import stats
from whence.cli.stream import stream
from whence.cli.top import top
from whence.cli.verify import verify
from whence.cli.why import why

__all__ = ["InOrder", "cli", "trace"]


class InOrder(click.Group):
    """Lists commands in the order in which they are useful."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands as they were added."""
        return list(self.commands)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run; output that cannot be written is one line on standard error and exit code 1."""
        try:
            try:
                return super().main(*args, **kwargs)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()
        except BrokenPipeError:  # whoever read has seen enough
            _forget_output()
            sys.exit(1)
        except OSError as error:
            _forget_output()
            print(f"whence: {error.strerror or error}", file=sys.stderr)
            sys.exit(1)


def _forget_output() -> None:
    """What is left to write goes nowhere, so that the interpreter's end does not try again."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _version() -> str:
    try:
        return metadata.version("whence")
    except metadata.PackageNotFoundError:
        return "unknown"


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="whence")
def cli() -> None:
    """Ask a flight recorder: why was this decided, from what, and is anything missing?

    Programs record into files that outlive them; these commands read the files, while a program
    runs or after it was killed. Each reads the newest run that lives by default, or else the newest
    with events, or what --from names. Exit codes: 0 for yes, 1 if something failed, 2 for a
    question that cannot be understood, 3 for something incomplete, 4 for nothing of that name.
    """
    escape_unencodable()


@click.group(cls=InOrder)
def trace() -> None:
    """The same export, stream, config and stats."""


for command in (
    why,
    chain,
    compare,
    verify,
    select,
    sql,
    ls,
    stats,
    stream,
    top,
    config,
    outcome,
    record,
    export,
    collect,
    ship,
    metrics,
    recover,
    demo,
):
    cli.add_command(command)
for command in (export, stream, config, stats):
    trace.add_command(command)
cli.add_command(trace)
