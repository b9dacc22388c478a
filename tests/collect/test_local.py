"""Reading this process's own rings through the memory of their writers."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

import whence
from tests.apps import AppRun
from tests.own_events import OwnEvents
from whence import _native
from whence.collect.local import drain_local, local_ledgers, local_session, without_holes
from whence.model.ids import event_id, parse_event_id
from whence.model.time import Timestamp

RunApp = Callable[..., AppRun]

tick = whence.kind("local_tick", component="Local", n=int)


def test_the_local_session_is_the_one_on_disk() -> None:
    """Memory and file say the same of this process. P7"""
    tick(1)
    session = local_session()
    assert session is not None
    assert session.live
    (found,) = [s for s in whence_sessions() if s.name == session.name]
    assert found == session


def test_before_the_first_event_there_is_no_session(run_app: RunApp) -> None:
    """Asking makes none. P15"""
    run_app("""
        from whence.collect.local import local_session
        from whence import _native
        assert local_session() is None
        assert _native.session() is None and _native.session_bytes() is None
        assert _native.local_rings() == []
    """)


def test_an_emitted_event_has_an_id_that_says_where_it_is(recorded: OwnEvents) -> None:
    """A UUIDv8 of session key, ring and ticket, alike in C++ and Python. R0.22 R0.34"""
    for n in range(3):
        tick(n)
    session = local_session()
    assert session is not None
    for event in recorded():
        place = (session.key, event.ring, event.ticket)
        assert event.event_id == event_id(*place)
        assert parse_event_id(event.event_id) == place
        assert event.session == session.name
    assert len({event.event_id for event in recorded()}) == 3


def test_now_is_the_clock_of_events(recorded: OwnEvents) -> None:
    """A thread's time never goes back, whichever ring takes the event. R0.5 R0.6 R0.25 R0.40 P19"""
    collector = whence.TraceCollector(2000)
    read: list[Timestamp] = []
    for n in range(2000):
        read.append(Timestamp.now())
        tick(n)
        read.append(Timestamp.now())
        collector.record_now("t", "C")
    read.append(Timestamp.now())
    times = [event.timestamp for event in recorded()]
    assert len(times) == 4000
    for before, time, after in zip(read, times, read[1:], strict=False):
        assert before <= time <= after
    assert [event.event_type for event in recorded()] == ["local_tick", "t"] * 2000


def test_each_ring_has_its_ledger(recorded: OwnEvents) -> None:
    """Reading with ledgers gives the same events, and counts that close. P3"""
    tick(1)
    session = local_session()
    assert session is not None
    batch, _ = drain_local(_native.local_rings(), session)
    again, catalogue, ledgers = local_ledgers(_native.local_rings(), session)
    assert len(batch) == len(again)
    assert all(ledger.closes and ledger.in_flight == 0 for ledger in ledgers)
    assert sum(ledger.readable for ledger in ledgers) == len(again)
    assert any(row[1] == "local_tick" for row in catalogue.kinds())


def test_a_ring_stays_readable_when_its_collector_is_gone() -> None:
    """A reader that was made before keeps the memory, as long as it needs it. P9 P12"""
    collector = whence.TraceCollector(10)
    collector.record_now("kept", "C", "while it is read")
    session = local_session()
    assert session is not None
    readers = [reader for reader in _native.local_rings() if reader.shared]
    del collector
    gc.collect()
    batch, _ = drain_local(readers, session)
    assert "while it is read" in {row[7] for row in batch.rows()}
    del readers
    assert "kept" not in {event.event_type for event in whence.collector()}


def test_collectors_may_come_and_go_while_others_read() -> None:
    """One thread asks for everything, another makes and drops collectors. R0.38 R0.45 P9"""
    done = threading.Event()
    errors: list[BaseException] = []

    def read() -> None:
        try:
            while not done.is_set():
                whence.collector().recording()
        except BaseException as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(200):
        collector = whence.TraceCollector(20)
        collector.record_now("t", "C", str(n))
        assert [event.rationale for event in collector] == [str(n)]
    done.set()
    reader.join()
    assert errors == []


def test_a_batch_is_for_one_thread_at_a_time() -> None:
    """Wrong kinds of arguments are TypeErrors, and a seek beyond the end finds nothing. P14"""
    tick(1)
    batch, catalogue = _native.Batch(), _native.Catalogue()
    (reader, *_) = _native.local_rings()
    with pytest.raises(TypeError):
        batch.drain(None, catalogue, "s", 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        batch.drain(reader, catalogue, 5, 1)  # type: ignore[arg-type]
    reader.seek(2**60)
    assert batch.drain(reader, catalogue, "s", 1) == 0
    assert batch.rows() == []
    assert batch.time_range(0) is None


def whence_sessions() -> list[object]:
    """The sessions of this process's folder."""
    from whence.collect.sessions import list_sessions

    return list(list_sessions())


def row_at(ring: int, ticket: int) -> Any:
    """A row of which only the place matters."""
    return (*("",) * 18, ring, ticket)


@pytest.mark.parametrize(
    ("tickets", "kept"),
    [
        ([], []),
        ([4], [4]),
        ([4, 5, 6], [4, 5, 6]),
        ([4, 5, 9, 10], [9, 10]),
        ([1, 4, 5, 9, 8], [8, 9]),
        ([1, 3], [3]),
    ],
)
def test_a_copy_that_was_overtaken_begins_behind_the_last_hole(
    tickets: list[int], kept: list[int]
) -> None:
    """What was copied before a writer came round is no longer in the ring. R0.45"""
    rows = [row_at(1, ticket) for ticket in tickets] + [row_at(2, 7)]
    places = [(row[18], row[19]) for row in without_holes(rows)]
    assert sorted(places) == [*((1, ticket) for ticket in kept), (2, 7)]
