"""whence ship: puts what a store has into ClickHouse, once or as it grows."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import click

from whence.cli.collect import ended_by_signals
from whence.cli.render.page import line, print_json, print_lines
from whence.cli.render.safe import safe
from whence.cli.verb import Verb, json_option
from whence.model.errors import ClusterUnavailable, ExportError, UnknownSink

if TYPE_CHECKING:
    from whence.store.clickhouse.shipper import Shipper

__all__ = ["ship"]

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0


@click.command(cls=Verb)
@click.argument("store", type=click.Path(file_okay=False), required=False)
@click.option(
    "--to",
    "url",
    required=True,
    metavar="URL",
    help="clickhouse://user@host:8123,host2/database?cluster=NAME, or clickhouses:// for TLS; the "
    "password is best in CLICKHOUSE_PASSWORD.",
)
@click.option("--once", is_flag=True, help="Ship what is there now and end.")
@click.option(
    "--ddl", is_flag=True, help="Print the statements that make a node's tables, and do no more."
)
@json_option
def ship(store: str | None, url: str, once: bool, ddl: bool, as_json: bool) -> None:
    """Put what a store has into ClickHouse, each file as it is, and go on as it grows.

    STORE is a folder that `whence collect --to FOLDER` fills; it may go on filling it. Tables are
    made on every host that the URL names. What the cluster has already is not sent again, whoever
    sent it, so shipping may be killed and begun anew at any time. While a shard is gone the store
    keeps what is to come.

    What the store forgets is hidden there at once, and deleted on every host that the URL names.

    Exits with 0 once everything there is was shipped, with 1 if --once finds the cluster wanting.
    """
    place = _place(url, ddl)
    if ddl:
        return
    if store is None:
        raise click.UsageError("name the store to ship")
    shipper = _shipper(store, url)
    with contextlib.closing(shipper):
        if once:
            shipper.step()
        else:
            _follow(shipper, place)
    if as_json:
        print_json(
            {
                "to": place,
                "segments": shipper.segments,
                "events_sent": shipper.rows,
                "segments_waiting": shipper.waiting,
                "forgotten_events_left": shipper.forgetting.left,
            }
        )
    else:
        words = f"{shipper.segments} segments are in {place}; {shipper.rows} events were sent"
        print_lines([line(safe(words))])
    if once and _tell_what_is_left(shipper, place):
        raise click.exceptions.Exit(1)


def _tell_what_is_left(shipper: Shipper, place: str) -> bool:
    """Whether not all was done."""
    left, waiting = shipper.forgetting.left, shipper.waiting
    if left:
        why = shipper.forgetting.trouble
        _tell(f"{left} forgotten events are hidden in {place}, but not deleted: {why}")
    if waiting:
        _tell(f"{waiting} segments may hold forgotten events: the store's owner rewrites them")
    return bool(left or waiting)


def _follow(shipper: Shipper, place: str) -> None:
    """Until a signal: looks every second, ever more rarely while the cluster is away."""
    stop = threading.Event()
    wait_s, trouble = FIRST_WAIT_S, False
    with ended_by_signals(stop):
        while not stop.is_set():
            try:
                shipper.step()
                if trouble:
                    _tell(f"{place}: ships again")
                wait_s, trouble = FIRST_WAIT_S, False
            except ClusterUnavailable as error:
                if not trouble:
                    _tell(f"{error}; trying again")
                wait_s, trouble = min(2 * wait_s, LONGEST_WAIT_S), True
            stop.wait(wait_s)


def _place(url: str, ddl: bool) -> str:
    """The name of the place; with `ddl` its statements are printed."""
    from whence.store.clickhouse.ddl import statements
    from whence.store.clickhouse.place import read_place

    try:
        place = read_place(url)
    except ValueError as error:
        raise UnknownSink(str(error)) from None
    if ddl:
        click.echo("".join(f"{statement};\n" for statement in statements(place)), nl=False)
    return place.name


def _shipper(store: str, url: str) -> Shipper:
    try:
        from whence.store.clickhouse.shipper import Shipper
        from whence.store.folder import FolderStore
    except ImportError as error:
        raise ExportError(f"a store needs pyarrow: pip install 'whence[store]' ({error})") from None
    from whence.store.clickhouse.http import Client
    from whence.store.clickhouse.place import read_place

    return Shipper(FolderStore(store), Client(read_place(url)))


def _tell(text: str) -> None:
    print_lines([line(safe(f"whence: {text}"))], err=True)
