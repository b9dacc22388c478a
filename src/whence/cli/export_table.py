"""whence export --format csv and parquet: events as rows of a table."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from whence.cli.asked import filtered, in_pieces
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
from whence.model.recording import Damage
from whence.query.engines.declared_order import in_declared_order
from whence.query.words import events_text

if TYPE_CHECKING:
    from whence.query.engines.pieces import Piece

__all__ = ["export_csv", "export_parquet"]


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

    def write(rows: Iterable[tuple[TraceEvent, int | None]]) -> None:
        lines = csv_lines(rows, EVERYTHING if everything else BASIC, spreadsheet=spreadsheet)
        with _opened(output) as file:
            _copy(packed(lines, codec), file)

    if choice.is_store:
        with in_pieces(choice, picked) as (recording, pieces):
            counted = _Counted(pieces)
            write(
                row
                for piece in counted
                for row in zip(
                    in_declared_order(piece.events(), recording.kinds),
                    piece.wall_ns(),
                    strict=True,
                )
            )
        return _told(output, _Written(counted.rows, picked.words, recording.damage), as_json)
    recording, events, words = filtered(choice, picked)
    write((event, recording.wall_ns(event)) for event in events)
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
    if choice.is_store:
        with in_pieces(choice, picked) as (recording, pieces), _opened(output) as file:
            counted = _Counted(pieces)
            write_parquet(file, (piece.table for piece in counted))
        return _told(output, _Written(counted.rows, picked.words, recording.damage), as_json)
    from whence.export.columns import table_of
    from whence.store.segment import in_order

    recording, events, words = filtered(choice, picked)
    table = in_order(table_of(recording, events))
    with _opened(output) as file:
        write_parquet(file, [table])
    return _told(output, _Written(len(events), words, recording.damage), as_json)


class _Counted:
    """Pieces, and how many rows there were in those that were taken."""

    def __init__(self, pieces: Iterator[Piece]) -> None:
        self._pieces = pieces
        self.rows = 0

    def __iter__(self) -> Iterator[Piece]:
        for piece in self._pieces:
            self.rows += len(piece.table)
            yield piece


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
