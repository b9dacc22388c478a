"""Whatever fails and whenever owners change, each event is stored once or counted as given up."""

from __future__ import annotations

import errno
import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.failing import FailingDisk
from tests.store.offers import offer, session
from tests.store.rows import tickets_in
from whence.collect.delivery import Limits
from whence.store.delivery import StoreDelivery
from whence.store.folder import FolderStore

ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
QUEUE = 60

steps = st.lists(
    st.one_of(
        st.tuples(st.just("offer"), st.integers(1, 40)),
        st.tuples(st.just("run"), st.sampled_from([0, 1, 60])),
        st.tuples(st.just("fail"), st.integers(1, 30), st.booleans()),
        st.tuples(st.just("free")),
        st.tuples(st.just("restart")),
    ),
    max_size=30,
)


class World:
    """Producers' rings, which keep everything, a store, and one owner after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 0.0
        self.read = 0  # how far the owner has read
        self.begin()

    def begin(self) -> None:
        """A new owner goes on where the store says."""
        self.disk = FailingDisk(-1)
        self.store = FolderStore(self.path, write=True, disk=self.disk)
        assert self.store.trouble == []
        limits = Limits(queue_events=QUEUE)
        self.delivery = StoreDelivery(self.store, limits, clock=lambda: self.now)
        rings = self.delivery.acknowledged().positions.get(session().uuid, {})
        self.read = max(rings.values(), default=0)
        self.check()

    def offer(self, count: int) -> None:
        """Reads so many events more and hands them over."""
        last = min(self.read + count, 4000)
        if last > self.read:
            self.delivery.offer(offer(self.read, last))
            self.read = last

    def run(self, seconds: float) -> None:
        """Lets the time pass."""
        self.now += seconds
        for _ in range(20):
            if self.delivery.step() != 0.0:
                return

    def fail(self, after: int, until_freed: bool) -> None:
        """From now on, the operation after so many fails, or all from there."""
        self.disk.at = len(self.disk.done) + after
        self.disk.until_freed = until_freed
        self.disk.error = ERRORS[after % 3]

    def check(self) -> None:
        """What a reader sees is exactly what its ledger says."""
        snapshot = FolderStore(self.path).snapshot()
        ledger, tickets = snapshot.manifest.ledger, tickets_in(snapshot)
        assert ledger.closes
        assert (ledger.queued, ledger.delivered) == (0, len(tickets))
        assert len(set(tickets)) == len(tickets)
        positions = snapshot.manifest.positions.get(session().uuid, {})
        end = max(positions.values(), default=0)
        assert ledger.read == end
        assert set(tickets) <= set(range(end))
        assert ledger.expired == end - len(tickets)
        now = self.delivery.ledger()
        assert now.closes
        assert now.read == self.read


@settings(max_examples=60, deadline=None)
@given(steps)
def test_every_event_is_stored_once_or_counted(steps: list[tuple[object, ...]]) -> None:
    """Against a model that only counts, over failures, full queues and restarts. R1.39 R5.24"""
    folder = Path(tempfile.mkdtemp())
    try:
        world = World(folder / "traces")
        for name, *rest in steps:
            if name == "restart":
                world.store.close()
                world.begin()
            elif name == "free":
                world.disk.free()
            else:
                getattr(world, str(name))(*rest)
            world.check()
            assert world.delivery.ledger().queued <= QUEUE + 40
        world.disk.free()
        for _ in range(4):
            world.run(60)
        world.check()
        assert world.delivery.ledger().queued == 0
        assert world.delivery.acknowledged().ledger == world.delivery.ledger()
        world.store.close()
    finally:
        shutil.rmtree(folder)
