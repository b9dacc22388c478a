"""A store's queue: bounded, counted, committed with its positions, and patient with a full disk."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.store.failing import FailingDisk
from tests.store.offers import offer, session
from tests.store.rows import tickets_in
from whence.collect.delivery import Limits
from whence.collect.sink_ledger import SinkLedger
from whence.store.delivery import StoreDelivery
from whence.store.disk import Disk
from whence.store.folder import FolderStore

DISK_FULL = "No space left on device"


class Bench:
    """A store, its delivery, and a clock that the test turns."""

    def __init__(self, path: Path, disk: Disk | None = None, limits: Limits | None = None) -> None:
        self.now = 0.0
        self.store = FolderStore(path, write=True, disk=disk)
        self.delivery = StoreDelivery(self.store, limits, clock=lambda: self.now)

    def run(self, seconds: float = 0.0) -> None:
        """Lets the time pass and the delivery do what it can."""
        self.now += seconds
        for _ in range(20):
            if self.delivery.step() != 0.0:
                return

    def seen(self) -> list[int]:
        """The tickets that a reader sees."""
        return tickets_in(FolderStore(self.store.path).snapshot())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """On a disk that works."""
    return Bench(tmp_path / "traces")


def test_offers_are_committed_with_positions_and_ledger(bench: Bench) -> None:
    """What was offered is there with the next commit, and all of the account with it."""
    bench.delivery.offer(offer(0, 10, lost=3))
    bench.delivery.offer(offer(10, 25))
    assert bench.delivery.ledger().queued == 25
    bench.run()
    manifest = bench.store.snapshot().manifest
    assert bench.seen() == list(range(25))
    assert manifest.ledger == SinkLedger(read=25, delivered=25, lost=3)
    assert bench.delivery.ledger() == manifest.ledger
    assert bench.delivery.acknowledged() == manifest.acknowledged
    (ends,) = manifest.positions.values()
    assert list(ends.values()) == [25]
    (tally,) = manifest.rings[session().uuid].values()
    assert tally.stored == 25


def test_it_commits_once_a_second(bench: Bench) -> None:
    """What comes within a second of a commit waits for the next one, unless somebody waits."""
    bench.delivery.offer(offer(0, 1))
    bench.run()
    bench.delivery.offer(offer(1, 2))
    bench.run(0.5)
    assert bench.seen() == [0]
    assert bench.delivery.step() == pytest.approx(0.5)
    bench.run(0.5)
    assert bench.seen() == [0, 1]
    bench.delivery.offer(offer(2, 3))
    assert not bench.delivery.wait_settled(0)
    bench.run()
    assert bench.seen() == [0, 1, 2]
    assert bench.delivery.wait_settled(0)


def test_a_restart_goes_on_exactly_where_it_was(tmp_path: Path) -> None:
    """The next owner finds positions and ledger of the last commit."""
    first = Bench(tmp_path / "traces")
    first.delivery.offer(offer(0, 10))
    first.run()
    first.delivery.offer(offer(10, 20))  # never committed
    first.store.close()
    second = Bench(tmp_path / "traces")
    at = second.delivery.acknowledged().positions
    assert [list(rings.values()) for rings in at.values()] == [[10]]
    second.delivery.offer(offer(10, 30))
    second.run()
    assert second.seen() == list(range(30))
    assert second.delivery.ledger() == SinkLedger(read=30, delivered=30)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_is_waited_for(tmp_path: Path, error: int) -> None:
    """Nothing is lost while the queue has room; readers go on; then all is there, once."""
    disk = FailingDisk(-1, error, until_freed=True)
    bench = Bench(tmp_path / "traces", disk)
    bench.delivery.offer(offer(0, 10))
    bench.run()
    disk.at = len(disk.done) + 1
    bench.delivery.offer(offer(10, 20))
    for _ in range(10):
        bench.run(60)
    assert bench.delivery.trouble
    assert bench.seen() == list(range(10))
    assert bench.delivery.ledger() == SinkLedger(read=20, delivered=10, queued=10)
    bench.delivery.offer(offer(20, 30))
    disk.free()
    bench.run(60)
    assert bench.delivery.trouble == ""
    assert bench.seen() == list(range(30))
    assert bench.delivery.ledger() == SinkLedger(read=30, delivered=30)


def test_beyond_the_queue_the_oldest_expire_and_are_counted(tmp_path: Path) -> None:
    """Bounded in memory while the disk refuses; what was given up is in the ledger for good."""
    disk = FailingDisk(-1, until_freed=True)
    bench = Bench(tmp_path / "traces", disk, Limits(queue_events=100))
    disk.at = len(disk.done) + 1
    for first in range(0, 1000, 10):
        bench.delivery.offer(offer(first, first + 10))
        bench.run(1)
        ledger = bench.delivery.ledger()
        assert ledger.closes
        assert ledger.queued <= 100
    disk.free()
    bench.run(60)
    assert bench.seen() == list(range(900, 1000))
    manifest = bench.store.snapshot().manifest
    assert (manifest.ledger.read, manifest.ledger.delivered, manifest.ledger.expired) == (
        1000,
        100,
        900,
    )
    assert sum(manifest.ledger.reasons.values()) == 900
    assert any(DISK_FULL in reason for reason in manifest.ledger.reasons)
    assert manifest.undelivered_in == (session().uuid,)
    assert not bench.delivery.has_delivered(session().uuid, {})


def test_a_commit_that_may_not_survive_is_not_acknowledged(tmp_path: Path) -> None:
    """The manifest was replaced but its name may be lost: it is made sure of, and sent once."""
    disk = FailingDisk(-1)
    bench = Bench(tmp_path / "traces", disk)
    bench.delivery.offer(offer(0, 1))
    bench.run()
    before = len(disk.done)
    bench.delivery.offer(offer(1, 2))
    bench.run(2)
    steps = len(disk.done) - before
    assert disk.done[-1] == "sync folder traces"
    disk.at = len(disk.done) + steps
    bench.delivery.offer(offer(2, 3))
    bench.run(2)
    assert bench.delivery.trouble
    assert bench.seen() == [0, 1, 2]
    assert bench.delivery.ledger().queued == 1
    bench.run(60)
    assert bench.seen() == [0, 1, 2]
    assert bench.delivery.ledger() == SinkLedger(read=3, delivered=3)


def test_what_cannot_be_stored_is_refused_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One poisoned batch keeps out no other: it is found, refused, and counted with the reason."""
    from whence.store import delivery as module

    real = module.convert

    def convert(drained: object) -> object:
        if len(drained) == 7:  # type: ignore[arg-type]
            raise ValueError("poison")
        return real(drained)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "convert", convert)
    for first, last in ((0, 10), (10, 17), (17, 30)):
        bench.delivery.offer(offer(first, last))
    for _ in range(10):
        bench.run(1)
    ledger = bench.delivery.ledger()
    assert bench.seen() == [*range(10), *range(17, 30)]
    assert (ledger.delivered, ledger.refused, ledger.queued) == (23, 7, 0)
    assert any("poison" in reason for reason in ledger.reasons)
    assert bench.store.manifest.ledger == ledger


def test_filtered_events_move_the_positions(bench: Bench) -> None:
    """Offers of which nothing is wanted are accounted for, and need no file."""
    bench.delivery.offer(offer(0, 10, wanted=0))
    bench.run()
    assert bench.seen() == []
    assert bench.store.manifest.ledger == SinkLedger(read=10, filtered=10)
    assert bench.store.manifest.undelivered_in == (session().uuid,)


def test_sessions_are_told_of_before_their_rows(bench: Bench) -> None:
    """Whatever a reader sees, it knows the session of; positions forgotten, it still does."""
    bench.delivery.offer(offer(0, 10))
    bench.run()
    info = session()
    (told,) = FolderStore(bench.store.path).snapshot().sessions.values()
    assert (told.info.uuid, told.info.name) == (info.uuid, info.name)
    assert told.rings[0].readable == 10
    bench.delivery.forget(info.uuid)
    bench.run(2)
    assert bench.store.manifest.positions == {}
    (told,) = FolderStore(bench.store.path).snapshot().sessions.values()
    assert told.rings[0].readable == told.rings[0].recorded == 10
    assert not told.info.live


def test_its_own_thread_commits_and_ends(tmp_path: Path) -> None:
    """start() and finish() as the pipeline calls them: all is committed, the store given up."""
    delivery = StoreDelivery(FolderStore(tmp_path / "traces", write=True))
    delivery.start()
    delivery.offer(offer(0, 100))
    assert delivery.wait_settled(30)
    delivery.offer(offer(100, 300))
    delivery.finish(30)
    with FolderStore(tmp_path / "traces", write=True) as store:
        assert tickets_in(store.snapshot()) == list(range(300))
        (told,) = store.snapshot().sessions.values()
        assert not told.info.live
