"""The rules that every store keeps (whence.store.store), as tests to inherit."""

from __future__ import annotations

import random
import threading
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pytest

from tests.conformance.awkward import UUIDS, awkward_world
from tests.query.build import event, session
from whence.collect.sink_ledger import SinkLedger
from whence.export.columns import table_of
from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.recording import Recording, SessionInfo
from whence.query.engines.engine import Engine
from whence.query.plain import plain_event
from whence.store.sessions import StoredSession
from whence.store.store import Store, WholeStore

__all__ = ["StoreConformance", "WholeStoreConformance", "tell"]

UUID = UUIDS[0]
READS = 30


def tell(store: Store, infos: Sequence[SessionInfo]) -> None:
    """Tells a store of these sessions."""
    for info in infos:
        store.put_session(StoredSession(info=info))


class StoreConformance:
    """Inherit it as class Test<Name>, give it a fixture `store`, and say how it is asked."""

    @abstractmethod
    def engine_over(self, store: Any) -> Engine:
        """What answers questions over the store."""

    @pytest.fixture
    def one(self, store: Store) -> SessionInfo:
        """A session that the store knows."""
        info = session(key=7)
        info = SessionInfo(info.name, uuid=UUID, key=7, anchors=info.anchors)
        tell(store, [info])
        return info

    def test_events_of_every_sort_come_back(self, store: Store) -> None:
        """R4.68 R4.64 All columns at their limits, texts of all sorts, times of centuries."""
        world = awkward_world()
        tell(store, world.sessions)
        events = list(world.events)
        random.Random(7).shuffle(events)
        for first in range(3):
            store.append(table_of(world, events[first::3]))
        found = self._events(store)
        assert _plain(found) == _plain(sorted(events, key=lambda each: _place(world, each)))

    def test_rows_are_seen_in_their_order(self, store: Store, one: SessionInfo) -> None:
        """R4.64 Whatever order they came in: that of time, session, ring and ticket."""
        second = SessionInfo("second", uuid=UUIDS[1], key=9, anchors=one.anchors)
        tell(store, [second])
        events = [
            event("tick", n // 4, ticket=n, ring=n % 2, session=info.name)
            for n in range(24)
            for info in (one, second)
        ]
        random.Random(3).shuffle(events)
        world = Recording(tuple(events), sessions=(one, second))
        store.append(table_of(world, events[:20]))
        store.append(table_of(world, events[20:]))
        right = sorted(events, key=lambda each: _place(world, each))
        assert _plain(self._events(store)) == _plain(right)

    def test_one_append_may_be_of_many_days(self, store: Store, one: SessionInfo) -> None:
        """R4.64 A clock that was set wrong must not keep events out."""
        days = [
            event("tick", n * 86_400_000, ticket=n, session=one.name, request_id="r")
            for n in range(150)
        ]
        store.append(table_of(Recording(tuple(days), sessions=(one,))))
        assert self._tickets(store) == list(range(150))

    def test_an_append_without_rows_shows_none(self, store: Store, one: SessionInfo) -> None:
        """R4.64 It is allowed, before the first event and after it."""
        empty = self._table(one, [])
        store.append(empty)
        assert self._events(store) == ()
        store.append(self._table(one, range(3)))
        store.append(empty, {UUID: {0: 3}})
        assert self._tickets(store) == [0, 1, 2]

    def test_a_repeated_append_doubles_nothing(self, store: Store, one: SessionInfo) -> None:
        """R4.64 Nobody may know whether an append arrived: it is done again then."""
        for first in (0, 3):
            for _ in range(3):
                rows = self._table(one, range(first, first + 3))
                store.append(rows, {UUID: {0: first + 3}}, SinkLedger(read=first + 3))
        store.append(self._table(one, range(3)), {UUID: {0: 3}})
        assert self._tickets(store) == list(range(6))

    def test_what_cannot_be_taken_leaves_all_as_it_was(
        self, store: Store, one: SessionInfo
    ) -> None:
        """R4.64 A table that is none of events raises, and the next one is taken."""
        store.append(self._table(one, range(3)), {UUID: {0: 3}})
        for wrong in self._wrong_tables(one):
            with pytest.raises((KeyError, ValueError, OSError)):
                store.append(wrong, {UUID: {0: 6}}, SinkLedger(read=6))
        assert self._tickets(store) == [0, 1, 2]
        store.append(self._table(one, range(3, 6)), {UUID: {0: 6}})
        assert self._tickets(store) == list(range(6))

    def test_sessions_are_told_of_with_the_latest_that_is_known(self, store: Store) -> None:
        """R4.64 What is told later takes the place of what was told before."""
        info = SessionInfo("s", uuid=UUID, key=7, pid=1, service="before")
        tell(store, [info, SessionInfo("s", uuid=UUID, key=7, pid=1, service="after")])
        tell(store, [SessionInfo("t", uuid=UUIDS[1], key=2**48 - 1)])
        with closing(self.engine_over(store)) as engine:
            found = {each.name: each for each in engine.sessions()}
        assert set(found) == {"s", "t"}
        assert (found["s"].service, found["t"].key) == ("after", 2**48 - 1)

    def test_a_store_may_be_closed_twice(self, store: Store) -> None:
        """R4.64 It has a name before and after."""
        name = store.name
        store.close()
        store.close()
        assert store.name == name != ""

    def test_readers_beside_a_writer_never_go_back(self, store: Store, one: SessionInfo) -> None:
        """R4.64 R4.62 What was seen once is there ever after; what was acknowledged is seen."""
        acknowledged = 0
        over = threading.Event()
        wrong: list[object] = []

        def look() -> None:
            before: set[int] = set()
            try:
                with closing(self.engine_over(store)) as engine:
                    while not over.is_set():
                        least = acknowledged
                        found = engine.select(TraceQuery(), limit=10_000).events
                        tickets = [each.ticket for each in found]
                        if sorted(set(tickets)) != tickets or not before <= set(tickets):
                            wrong.append((sorted(before), tickets))
                        if len(tickets) < least:
                            wrong.append((least, tickets))
                        before = set(tickets)
                        self._check_seen(tickets, wrong)
            except Exception as error:
                wrong.append(error)

        readers = [threading.Thread(target=look) for _ in range(2)]
        for reader in readers:
            reader.start()
        try:
            for first in range(0, 5 * READS, 5):
                rows = self._table(one, range(first, first + 5))
                store.append(rows, {UUID: {0: first + 5}})
                acknowledged = first + 5
        finally:
            over.set()
            for reader in readers:
                reader.join()
        assert wrong == []
        assert self._tickets(store) == list(range(5 * READS))

    def _check_seen(self, tickets: Sequence[int], wrong: list[object]) -> None:
        """What else must hold of what a reader saw."""

    def _wrong_tables(self, info: SessionInfo) -> list[Any]:
        table = self._table(info, range(3, 6))
        return [table.drop_columns(["ts_ns"]), table.drop_columns(["ticket"])]

    def _table(self, info: SessionInfo, tickets: Sequence[int] | range) -> Any:
        """Events of one ring, a millisecond apart."""
        events = [event("tick", n, ticket=n, session=info.name) for n in tickets]
        return table_of(Recording(tuple(events), sessions=(info,)), events)

    def _events(self, store: Store) -> tuple[TraceEvent, ...]:
        with closing(self.engine_over(store)) as engine:
            return engine.select(TraceQuery(), limit=10_000).events

    def _tickets(self, store: Store) -> list[int]:
        return [each.ticket for each in self._events(store)]


class WholeStoreConformance(StoreConformance):
    """The same for stores whose commits are whole: rows, positions and ledger."""

    def test_positions_and_ledger_move_with_the_rows(
        self, store: WholeStore, one: SessionInfo
    ) -> None:
        """R4.64 What an append leaves out stays; a snapshot stays what it was."""
        before = store.snapshot()
        ledger = SinkLedger(read=5, delivered=5)
        store.append(self._table(one, range(5)), {UUID: {0: 5}}, ledger)
        between = store.snapshot()
        store.append(self._table(one, range(5, 6)), {UUID: {0: 6}, UUIDS[1]: {3: 1}})
        after = store.snapshot()
        assert [each.manifest.rows for each in (before, between, after)] == [0, 5, 6]
        assert (before.manifest.positions, before.manifest.ledger) == ({}, SinkLedger())
        assert (between.manifest.positions, between.manifest.ledger) == ({UUID: {0: 5}}, ledger)
        assert after.manifest.positions == {UUID: {0: 6}, UUIDS[1]: {3: 1}}
        assert after.manifest.ledger == ledger
        assert before.generation < between.generation < after.generation
        assert store.manifest == after.manifest

    def test_without_rows_positions_and_ledger_move(
        self, store: WholeStore, one: SessionInfo
    ) -> None:
        """R4.64 What was read and is not wanted counts as well, and so does what became of it."""
        store.append(self._table(one, []), {UUID: {0: 5}}, SinkLedger(read=5, filtered=5))
        store.append(self._table(one, []), {UUID: {0: 5}}, SinkLedger(read=5, filtered=4, lost=1))
        assert store.manifest.positions == {UUID: {0: 5}}
        assert store.manifest.ledger == SinkLedger(read=5, filtered=4, lost=1)

    def test_what_raised_moved_nothing(self, store: WholeStore, one: SessionInfo) -> None:
        """R4.64 Neither rows nor positions nor ledger nor generation."""
        store.append(self._table(one, range(3)), {UUID: {0: 3}}, SinkLedger(read=3))
        before = store.snapshot()
        for wrong in self._wrong_tables(one):
            with pytest.raises((KeyError, ValueError)):
                store.append(wrong, {UUID: {0: 6}}, SinkLedger(read=6))
        mixed = {UUID: {0: 2, 1: 4}}
        with pytest.raises(ValueError, match="go back"):
            store.append(self._table(one, range(3, 6)), mixed, SinkLedger(read=7))
        with pytest.raises(ValueError, match="go back"):
            store.append(self._table(one, []), {UUID: {0: 2}})
        assert store.snapshot().manifest == before.manifest
        assert self._tickets(store) == [0, 1, 2]

    def test_a_repeated_append_changes_nothing(self, store: WholeStore, one: SessionInfo) -> None:
        """R4.64 The ledger stays that of the rows; the same rows without positions are new ones."""
        store.append(self._table(one, range(3)), {UUID: {0: 3, 1: 0}}, SinkLedger(read=3))
        before = store.snapshot()
        store.append(self._table(one, range(3)), {UUID: {0: 3}}, SinkLedger(read=6))
        store.append(self._table(one, range(2)), {UUID: {0: 2, 1: 0}}, SinkLedger(read=2))
        assert store.snapshot().manifest == before.manifest
        store.append(self._table(one, range(3)))
        assert store.manifest.rows == 6

    def _check_seen(self, tickets: Sequence[int], wrong: list[object]) -> None:
        if len(tickets) % 5:
            wrong.append(("part of a commit", tickets))


def _place(world: Recording, each: TraceEvent) -> tuple[int, ...]:
    info = world.session(each.session)
    assert info is not None
    wall_ns = world.wall_ns(each)
    assert wall_ns is not None
    return wall_ns, info.key, each.ring, each.ticket


def _plain(events: Sequence[TraceEvent]) -> list[dict[str, Any]]:
    """In a form in which NaN equals itself."""
    return [plain_event(each) for each in events]
