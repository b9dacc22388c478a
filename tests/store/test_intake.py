"""What comes from outside: stored once, acknowledged when durable, bounded, and told of errors."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.store.failing import FailingDisk
from tests.store.offers import offer
from whence.model.errors import StoreBusy, StoreFull, StoreOwned
from whence.model.event import TraceEvent
from whence.model.time import Timestamp
from whence.store.columns import SCHEMA, events_of
from whence.store.delivery import StoreDelivery
from whence.store.disk import Disk
from whence.store.folder import FolderStore, Snapshot
from whence.store.intake import Intake, IntakeLimits, Receipt
from whence.store.outside import OVERFLOW, outside_session
from whence.store.tables import table_of

NOON = 1_700_000_000_000_000_000
DAY = 86_400_000_000_000


def events(numbers: Sequence[int], first_ns: int = NOON, name: str = "e") -> list[TraceEvent]:
    """Events with ids of their own, a millisecond apart."""
    return [
        TraceEvent(
            event_id=f"{name}-{number}",
            event_type="came",
            component="Door",
            timestamp=Timestamp(first_ns + number * 1_000_000),
            attributes={"n": number},
            trace_id=f"{number + 1:032x}",
        )
        for number in numbers
    ]


def rows(numbers: Sequence[int], first_ns: int = NOON, name: str = "e") -> pa.Table:
    """The same as a table of a store."""
    return table_of(events(numbers, first_ns, name), [])


SESSION = outside_session("test", {"service.name": "shop"}, "shop")


class Bench:
    """A store and its delivery, whose steps the test takes, by a clock that the test turns."""

    def __init__(
        self, path: Path, disk: Disk | None = None, limits: IntakeLimits | None = None
    ) -> None:
        self.now = 0.0
        self.store = FolderStore(path, write=True, disk=disk)
        self.delivery = StoreDelivery(self.store, clock=lambda: self.now, intake=limits)
        self.intake: Intake = self.delivery.intake

    def run(self, seconds: float = 1.0) -> None:
        """Lets the time pass and the delivery do what it can."""
        self.now += seconds
        for _ in range(20):
            if self.delivery.step() != 0.0:
                return

    def put(self, table: pa.Table) -> Receipt:
        """Stores rows of the session."""
        future = self.intake.offer([(table, SESSION)])
        self.run()
        return future.result(0)

    @property
    def snapshot(self) -> Snapshot:
        """What a reader sees."""
        return FolderStore(self.store.path).snapshot()

    def ids(self) -> list[str]:
        """The ids of all events that a reader sees."""
        return sorted(event.event_id for event in self.events())

    def events(self) -> list[TraceEvent]:
        """All events that a reader sees."""
        found = self.snapshot
        names = {key: each.info.name for key, each in found.sessions.items()}
        return [
            event
            for path in found.files
            for event in events_of(pq.read_table(path, partitioning=None), names)
        ]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """On a disk that works."""
    return Bench(tmp_path / "traces")


def test_rows_come_with_their_session_and_places(bench: Bench) -> None:
    """A receipt tells of rows that are there, in the ring of their session, counted on. R5.18"""
    assert bench.put(rows(range(3))) == Receipt(3, 0, bench.store.manifest.generation)
    assert bench.put(rows(range(3, 5))).stored == 2
    found = sorted(bench.events(), key=lambda event: event.ticket)
    assert [event.ticket for event in found] == [0, 1, 2, 3, 4]
    assert {event.session for event in found} == {SESSION.info.name}
    assert [event.attributes for event in found] == [{"n": n} for n in range(5)]
    assert [event.timestamp.value_ns - NOON for event in found] == [n * 10**6 for n in range(5)]
    session = bench.snapshot.sessions[SESSION.info.key]
    assert (session.info.service, session.info.run) == ("shop", "test")
    assert [(ring.recorded, ring.readable, ring.lost) for ring in session.rings] == [(5, 5, 0)]


def test_the_same_resource_is_the_same_session_everywhere() -> None:
    """A session's uuid and key follow from the kind of source and the resource alone. R5.18"""
    again = outside_session("test", {"service.name": "shop"}, "shop")
    assert again == SESSION
    assert outside_session("other", {"service.name": "shop"}).info.uuid != SESSION.info.uuid
    assert 0 < SESSION.info.key < 2**48


def test_what_is_there_is_not_stored_twice(bench: Bench) -> None:
    """Sent again, in parts or in other company, each event is there once, counted. R5.17 R5.18"""
    bench.put(rows(range(10)))
    assert bench.put(rows(range(10)))[:2] == (0, 10)
    assert bench.put(rows([11, 3, 11, 10]))[:2] == (2, 2)
    assert bench.ids() == sorted(f"e-{n}" for n in range(12))
    assert bench.intake.counts[:2] == (12, 12)


def test_what_another_owner_stored_is_known(tmp_path: Path) -> None:
    """The indexes of the files tell, after a restart and after files were merged. R5.18"""
    first = Bench(tmp_path / "traces")
    for number in range(0, 40, 2):
        first.put(rows([number, number + 1], NOON + number % 3 * DAY))
    first.store.close()
    second = Bench(tmp_path / "traces")
    for number in range(0, 40, 2):
        again = rows([number, number + 1, number + 100], NOON + number % 3 * DAY)
        assert second.put(again)[:2] == (1, 2)
    second.store.compact()
    second.store.close()
    third = Bench(tmp_path / "traces")
    assert len(third.snapshot.files) < 10
    for number in range(0, 40, 2):
        assert third.put(rows([number, number + 1], NOON + number % 3 * DAY))[:2] == (0, 2)
    assert len(third.ids()) == 60


def test_the_last_ones_are_known_whatever_their_time(bench: Bench) -> None:
    """An event sent again soon with another time is the same event. R5.18"""
    bench.put(rows([1, 2]))
    assert bench.put(rows([1, 2, 3], NOON + 5 * DAY))[:2] == (1, 2)


def test_rows_without_ids_are_all_stored(bench: Bench) -> None:
    """Nothing can be said of an event that has no id of its own. R5.18"""
    table = rows([1, 2])
    nameless = table.set_column(
        table.schema.get_field_index("event_id"),
        SCHEMA.field("event_id"),
        pa.nulls(2, pa.string()),
    )
    assert bench.put(nameless).stored == 2
    assert bench.put(nameless).stored == 2
    assert len(set(bench.ids())) == 4


def test_several_wait_for_one_commit(bench: Bench) -> None:
    """What came since the last commit goes into one; each is told of its own rows. R5.18"""
    futures = [bench.intake.offer([(rows([n, n + 1]), SESSION)]) for n in range(0, 10)]
    bench.run()
    found = [future.result(0) for future in futures]
    assert [each[:2] for each in found] == [(2, 0), *[(1, 1)] * 9]
    assert len({each.generation for each in found}) == 1
    assert len(bench.ids()) == 11


def test_commits_keep_their_distance(bench: Bench) -> None:
    """A second put waits a tenth of a second for company; the first one does not. R5.18"""
    assert bench.put(rows([1])).stored == 1
    future = bench.intake.offer([(rows([2]), SESSION)])
    wait = bench.delivery.step()
    assert wait == pytest.approx(0.1)
    assert not future.done()
    bench.run()
    assert future.result(0).stored == 1


def test_rings_and_what_comes_from_outside_share_a_store(bench: Bench) -> None:
    """Events of rings and others are committed by one thread; neither moves the other. R5.18"""
    bench.delivery.offer(offer(0, 10))
    future = bench.intake.offer([(rows(range(5)), SESSION)])
    bench.run()
    assert future.result(0).stored == 5
    manifest = bench.snapshot.manifest
    assert manifest.rows == 15
    assert manifest.positions[SESSION.info.uuid] == {0: 5}
    assert manifest.ledger.delivered == 10
    assert bench.delivery.acknowledged() == manifest.acknowledged
    bench.delivery.offer(offer(10, 20))
    bench.run()
    assert bench.snapshot.manifest.rows == 25


def test_a_full_queue_refuses_at_once(tmp_path: Path) -> None:
    """Memory is bounded: who comes when it is used up is told to come again. R5.18"""
    bench = Bench(tmp_path / "traces", limits=IntakeLimits(queue_bytes=1))
    future = bench.intake.offer([(rows([1]), SESSION)])  # one alone is always taken
    with pytest.raises(StoreBusy) as caught:
        bench.intake.offer([(rows([2]), SESSION)])
    assert caught.value.retry_after_s > 0
    bench.run()
    assert future.result(0).stored == 1
    assert bench.put(rows([2])).stored == 1
    assert bench.intake.counts.refused == 1
    assert bench.intake.queued_bytes == 0


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """Nothing waits for a disk without room: the sender is told, and may send it again. R5.18"""
    disk = FailingDisk(-1, until_freed=True)
    bench = Bench(tmp_path / "traces", disk)
    bench.put(rows([1]))
    disk.at = len(disk.done) + 1
    with pytest.raises(StoreFull):
        bench.put(rows([2]))
    disk.free()
    assert bench.put(rows([2])).stored == 1
    assert bench.ids() == ["e-1", "e-2"]


def test_after_a_failure_at_any_step_sending_again_stores_once(tmp_path: Path) -> None:
    """Whichever operation fails, an error is told, and the second try is there once. R5.18"""
    number, failures = 0, 0
    while True:
        disk = FailingDisk(-1)
        bench = Bench(tmp_path / str(number), disk)
        bench.put(rows([0]))
        number += 1
        disk.at = len(disk.done) + number
        future = bench.intake.offer([(rows([1, 2]), outside_session("new"))])
        bench.run()
        if future.done() and future.exception() is not None:
            failures += 1
            future = bench.intake.offer([(rows([1, 2]), outside_session("new"))])
        for _ in range(5):
            bench.run()
        assert sum(future.result(0)[:2]) == 2
        assert bench.ids() == ["e-0", "e-1", "e-2"]
        bench.store.close()
        if disk.at > len(disk.done):
            break
    assert failures > 5


def test_a_table_that_is_none_is_refused_alone(bench: Bench) -> None:
    """What cannot be stored is told to its sender, and keeps out nobody else. R5.18"""
    with pytest.raises(KeyError):
        bench.intake.offer([(pa.table({"ts_ns": [1]}), SESSION)])
    table = rows([1])
    at = table.schema.get_field_index("severity")
    with pytest.raises(ValueError, match="severity"):
        bench.intake.offer([(table.set_column(at, "severity", pa.array([9])), SESSION)])
    with pytest.raises(ValueError, match="no rows"):
        bench.intake.offer([(table.set_column(0, "ts_ns", pa.array(["noon"])), SESSION)])
    assert bench.put(rows([1])).stored == 1


def test_too_many_resources_share_a_session(tmp_path: Path) -> None:
    """A flood of resources makes no flood of files: rows are kept, and counted. R5.18"""
    bench = Bench(tmp_path / "traces", limits=IntakeLimits(most_sessions=3))
    futures: list[Future[Receipt]] = []
    for n in range(6):
        session = outside_session("otlp", {"service.name": f"s-{n}"})
        futures.append(bench.intake.offer([(rows([n]), session)]))
        bench.run()
    assert [future.result(0).overflowed for future in futures] == [0, 0, 0, 1, 1, 1]
    sessions = bench.snapshot.sessions.values()
    assert len(sessions) == 4
    assert [each.info.resource for each in sessions if each.info.resource[0][0] == OVERFLOW]
    assert len(bench.ids()) == 6
    assert bench.intake.counts.overflowed == 3


def test_putting_waits_until_it_is_durable(tmp_path: Path) -> None:
    """With the thread at work, many at once come back with all of theirs stored. R5.18"""
    store = FolderStore(tmp_path / "traces", write=True)
    delivery = StoreDelivery(store, intake=IntakeLimits(pause_s=0.01))
    delivery.start()
    found: list[Receipt] = []

    def put(first: int) -> None:
        for n in range(first, first + 10):
            found.append(delivery.intake.put(rows([2 * n, 2 * n + 1]), SESSION))

    threads = [threading.Thread(target=put, args=(10 * n,)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sum(each.stored for each in found) == 80
    delivery.finish(5.0)
    assert FolderStore(store.path).snapshot().manifest.rows == 80
    with pytest.raises(StoreOwned):
        delivery.intake.put(rows([1]), SESSION)


def test_what_waits_at_the_end_is_told(bench: Bench) -> None:
    """A store that closes answers everybody who waits. R5.18"""
    future = bench.intake.offer([(rows([1]), SESSION)])
    bench.delivery.finish(0.0)
    with pytest.raises(StoreOwned):
        future.result(0)


def test_waiting_ends(tmp_path: Path) -> None:
    """Where nothing commits, putting is given up, and leaves nothing behind. R5.18"""
    bench = Bench(tmp_path / "traces", limits=IntakeLimits(wait_s=0.01))
    with pytest.raises(StoreBusy):
        bench.intake.put(rows([1]), SESSION)
    bench.run()
    assert bench.ids() == []
    assert bench.intake.queued_bytes == 0
