"""whence sql: one SELECT over the events of a store, which can do nothing but read them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import click
from rich.text import Text

from whence.cli.render.page import line, print_json, print_lines, table
from whence.cli.render.waiting import waiting
from whence.cli.sources import Choice, is_store
from whence.cli.verb import Verb, json_option
from whence.model.errors import BadQuestion
from whence.query.shapes import Budget
from whence.query.words import count_text

__all__ = ["sql"]


@click.command(cls=Verb)
@click.argument("statement")
@click.option("--from", "source", required=True, metavar="STORE", help="The store to ask.")
@click.option(
    "--limit", type=click.IntRange(1), default=10_000, show_default=True, metavar="ROWS",
    help="More rows than that are an error.",
)  # fmt: skip
@json_option
def sql(statement: str, source: str, limit: int, as_json: bool) -> None:
    """Answer one SELECT, in the SQL of DuckDB, over the table "events" of a store.

    Its columns are those of the store's files; docs/questions.md lists them. Nothing can be
    written, no setting changed, no other file read.
    """
    if not is_store(source):
        raise BadQuestion(f"{source} is no store; whence collect --to FOLDER makes one")
    from whence.query.folder_engine import FolderEngine

    engine = Choice(source).engine()
    if not isinstance(engine, FolderEngine):
        raise BadQuestion("only a store in a folder is asked in SQL")
    with contextlib.closing(engine), waiting("asking the store"):
        found = engine.sql(statement, Budget(rows=limit))
    rows = found.to_pylist()
    if as_json:
        print_json([{name: _plain(value) for name, value in row.items()} for row in rows])
    else:
        print_lines(_lines(found.column_names, rows))


def _lines(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Iterator[Text]:
    texts = [[_shown(row[name]) for name in names] for row in rows]
    left = [at for at, name in enumerate(names) if any(isinstance(r[name], str) for r in rows)]
    yield from table(names, texts, left=left or [0])
    yield line((f"{count_text(len(rows))} row{'' if len(rows) == 1 else 's'}", "dim"))


def _shown(value: Any) -> str:
    return "" if value is None else str(_plain(value))


def _plain(value: Any) -> Any:
    """What JSON can hold; a map is an object."""
    if isinstance(value, list):
        if value and all(isinstance(part, tuple) and len(part) == 2 for part in value):
            return {str(name): _plain(part) for name, part in value}
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime | date | time | timedelta):
        return str(value)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
