"""Answers of any length come a piece at a time, and are those that came at once."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("duckdb", reason="stores are asked with duckdb")
pytest.importorskip("pyarrow", reason="stores are read with pyarrow")

from tests.query.build import event, inference_chain, recording
from tests.query.stores import stored
from tests.query.test_folder_engine import engine_over, plainly
from tests.query.worlds import SESSIONS, Clause, events_in, queries
from whence.export.columns import table_of
from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.query.engines.duck import Duck
from whence.query.engines.folder import FolderEngine
from whence.store.folder import FolderStore


@settings(max_examples=20, deadline=None)
@given(events=events_in(), asked=queries(), size=st.integers(1, 7))
def test_pieces_are_the_recording(
    events: tuple[TraceEvent, ...], asked: tuple[TraceQuery, list[Clause]], size: int
) -> None:
    """R4.45 R5.11 Piece by piece there are the same events by wall time, and what is known."""
    with engine_over(Recording(events, sessions=SESSIONS), segments=3) as engine:
        for query in (asked[0], TraceQuery()):
            whole = engine.recording(query)
            known, pieces = engine.in_pieces(query, size)
            found = list(pieces)
            assert all(0 < len(piece.table) <= size for piece in found[:-1])
            events_found = [each for piece in found for each in piece.events()]
            assert plainly(replace(known, events=tuple(events_found)).events) == plainly(
                whole.events
            )
            assert plainly(events_found) == plainly(engine.select(query, limit=1_000).events)
            assert [each for piece in found for each in piece.wall_ns()] == list(
                engine.select(query, limit=1_000).wall_ns
            )
            assert known.sessions == whole.sessions
            assert (known.kinds, known.rings) == (whole.kinds, whole.rings)


def test_pieces_go_on_where_files_were_replaced(tmp_path: Path) -> None:
    """R5.11 R5.17 Files that are merged and gone meanwhile cost nothing, and newer events wait."""
    ticks = [event("tick", n, ticket=n) for n in range(60)]
    source = recording(ticks)
    folder = stored(tmp_path / "store", source, segments=20)
    with FolderEngine(folder, threads=1) as engine:
        _, pieces = engine.in_pieces(TraceQuery(), 7)
        seen = [each.event_id for each in next(pieces).events()]
        with FolderStore(folder, write=True, words="test") as store:
            store.append(table_of(recording([event("tick", 99, ticket=99)])))
            store.compact()
            kept = {each.name for each in store.snapshot().manifest.files}
            for path in folder.glob("events/*/*.parquet"):
                if str(path.relative_to(folder)) not in kept:
                    path.unlink()
        seen += [each.event_id for piece in pieces for each in piece.events()]
    assert seen == [each.event_id for each in ticks]


def test_a_file_that_is_gone_for_good_is_told(tmp_path: Path) -> None:
    """R5.11 It is looked for once more, and then missed."""
    folder = stored(tmp_path / "store", recording(inference_chain()))
    with FolderEngine(folder, threads=1) as engine:
        _, pieces = engine.in_pieces(TraceQuery())
        for path in folder.glob("events/*/*.parquet"):
            path.unlink()
        with pytest.raises(FileNotFoundError):
            next(pieces)


def test_ctrl_c_ends_a_question_at_once(tmp_path: Path) -> None:
    """R4.7 While DuckDB works an interruption is seen, and the next question is answered."""
    endless = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"
    duck = Duck(tmp_path, threads=1)
    try:
        for ask in (duck.rows, duck.table):
            timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
            timer.start()
            with pytest.raises(KeyboardInterrupt):
                ask(endless)
            timer.join()
            assert duck.rows("SELECT 1") == [(1,)]
    finally:
        duck.close()
