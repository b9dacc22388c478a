"""whence demo: starts the small inference runtime that ships with whence."""

from __future__ import annotations

import importlib

import click

__all__ = ["demo"]


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    add_help_option=False,
)
@click.pass_context
def demo(context: click.Context) -> None:
    """Run real models under the recorder, then ask why.

    Admission control, a scheduler and real models are recorded; the recording is exported, and
    every decision is reconstructed from the export alone. `whence demo --help` lists the options.
    """
    run = importlib.import_module("whence.demo.run")
    context.exit(run.main(context.args) or 0)
