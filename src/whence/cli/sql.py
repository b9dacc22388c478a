"""whence sql: one SELECT over the events of a store, which can do nothing but read them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain, count
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from whence.cli.allowed import Allowed, allowed_options
from whence.cli.bounded import bounded_memory
from whence.cli.render.page import line, print_json, print_lines, table
from whence.cli.render.waiting import waiting
from whence.cli.sources import Choice, is_store
from whence.cli.verb import Verb, json_option
from whence.model.errors import BadQuestion
from whence.query.engines.shapes import Budget
from whence.query.words import count_text

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["sql"]

MOST_MEMORY = 2 << 30  # for one statement: DuckDB's own limit does not count what functions make
WIDEST = 1_000  # characters of a value in a table; --json has all of them


@click.command(cls=Verb)
@click.argument("statement")
@click.option("--from", "source", required=True, metavar="STORE", help="The store to ask.")
@click.option(
    "--limit", type=click.IntRange(1), default=10_000, show_default=True, metavar="ROWS",
    help="More rows than that are an error.",
)  # fmt: skip
@allowed_options(None)
@json_option
def sql(statement: str, source: str, limit: int, allowed: Allowed, as_json: bool) -> None:
    """Answer one SELECT, in the SQL of DuckDB, over the table "events" of a store.

    Its columns are those of the store's files; docs/questions.md lists them. Nothing can be
    written, no setting changed, no other file read.
    """
    if not is_store(source):
        raise BadQuestion(f"{source} is no store; whence collect --to FOLDER makes one")
    from whence.query.engines.folder import FolderEngine

    engine = Choice(source).engine()
    if not isinstance(engine, FolderEngine):
        raise BadQuestion("only a store in a folder is asked in SQL")
    advice = "WHERE ts_ns > … and LIMIT narrow it; --timeout and --limit allow more"
    asking = waiting("asking the store")
    with allowed.spent(advice), contextlib.closing(engine), asking, bounded_memory(MOST_MEMORY):
        found = engine.sql(statement, Budget(limit, None, None))
    try:
        columns = [_without_nanoseconds(column).to_pylist() for column in found.columns]
        rows = list(zip(*columns, strict=True))
    except (OverflowError, ValueError, NotImplementedError) as error:
        raise BadQuestion(f"cast this time to VARCHAR to see it: {error}") from None
    names = list(_distinct(found.column_names))
    if as_json:
        print_json([dict(zip(names, map(_plain, row), strict=True)) for row in rows])
    else:
        print_lines(_lines(names, rows))


def _without_nanoseconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Python has no such times: they become texts, alike with and without pandas installed."""
    wanted = _in_texts(column.type)
    return column if wanted == column.type else column.cast(wanted)


def _in_texts(kind: pa.DataType) -> pa.DataType:
    """The type with texts in the place of times of nanoseconds, however deep in it."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind) or pa.types.is_time64(kind):
        return pa.string() if kind.unit == "ns" else kind
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_in_texts(kind.value_type)))
    if pa.types.is_fixed_size_list(kind):
        field = kind.value_field.with_type(_in_texts(kind.value_type))
        return pa.list_(field, kind.list_size)
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_in_texts(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_in_texts(kind.key_type), _in_texts(kind.item_type))
    return kind


def _distinct(names: Sequence[str]) -> Iterator[str]:
    """Each name once: the second `a` is called a_1."""
    seen: set[str] = set()
    for name in names:
        candidates = chain([name], (f"{name}_{number}" for number in count(1)))
        seen.add(own := next(each for each in candidates if each not in seen))
        yield own


def _lines(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[Text]:
    texts = [[_shown(value) for value in row] for row in rows]
    left = [at for at in range(len(names)) if any(isinstance(row[at], str) for row in rows)]
    yield from table(names, texts, left=left or [0])
    yield line((f"{count_text(len(rows))} row{'' if len(rows) == 1 else 's'}", "dim"))


def _shown(value: Any) -> str:
    text = "" if value is None else str(_plain(value))
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


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
