"""What commands ask of: an engine over the chosen source, whether that is a store or small."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from whence.cli.filters import Picked
from whence.cli.render.waiting import counting, waiting
from whence.cli.sources import Choice
from whence.model.errors import BudgetExceeded
from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.query.engines.engine import Engine
from whence.query.engines.memory import InMemory
from whence.query.engines.shapes import Aggregate, Budget
from whence.query.index import Index

if TYPE_CHECKING:
    from collections.abc import Callable

    from whence.query.engines.pieces import InPieces, Piece

__all__ = ["asking", "explained", "filtered", "in_pieces", "indexed", "ledger_of", "whole_chains"]


@contextlib.contextmanager
def asking(choice: Choice, picked: Picked) -> Iterator[tuple[Engine, TraceQuery]]:
    """An engine over the source, and the question that the filters put to it; it is closed after.

    Of small sources the newest events are chosen beforehand: these may know no wall time.
    """
    if not choice.is_store:
        recording = choice.recording()
        picked.warn(recording.kinds, recording.events)
        if picked.last is not None:
            recording = replace(recording, events=picked.of(recording))
        yield InMemory(recording), picked.query
        return
    with contextlib.closing(choice.engine()) as engine, waiting("asking the store"):
        yield engine, _since(picked, engine)


def explained(
    choice: Choice,
    picked: Picked,
    text: str | None,
    *,
    related: bool = False,
    most_rows: int | None = None,
) -> tuple[Recording, str | None, Callable[[TraceEvent], bool] | None]:
    """What explains the chain of that id, or of the newest that went wrong: for whence.query.why.

    The recording, the text to look for in it, and, of the newest, which event it is.
    """
    from whence.query.reach import MOST_ROWS, around, around_newest_wrong

    most_rows = most_rows or MOST_ROWS
    with contextlib.closing(choice.engine()) as engine, waiting("looking into the store"):
        if text is not None:
            return *around(engine, text, related=related, most_rows=most_rows), None
        recording, chosen = around_newest_wrong(engine, _since(picked, engine), most_rows=most_rows)
        key = chosen.order_key, chosen.event_id
        return recording, None, lambda event: (event.order_key, event.event_id) == key


def indexed(choice: Choice, text: str) -> tuple[Index, str]:
    """What holds the chain of that id, of a store no more than that, and the text to look for."""
    if not choice.is_store:
        return Index(choice.recording()), text
    recording, found, _ = explained(choice, Picked(TraceQuery()), text)
    return Index(recording), found or text


def filtered(choice: Choice, picked: Picked) -> tuple[Recording, tuple[TraceEvent, ...], str]:
    """The recording, its events that were asked for, and in words what was left out, if anything.

    Of a store only these events are read.
    """
    if not choice.is_store:
        recording = choice.recording()
        picked.warn(recording.kinds, recording.events)
        events = picked.of(recording)
        return recording, events, picked.words if len(events) < len(recording.events) else ""
    with asking(choice, picked) as (engine, query):
        recording = engine.recording(query, Budget())
    return recording, recording.events, picked.words


@contextlib.contextmanager
def in_pieces(choice: Choice, picked: Picked) -> Iterator[tuple[Recording, Iterator[Piece]]]:
    """The events of a store that were asked for, a piece at a time, and what is known besides.

    A terminal tells how many have been taken.
    """
    with contextlib.closing(choice.engine()) as engine:
        query = _since(picked, engine)
        asked: InPieces = cast("InPieces", engine)  # all engines over stores are
        with counting("writing") as more:
            known, pieces = asked.in_pieces(query)
            yield known, _counted(pieces, more)


def _counted(pieces: Iterator[Piece], more: Callable[[int], None]) -> Iterator[Piece]:
    for piece in pieces:
        yield piece
        more(len(piece.table))


@contextlib.contextmanager
def whole_chains(
    choice: Choice, picked: Picked, most_rows: int | None = None
) -> Iterator[tuple[Iterable[Recording], Callable[[Index], Callable[[TraceEvent], bool]] | None]]:
    """The source in recordings that hold their chains whole, and which events are asked for.

    Of a store they are read one after the other, with chains alone that have such an event;
    BudgetExceeded is raised for more events than `most_rows`.
    """
    if not choice.is_store:
        recording = choice.recording()
        picked.warn(recording.kinds, recording.events)
        yield [recording], None if picked.everything else picked.among
        return
    with contextlib.closing(choice.engine()) as engine, waiting("reading the store"):
        query = _since(picked, engine)
        recordings = _at_most(most_rows, engine.whole_chains(query))
        yield recordings, None if picked.everything else _matching(query)


def _at_most(rows: int | None, recordings: Iterable[Recording]) -> Iterator[Recording]:
    count = 0
    for recording in recordings:
        count += len(recording.events)
        if rows is not None and count > rows:
            raise BudgetExceeded(f"the chains have more than {rows} events")
        yield recording


def _matching(query: TraceQuery) -> Callable[[Index], Callable[[TraceEvent], bool]]:
    def among(index: Index) -> Callable[[TraceEvent], bool]:
        return lambda event: query.matches(event, index.recording.wall_ns(event))

    return among


def ledger_of(choice: Choice, picked: Picked) -> tuple[Recording, dict[str, Any] | None]:
    """The ledgers of a store without its events, and how many of these pass the filters, if any."""
    with asking(choice, picked) as (engine, query):
        recording = Recording(sessions=tuple(engine.sessions()), rings=tuple(engine.ledger()))
        if picked.everything:
            return recording, None
        by_type = engine.aggregate(Aggregate(("type",), measures=("count",)), query)
    counts = {
        "filters": picked.words,
        "events": sum(row.rows for row in by_type),
        "readable": sum(ring.readable for ring in recording.rings),
        "by_type": {row.keys[0]: row.rows for row in by_type},
    }
    return recording, counts


def _since(picked: Picked, engine: Engine) -> TraceQuery:
    """The query, from so long before the newest event of all on."""
    query = picked.query
    newest_ns = engine.newest_wall_ns()
    if picked.last is None or newest_ns is None:
        return query
    since_ns = newest_ns - picked.last.nanos
    return replace(query, from_wall_ns=max(since_ns, query.from_wall_ns or since_ns))
