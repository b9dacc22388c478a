"""The command `whence` and its subcommands."""

from __future__ import annotations

import contextlib
import importlib
import keyword
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from whence.cli.render.page import escape_unencodable
from whence.model.version import __version__

__all__ = ["InOrder", "cli", "trace"]


_COMMANDS = (  # each is whence.cli.NAME.NAME, imported when it is asked for
    "why",
    "chain",
    "lineage",
    "compare",
    "verify",
    "select",
    "sql",
    "ls",
    "stats",
    "stream",
    "top",
    "config",
    "outcome",
    "record",
    "export",
    "collect",
    "import",
    "serve",
    "mcp",
    "token",
    "alerts",
    "ship",
    "metrics",
    "recover",
    "forget",
    "settings",
    "doctor",
    "repair",
    "backup",
    "restore",
    "demo",
)


class InOrder(click.Group):
    """Lists commands in the order in which they are useful, and imports only the one that runs."""

    def __init__(self, *args: Any, members: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._members = members

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in their order, those that were added last."""
        return [*self._members, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in self._members:
            return super().get_command(ctx, cmd_name)
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        found = getattr(importlib.import_module(f"whence.cli.{name}"), name)
        assert isinstance(found, click.Command)
        return found

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


@click.group(
    cls=InOrder,
    members=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="whence")
def cli() -> None:
    """Ask a flight recorder: why was this decided, from what, and is anything missing?

    Programs record into files that outlive them; these commands read the files, while a program
    runs or after it was killed. Each reads the newest run that lives by default, or else the newest
    with events, or what --from names. Exit codes: 0 for yes, 1 if something failed, 2 for a
    question that cannot be understood, 3 for something incomplete, 4 for nothing of that name.
    """
    escape_unencodable()


@click.group(cls=InOrder, members=("export", "stream", "config", "stats"))
def trace() -> None:
    """The same export, stream, config and stats."""


cli.add_command(trace)
