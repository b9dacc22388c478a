"""whence settings: what a store keeps and where its copies are, shown and changed."""

from __future__ import annotations

import click

from whence.cli.render.page import line, print_json, print_lines
from whence.cli.render.safe import safe
from whence.cli.sizes import limit
from whence.cli.verb import Verb, json_option
from whence.model.errors import BadQuestion, ExportError

__all__ = ["settings"]


@click.command(cls=Verb)
@click.argument("store", type=click.Path(file_okay=False))
@click.option("--keep-days", type=click.FloatRange(0), metavar="DAYS", help="0 for without end.")
@click.option("--keep-bytes", callback=limit, metavar="SIZE", help="0 for without end.")
@click.option(
    "--promote", multiple=True, metavar="NAME", help="Give an attribute a column of its own."
)
@click.option(
    "--demote", multiple=True, metavar="NAME", help="Give it none in files written from now on."
)
@click.option(
    "--leave",
    "places",
    multiple=True,
    metavar="PLACE",
    help="Wait no longer for copies in a place that files were shipped to.",
)
@json_option
def settings(
    store: str,
    keep_days: float | None,
    keep_bytes: int | None,
    promote: tuple[str, ...],
    demote: tuple[str, ...],
    places: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show a store's settings, and change them where options say so.

    Only what owns a store changes it: while a collector does, give --keep-days, --keep-bytes and
    --promote to that one. A PLACE is named as it is shown here; a shipper that still runs brings
    it back.
    """
    try:
        from whence.store.folder import FolderStore
        from whence.store.promoted import promoted_names
        from whence.store.retention import limits_of
        from whence.store.shipped import places_of
    except ImportError as error:
        raise ExportError(f"a store needs pyarrow: pip install 'whence[store]' ({error})") from None
    found = FolderStore(store)
    manifest = found.manifest
    if unknown := sorted(set(places) - set(places_of(manifest))):
        raise BadQuestion(f"nothing was ever shipped to {unknown[0]}")
    if (keep_days, keep_bytes, promote, demote, places) != (None, None, (), (), ()):
        with FolderStore(store, write=True, words="whence settings") as own:
            try:
                own.promote(promote, demote=demote)
            except ValueError as error:
                raise BadQuestion(str(error)) from None
            own.keep(days=keep_days, size=keep_bytes)
            for place in places:
                own.leave_place(place)
            manifest = own.manifest
    limits = limits_of(manifest)
    promoted, ships_to = list(promoted_names(manifest)), list(places_of(manifest))
    if as_json:
        kept = {"keep_days": limits.days, "keep_bytes": limits.bytes}
        print_json({**kept, "promoted": promoted, "ships_to": ships_to})
        return
    days = "without end" if limits.days is None else f"{limits.days:g} days"
    size = "without end" if limits.bytes is None else f"{limits.bytes:,} bytes"
    told = {
        "Keeps": f"{days}; {size}",
        "Columns": ", ".join(promoted) or "of no attribute",
        "Ships to": ", ".join(ships_to) or "nowhere",
    }
    print_lines(line(safe(f"{name:<9} {text}")) for name, text in told.items())
