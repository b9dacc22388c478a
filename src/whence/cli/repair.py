"""whence repair: puts a damaged store right."""

from __future__ import annotations

import click

from whence.cli.render.page import line, print_json, print_lines
from whence.cli.render.safe import safe
from whence.cli.render.waiting import waiting
from whence.cli.verb import FAILED, Verb, json_option
from whence.model.errors import ExportError
from whence.query.words import count_text, events_text

__all__ = ["repair"]


@click.command(cls=Verb)
@click.argument("store", type=click.Path(file_okay=False))
@click.option("--dry-run", is_flag=True, help="Say what is wrong and change nothing.")
@click.option("--rebuild", is_flag=True, help="Make the manifest anew, even a whole one.")
@json_option
@click.pass_context
def repair(context: click.Context, store: str, dry_run: bool, rebuild: bool, as_json: bool) -> None:
    """Put a damaged store right: what is whole counts, what is not goes into quarantine.

    Every file is compared with its checksum. A lost or damaged manifest is put together from the
    one before and from what the files say of their commits. Nothing in quarantine is ever deleted.
    An owner does the same when it begins, but compares only the newest files. With --rebuild that
    is done to a manifest that seems whole, too; what it says of settings and of what is forgotten
    stays.

    Exits with 0, with --dry-run with 1 if there is something to repair.
    """
    try:
        from whence.store.repair import repair as put_right
    except ImportError as error:
        raise ExportError(f"a store needs pyarrow: pip install 'whence[store]' ({error})") from None
    if dry_run and rebuild:
        raise click.UsageError("--rebuild changes the store: not with --dry-run")
    with waiting("comparing files with their checksums"):
        found = put_right(store, dry_run=dry_run, rebuild=rebuild)
    if as_json:
        plain = {"found": list(found.told), "files": found.files, "events": found.rows}
        print_json({"store": store, "dry_run": dry_run, **plain})
    else:
        print_lines(line(safe(each)) for each in found.told)
        left = f"{events_text(found.rows)} in {count_text(found.files)} files are whole"
        print_lines([line(left if found.told else f"Nothing is wrong: {left}")])
    context.exit(FAILED if dry_run and found.told else 0)
