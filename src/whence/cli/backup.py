"""whence backup and whence restore: a store's newest generation as a store of its own."""

from __future__ import annotations

import click

from whence.cli.render.page import line, print_json, print_lines
from whence.cli.render.safe import safe
from whence.cli.render.waiting import counting
from whence.cli.verb import Verb, json_option
from whence.model.errors import ExportError
from whence.query.words import count_text, events_text

__all__ = ["backup", "restore"]


@click.command(cls=Verb)
@click.argument("store", type=click.Path(file_okay=False))
@click.argument("target", metavar="TO", type=click.Path(file_okay=False))
@click.option("--copy", is_flag=True, help="Copy bytes also where a second name would do.")
@json_option
def backup(store: str, target: str, copy: bool, as_json: bool) -> None:
    """Copy the newest generation of STORE into the new folder TO, while it is written.

    TO is a store itself, which every command reads. On the same file system files get a second
    name instead of a copy, since they never change: that takes no room, and is no help against a
    broken disk. Every file is compared with its checksum.
    """
    _told(store, target, not copy, as_json)


@click.command(cls=Verb)
@click.argument("source", metavar="FROM", type=click.Path(file_okay=False))
@click.argument("target", metavar="TO", type=click.Path(file_okay=False))
@json_option
def restore(source: str, target: str, as_json: bool) -> None:
    """Make a store of the backup FROM in the new folder TO; the backup stays as it is.

    How far every ring was read comes with it: the next collector stores what came after the
    backup, as far as the rings still have it, and nothing twice.
    """
    _told(source, target, False, as_json)


def _told(source: str, target: str, link: bool, as_json: bool) -> None:
    try:
        from whence.store.backup import back_up
    except ImportError as error:
        raise ExportError(f"a store needs pyarrow: pip install 'whence[store]' ({error})") from None
    with counting("copying files") as more:
        made = back_up(source, target, link=link, progress=more)
    if as_json:
        print_json(
            {
                "to": target,
                "generation": made.generation,
                "files": made.files,
                "linked": made.linked,
                "events": made.rows,
            }
        )
        return
    shared = f", {count_text(made.linked)} of them by a second name" if made.linked else ""
    what = f"{events_text(made.rows)} in {count_text(made.files)} files{shared}"
    print_lines([line(safe(f"Generation {made.generation} is in {target}: {what}"))])
