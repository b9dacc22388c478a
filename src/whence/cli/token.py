"""whence token: adds, lists and revokes the tokens that `whence serve` asks for."""

from __future__ import annotations

import time
from pathlib import Path

import click

from whence.cli.render.page import clock_text, line, print_json, print_lines, table
from whence.cli.render.safe import safe
from whence.cli.verb import Verb, json_option
from whence.model.errors import ContractError, NotAStore
from whence.query.contracts.contract import parse_length
from whence.serve.auth import FILE, SCOPES, Token, Tokens
from whence.store.place import MANIFEST, PREVIOUS

__all__ = ["token"]

_HEADER = ("id", "name", "scopes", "made", "expires")


def _length(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else parse_length(value).nanos
    except ContractError as error:
        raise click.BadParameter(str(error)) from None


@click.group()
def token() -> None:
    """Tokens: who may ask the server of a store, and what.

    Scopes are ingest (record traces), read (ask), and admin (delete, change rules); none includes
    another. A running server sees a change at once.
    """


_store = click.argument("store", type=click.Path(path_type=Path, exists=True, file_okay=False))


@token.command("add", cls=Verb)
@_store
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(SCOPES),
    help="What it is good for; several may be given.",
)
@click.option("--name", default="", help="What it is for, in your words.")
@click.option(
    "--expires", "expires_ns", callback=_length, metavar="LENGTH", help="For how long: 12h, 90d."
)
@json_option
def _add(
    store: Path, scopes: tuple[str, ...], name: str, expires_ns: int | None, as_json: bool
) -> None:
    """Make a token and print it, this once: only its hash is kept."""
    until_ns = None if expires_ns is None else time.time_ns() + expires_ns
    words, made = _tokens(store).add(scopes, name=name, expires_wall_ns=until_ns)
    if as_json:
        print_json({"token": words, **_plain(made)})
    else:
        print_lines([line(words)])


@token.command("ls", cls=Verb)
@_store
@json_option
def _ls(store: Path, as_json: bool) -> None:
    """List the tokens; expired ones too."""
    found = _tokens(store).all()
    if as_json:
        print_json({"tokens": [_plain(each) for each in found]})
        return
    rows = [
        (
            each.id,
            each.name,
            " ".join(each.scopes),
            clock_text(each.created_wall_ns, always_dated=True),
            clock_text(each.expires_wall_ns, always_dated=True) or "never",
        )
        for each in found
    ]
    print_lines(table(_HEADER, rows, left=range(5)))


@token.command("revoke", cls=Verb)
@_store
@click.argument("id")
def _revoke(store: Path, id: str) -> None:
    """Take a token away: it counts no more from now on."""
    gone = _tokens(store).revoke(id)
    print_lines([line(safe(f"{gone.id} {gone.name} counts no more".replace("  ", " ")))])


def _tokens(store: Path) -> Tokens:
    if not any((store / name).is_file() for name in (MANIFEST, PREVIOUS)):
        raise NotAStore(f"{store} is no store; whence serve {store} makes one")
    return Tokens(store / FILE)


def _plain(each: Token) -> dict[str, object]:
    return {
        "id": each.id,
        "name": each.name,
        "scopes": list(each.scopes),
        "created_wall_ns": each.created_wall_ns,
        "expires_wall_ns": each.expires_wall_ns,
    }
