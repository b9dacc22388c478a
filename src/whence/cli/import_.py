"""whence import: brings files that other tools wrote into a store."""

from __future__ import annotations

import click

from whence.cli.render.page import line, print_json, print_lines
from whence.cli.render.safe import safe
from whence.cli.verb import FAILED, INCOMPLETE, Verb, json_option
from whence.model.errors import ExportError

__all__ = ["import_"]

_FORMATS = ("auto", "ndjson", "mplp", "otlp", "chrome", "whence")


@click.command("import", cls=Verb)
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False))
@click.option(
    "--to",
    "store",
    required=True,
    type=click.Path(file_okay=False),
    metavar="STORE",
    help="The store to import into; it is made if there is none.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(_FORMATS),
    default="auto",
    show_default=True,
    help="What the files are, instead of what they are recognised for.",
)
@click.option(
    "--unit",
    type=click.Choice(("s", "ms", "us", "ns")),
    help="The unit of times that are numbers. By default that in which a time lies between 1990 "
    "and 2100.",
)
@click.option(
    "--zone", metavar="ZONE", help="What times without a zone are of, such as +02:00; else UTC."
)
@click.option(
    "--as",
    "called",
    metavar="NAME",
    default="",
    help="Tell the file's ids apart by this name instead of by what it holds: a file that has "
    "grown then adds what is new. One file only.",
)
@click.option("--strict", is_flag=True, help="Stop at the first thing that cannot be taken.")
@json_option
@click.pass_context
def import_(
    context: click.Context,
    files: tuple[str, ...],
    store: str,
    format_name: str,
    unit: str | None,
    zone: str | None,
    called: str,
    strict: bool,
    as_json: bool,
) -> None:
    """Bring files that other tools wrote into a store, and say what became of what.

    Formats are recognised by what the files hold, and gzip and zstd are taken off. A file that is
    imported again adds nothing. Lines that cannot be taken are counted with their numbers and
    hinder no others.

    Exits with 0 if all was taken, with 3 if something was rejected or is flawed, with 1 if a file
    could not be read at all or nothing could be stored.
    """
    try:
        from whence.receive.files.apart import ReadApart
        from whence.receive.files.into import import_files
        from whence.receive.files.source import ReadOptions
        from whence.receive.files.times import zone_of
        from whence.store.delivery import StoreDelivery
        from whence.store.folder import FolderStore
    except ImportError as error:
        raise ExportError(f"a store needs pyarrow: pip install 'whence[store]' ({error})") from None
    if called and len(files) > 1:
        raise click.UsageError("--as names one file, not several")
    try:
        options = ReadOptions(strict, unit or "", zone_of(zone) if zone else None, called)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--zone") from None
    delivery = StoreDelivery(FolderStore(store, write=True, words="whence import"))
    delivery.start()
    try:
        with ReadApart(options) as apart:
            reports = import_files(files, delivery.intake, options, format_name, apart.read_parts)
    finally:
        delivery.finish(10.0)
    if as_json:
        print_json({"to": store, "files": [each.plain() for each in reports]})
    else:
        print_lines(line(safe(text)) for each in reports for text in each.lines_of_text())
    failed = any(each.error for each in reports)
    rejected = any(each.rejections or each.flawed for each in reports)
    context.exit(FAILED if failed else INCOMPLETE if rejected else 0)
