"""whence forget: hides requests or traces of a store at once, and drops their bytes."""

from __future__ import annotations

import contextlib

import click

from whence.cli.render.page import line, print_json, print_lines
from whence.cli.render.safe import safe
from whence.cli.sources import Choice, is_store
from whence.cli.verb import Verb, json_option
from whence.model.errors import BadQuestion, IdNotFound, StoreOwned
from whence.model.query import TraceQuery
from whence.query.engines.engine import Engine
from whence.query.engines.shapes import Aggregate
from whence.query.words import events_text

__all__ = ["forget"]


@click.command(cls=Verb)
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--from", "source", required=True, metavar="STORE", help="The store to change.")
@click.option(
    "--trace", "traces", is_flag=True, help="The ids are those of traces, 32 hexadecimal digits."
)
@json_option
def forget(ids: tuple[str, ...], source: str, traces: bool, as_json: bool) -> None:
    """Hide requests of a store from every question at once, and drop their bytes.

    Each ID is a request's, whole; all events of it and of the chain of its name go, later ones
    too. The store's owner rewrites the files that hold them, within a minute as a rule; without an
    owner this command does. Nothing brings them back. In ClickHouse whence ship does the same.
    Other copies stay: in backups, exports and in the rings of programs that run.
    """
    if not is_store(source):
        raise BadQuestion(f"{source} is no store in a folder")
    with contextlib.closing(Choice(source).engine()) as engine:
        events = sum(_events(engine, name, traces) for name in dict.fromkeys(ids))
    from whence.store.folder import FolderStore

    store = FolderStore(source)
    try:
        store.hide(ids, traces=traces)
    except ValueError as error:
        raise BadQuestion(str(error)) from None
    owner, places = "", list(store.manifest.settings.get("ships_to", ()))
    try:
        with FolderStore(source, write=True, words="whence forget") as own:
            own.purge()
    except StoreOwned:
        owner = str(store.owner() or "another process")
    if as_json:
        print_json({"hidden": list(ids), "events": events, "owner": owner, "copies_in": places})
        return
    what = f"{events_text(events)} will not be seen again"
    ends = f"{owner} rewrites the files" if owner else "no file has them any more"
    print_lines([line(safe(f"{what}; {ends}"))])
    print_lines(
        [
            line(safe(f"whence: {place} has a copy, which the next whence ship hides and deletes"))
            for place in places
        ],
        err=True,
    )


def _events(engine: Engine, name: str, traces: bool) -> int:
    """How many events go; IdNotFound for none: a wrong id would hide what is not meant."""
    queries = [TraceQuery(trace_id=name)] if traces else [TraceQuery(request_id=name)]
    if not traces:
        queries.append(TraceQuery(decision_chain_id=name))
    question = Aggregate(("request_id",), None, ("count",))
    counts = [sum(row.rows for row in engine.aggregate(question, query)) for query in queries]
    if not any(counts):
        raise IdNotFound(f"no event here is of {'trace' if traces else 'request'} {name}", ())
    return max(counts)
