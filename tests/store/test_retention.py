"""Retention: whole days go by age and by size, at a bounded pace, also on a full disk."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.store.failing import CountingDisk, FailingDisk, KillingDisk
from tests.store.rows import NOON, SECOND, UUID, rows, tickets_in
from tests.store.test_faults import files_in, in_a_child
from whence.collect.sink_ledger import SinkLedger
from whence.store.disk import Disk
from whence.store.folder import FolderStore
from whence.store.manifest import Manifest
from whence.store.place import MANIFEST, PREVIOUS, RESERVE
from whence.store.retention import Retention, too_much, too_old
from whence.store.upkeep import Upkeep

DAY = 86_400 * SECOND
DAYS, EACH = 6, 8  # a request of eight events each day
ALL = list(range(DAYS * EACH))


class Clocks:
    """A wall clock and the time since the machine started."""

    def __init__(self, wall_ns: int) -> None:
        self.wall_ns = wall_ns
        self.since_start_ns = time.monotonic_ns() + 20 * SECOND  # ahead of all that is noted

    def pass_ns(self, passed_ns: int) -> None:
        """Time goes by."""
        self.wall_ns += passed_ns
        self.since_start_ns += passed_ns

    def retention(self, manifest: Manifest) -> Retention:
        """By these clocks."""
        return Retention(manifest, lambda: self.wall_ns, lambda: self.since_start_ns)

    def upkeep(self, store: FolderStore) -> Upkeep:
        """By these clocks, with nothing else to wait for."""
        return Upkeep(
            store, lambda: self.since_start_ns / 1e9, lambda: self.since_start_ns,
            lambda: self.wall_ns,
        )  # fmt: skip


def filled(path: Path, *, days: float | None = None, size: int | None = None) -> None:
    """A store of a commit on each of six days, the last of which is that of NOON."""
    with FolderStore(path, write=True) as store:
        for day in range(DAYS):
            first = day * EACH
            upto = first + EACH
            ledger = SinkLedger(read=upto, delivered=upto)
            table = rows(range(first, upto), NOON - (DAYS - 1 - day) * DAY)
            store.append(table, {UUID: {0: upto}}, ledger)
        store.keep(days=days, size=size)


def kept_up(path: Path, disk: Disk, clocks: Clocks) -> None:
    """An owner drops what is due, and a minute later the files."""
    with FolderStore(path, write=True, disk=disk) as store:
        clocks.upkeep(store).finish()
        clocks.pass_ns(61 * SECOND)
        clocks.upkeep(store).finish()


def test_days_beyond_the_age_go_whole_and_are_counted(tmp_path: Path) -> None:
    """What is left are the days within the limit; the manifest says what went. R5.24"""
    filled(path := tmp_path / "traces", days=2)
    before = FolderStore(path).snapshot()
    clocks = Clocks(NOON - DAY // 4)
    with FolderStore(path, write=True) as store:
        clocks.upkeep(store).finish()
        assert tickets_in(before) == ALL, "who reads an earlier generation goes on"
        assert tickets_in(store.snapshot()) == ALL[3 * EACH :]
        clocks.pass_ns(61 * SECOND)
        clocks.upkeep(store).finish()
    manifest = FolderStore(path).snapshot().manifest
    gone = sorted(before.manifest.files, key=lambda each: each.min_ts)[:3]
    assert manifest.dropped["rows"] == manifest.dropped["rows_by_age"] == 3 * EACH
    assert manifest.dropped["bytes"] == sum(each.bytes for each in gone)
    assert manifest.dropped["before_ns"] == gone[-1].max_ts + 1
    assert list(manifest.dropped["days"].values()) == [EACH] * 3
    assert manifest.positions == {UUID: {0: len(ALL)}}
    assert manifest.ledger == SinkLedger(read=len(ALL), delivered=len(ALL))
    assert not [path for path in before.files if path.name in gone and path.exists()]
    assert files_in(path) == {
        "LOCK", MANIFEST, PREVIOUS, RESERVE, *(each.name for each in manifest.files)
    }  # fmt: skip


def test_the_oldest_days_go_until_the_size_is_kept(tmp_path: Path) -> None:
    """Of a single day the oldest files; the newest one always stays. R5.24"""
    filled(path := tmp_path / "traces")
    with FolderStore(path, write=True) as store:
        size = store.manifest.files[0].bytes
        store.keep(size=2 * size + size // 2)
        Upkeep(store).finish()
        assert tickets_in(store.snapshot()) == ALL[4 * EACH :]
        assert store.manifest.dropped["rows_by_size"] == 4 * EACH
        store.append(rows([100], NOON))
        store.append(rows([101], NOON))
        store.keep(size=1)
        Upkeep(store).finish()
        assert tickets_in(store.snapshot()) == [101]


def test_what_another_place_lacks_outlives_its_age_but_not_the_size(tmp_path: Path) -> None:
    """Shipped files of an old day go, the others stay until there is no room; then counted."""
    filled(path := tmp_path / "traces", days=1)
    clocks = Clocks(NOON)
    with FolderStore(path, write=True) as store:
        first, second = (each.segment for each in store.manifest.files[:2])
        store.mark_shipped("clickhouse://there", [first])
        upkeep = clocks.upkeep(store)
        upkeep._mark()
        upkeep.finish()
        assert store.manifest.settings["ships_to"] == ["clickhouse://there"]
        assert tickets_in(store.snapshot()) == ALL[EACH:]
        store.mark_shipped("clickhouse://there", [second])
        clocks.pass_ns(11 * SECOND)
        upkeep.finish()
        assert tickets_in(store.snapshot()) == ALL[2 * EACH :]
        assert store.manifest.dropped["unshipped_rows"] == 0
        store.keep(size=1)
        upkeep.finish()
        assert tickets_in(store.snapshot()) == ALL[-EACH:]
        assert store.manifest.dropped["unshipped_rows"] == 3 * EACH


def test_a_wall_clock_that_was_set_ahead_drops_a_day_an_hour_at_most(tmp_path: Path) -> None:
    """Nobody loses a store to a clock of next year; set right, nothing more goes. R5.24"""
    filled(path := tmp_path / "traces", days=2)
    clocks = Clocks(NOON - 4 * DAY)
    with FolderStore(path, write=True) as store:
        upkeep = clocks.upkeep(store)
        upkeep.finish()
        assert len(store.snapshot().files) == DAYS
        clocks.wall_ns += 365 * DAY
        upkeep.finish()
        assert len(store.snapshot().files) == DAYS
        left = []
        for _ in range(3):
            clocks.pass_ns(3600 * SECOND)
            upkeep.finish()
            left.append(len(store.snapshot().files))
        assert left == [6, 5, 4]
    with FolderStore(path, write=True) as store:  # a new owner makes no new beginning
        upkeep = clocks.upkeep(store)
        upkeep.finish()
        assert len(store.snapshot().files) == 4
        clocks.wall_ns -= 365 * DAY
        clocks.pass_ns(10 * 3600 * SECOND)
        upkeep.finish()
        assert len(store.snapshot().files) == 4


def test_a_store_that_was_off_for_weeks_comes_up_to_date_within_days(tmp_path: Path) -> None:
    """After a start of the machine the wall clock is followed, but not at once."""
    clocks = Clocks(NOON)
    manifest = clocks.retention(Manifest()).kept(Manifest())
    manifest = replace(manifest, dropped={"clock": {**manifest.dropped["clock"], "boot": "old"}})
    clocks.pass_ns(30 * DAY)
    retention = clocks.retention(manifest)
    assert not retention.is_kept(manifest)
    assert retention.now_ns() == NOON
    clocks.pass_ns(3600 * SECOND)
    assert retention.now_ns() == NOON + DAY
    clocks.pass_ns(32 * 3600 * SECOND)
    assert retention.now_ns() == clocks.wall_ns


def test_a_clock_set_back_is_followed_at_once() -> None:
    """It keeps more, never less."""
    clocks = Clocks(NOON)
    retention = clocks.retention(Manifest())
    clocks.wall_ns -= 100 * DAY
    assert retention.now_ns() == NOON - 100 * DAY


def test_events_of_the_future_keep_no_others_from_growing_old(tmp_path: Path) -> None:
    """Only the clock says what is old; and only a whole day goes."""
    filled(path := tmp_path / "traces", days=2)
    with FolderStore(path, write=True) as store:
        store.append(rows([100], NOON + 400 * DAY))
        Clocks(NOON).upkeep(store).finish()
        assert tickets_in(store.snapshot()) == [*ALL[3 * EACH :], 100]


def operations(path: Path) -> list[str]:
    """Those of dropping and deleting."""
    shutil.copytree(path, copy := path.with_name("counted"))
    disk = CountingDisk()
    kept_up(copy, disk, Clocks(NOON - DAY // 4))
    shutil.rmtree(copy)
    return disk.done


def test_a_kill_at_any_step_of_retention_leaves_whole_days(tmp_path: Path) -> None:
    """Readers see the days before or after a drop; the next owner ends it. R5.24"""
    filled(start := tmp_path / "start", days=2)
    done = operations(start)
    seen = set()
    for at in range(1, len(done) + 1):
        shutil.copytree(start, path := tmp_path / f"killed-{at}")
        ended = in_a_child(
            lambda path=path, at=at: kept_up(path, KillingDisk(at), Clocks(NOON - DAY // 4))
        )
        assert ended == -signal.SIGKILL, done[at - 1]
        snapshot = FolderStore(path).snapshot()
        found = tickets_in(snapshot)
        assert found == ALL[-len(found) :]
        assert len(found) % EACH == 0
        assert snapshot.manifest.dropped.get("rows", 0) == len(ALL) - len(found)
        seen.add(len(found))
        kept_up(path, Disk(), Clocks(NOON - DAY // 4))
        snapshot = FolderStore(path).snapshot()
        assert tickets_in(snapshot) == ALL[3 * EACH :]
        assert snapshot.manifest.dropped["rows"] == 3 * EACH
        assert len(files_in(path)) == 4 + 3
        shutil.rmtree(path)
    assert seen == {6 * EACH, 3 * EACH}


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_refusal_at_any_step_of_retention_is_tried_again(tmp_path: Path, error: int) -> None:
    """Rows and counts agree at every moment. R5.24"""
    filled(start := tmp_path / "start", days=2)
    done = operations(start)
    for at in range(1, len(done) + 1):
        shutil.copytree(start, path := tmp_path / f"refused-{at}")
        clocks = Clocks(NOON - DAY // 4)
        with FolderStore(path, write=True, disk=FailingDisk(at, error)) as store:
            upkeep = clocks.upkeep(store)
            for _ in range(20):
                upkeep.step()
                found = tickets_in(store.snapshot())
                assert store.manifest.dropped.get("rows", 0) == len(ALL) - len(found)
                clocks.pass_ns(31 * SECOND)
            assert tickets_in(store.snapshot()) == ALL[3 * EACH :]
        with FolderStore(path, write=True) as store:
            assert store.trouble == []
        shutil.rmtree(path)


def test_a_full_disk_is_made_room_on(tmp_path: Path) -> None:
    """The room for the record is there, kept for that; the files go without a minute's grace. F2"""
    filled(path := tmp_path / "traces", days=2)
    room = [0]

    def full(operation: str, path: Path) -> None:
        """Each write takes a block, each large file that is deleted gives some."""
        if operation == "unlink" and path.exists():
            room[0] += path.stat().st_size // 2048 if path.stat().st_nlink == 1 else 0
        if operation == "write":
            if room[0] < 1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            room[0] -= 1

    with FolderStore(path, write=True, disk=Disk(full)) as store:
        old = [path / each.name for each in store.manifest.files[:3]]
        with pytest.raises(OSError, match="No space"):
            store.append(rows([100], NOON))
        assert store.is_full
        assert tickets_in(store.snapshot()) == ALL
        clocks = Clocks(NOON - DAY // 4)
        clocks.upkeep(store).finish()
        assert tickets_in(store.snapshot()) == ALL[3 * EACH :]
        assert not any(each.exists() for each in old)
        assert (path / RESERVE).exists(), "the room is kept again"
        store.append(rows([100], NOON))
        assert not store.is_full


def test_limits_are_kept_with_the_store(tmp_path: Path) -> None:
    """Another owner keeps to them; 0 takes one away."""
    with FolderStore(tmp_path / "traces", write=True) as store:
        store.keep(days=14, size=50 << 30)
        store.keep(days=7)
    with FolderStore(tmp_path / "traces", write=True) as store:
        assert store.manifest.settings == {"keep_days": 7, "keep_bytes": 50 << 30}
        store.keep(days=0)
        assert too_old(store.manifest, 2**62) == too_much(store.manifest) == ()
        with pytest.raises(ValueError, match="0 for without end"):
            store.keep(size=-1)
