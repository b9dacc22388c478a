"""whence export --format csv and parquet: events as rows of a table."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from whence.cli.asked import asking, filtered
from whence.cli.filters import Picked
from whence.cli.render.ledger import damage_lines
from whence.cli.render.page import line, print_json, print_lines, require_output
from whence.cli.render.safe import safe
from whence.cli.sources import Choice
from whence.cli.verb import INCOMPLETE
from whence.export.codec import Codec
from whence.export.json_export import packed, replacing
from whence.model.errors import ExportError, UnsupportedFormat, WhenceError
from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.recording import Damage
from whence.query.engine import Engine
from whence.query.shapes import Budget, PageKey
from whence.query.words import events_text

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["export_csv", "export_parquet"]


_PAGE_ROWS = 20_000


class _Written(NamedTuple):
    events: int
    words: str
    damage: tuple[Damage, ...] = ()


def export_csv(
    choice: Choice,
    picked: Picked,
    output: str,
    codec: Codec | None,
    as_json: bool,
    *,
    everything: bool,
    spreadsheet: bool,
) -> int:
    """Writes the events picked and says how many; the command's exit code. Raises ExportError."""
    from whence.export.csv_file import BASIC, EVERYTHING, csv_lines

    columns = EVERYTHING if everything else BASIC
    if choice.is_store:
        with asking(choice, picked) as (engine, query), _opened(output) as file:
            stored = _Stored(engine, query)
            _copy(packed(csv_lines(stored, columns, spreadsheet=spreadsheet), codec), file)
        return _told(output, _Written(stored.events, picked.words), as_json)
    recording, events, words = filtered(choice, picked)
    rows = ((event, recording.wall_ns(event)) for event in events)
    with _opened(output) as file:
        _copy(packed(csv_lines(rows, columns, spreadsheet=spreadsheet), codec), file)
    return _told(output, _Written(len(events), words, recording.damage), as_json)


def export_parquet(
    choice: Choice, picked: Picked, output: str, codec: Codec | None, as_json: bool
) -> int:
    """The same as one Parquet file, which is compressed already."""
    if codec is not None:
        raise UnsupportedFormat("a Parquet file is compressed already: leave --compress out")
    try:
        from whence.export.parquet_file import write_parquet
    except ImportError as error:
        raise WhenceError(f"no Parquet here ({error}): pip install 'whence[store]'") from None
    table, written = _table(choice, picked)
    with _opened(output) as file:
        write_parquet(file, table)
    return _told(output, written, as_json)


class _Stored:
    """The events of a store with their wall times, oldest first; no more than a page is held.

    What is recorded meanwhile does not count. `events` says how many there were so far.
    """

    def __init__(self, engine: Engine, query: TraceQuery) -> None:
        self.events = 0
        self._engine = engine
        newest_ns = engine.newest_wall_ns()
        until_ns = query.until_wall_ns
        if newest_ns is not None and (until_ns is None or until_ns > newest_ns):
            query = replace(query, until_wall_ns=newest_ns + 1)
        self._query = query

    def __iter__(self) -> Iterator[tuple[TraceEvent, int | None]]:
        after: PageKey | None = None
        while True:
            page = self._engine.select(
                self._query, order="oldest", limit=_PAGE_ROWS, after=after, budget=Budget()
            )
            self.events += len(page.events)
            yield from zip(page.events, page.wall_ns, strict=True)
            after = page.next
            if after is None:
                return


def _table(choice: Choice, picked: Picked) -> tuple[pa.Table, _Written]:
    """A store's rows are taken as they are."""
    if choice.is_store:
        from whence.query.folder_engine import FolderEngine

        with asking(choice, picked) as (engine, query):
            if isinstance(engine, FolderEngine):
                table = engine.table(query, Budget(rows=None))
                return table, _Written(len(table), picked.words)
    from whence.export.columns import table_of
    from whence.store.segment import in_order

    recording, events, words = filtered(choice, picked)
    table = in_order(table_of(recording, events))
    return table, _Written(len(events), words, recording.damage)


@contextlib.contextmanager
def _opened(output: str) -> Iterator[BinaryIO]:
    if output == "-":
        require_output()
        yield sys.stdout.buffer
        return
    try:
        with replacing(Path(output)) as file:
            yield file
    except OSError as error:
        raise ExportError(f"cannot write {output}: {error.strerror or error}") from error


def _copy(parts: Iterable[bytes], file: BinaryIO) -> None:
    for part in parts:
        file.write(part)


def _told(output: str, written: _Written, as_json: bool) -> int:
    if output != "-" and as_json:
        print_json({"path": output, "events": written.events, "filters": written.words})
    elif output != "-":
        more = f" ({written.words})" if written.words else ""
        print_lines([line(safe(f"{output}: {events_text(written.events)}{more}"))])
    print_lines(damage_lines(written.damage), err=True)
    return INCOMPLETE if written.damage else 0
