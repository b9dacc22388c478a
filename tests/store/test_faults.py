"""A store survives what ends a commit at any step: kills, a disk that refuses, flipped bytes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.store.failing import CountingDisk, FailingDisk, KillingDisk
from tests.store.rows import NOON, SECOND, UUID, rows, tickets_in, told
from whence.collect.sink_ledger import SinkLedger
from whence.model.errors import NotAStore, UnsupportedFormat
from whence.store.disk import Disk
from whence.store.folder import FolderStore
from whence.store.place import MANIFEST, PREVIOUS
from whence.store.recovery import find_manifest

OLD, NEW = 5, 40
MIDNIGHT = NOON + 12 * 3600 * SECOND


def first_commit(path: Path) -> None:
    """A store of one segment."""
    with FolderStore(path, write=True) as store:
        store.put_session(told())
        store.append(rows(range(OLD)), {UUID: {0: OLD}}, SinkLedger(read=OLD, delivered=OLD))


def second_commit(path: Path, disk: Disk) -> None:
    """Two more segments, one a day, under one record, by a new owner."""
    with FolderStore(path, write=True, disk=disk) as store:
        tell_and_append(store)


def tell_and_append(store: FolderStore) -> None:
    """The second commit and the session that it needs."""
    store.put_session(told())
    append_more(store)


def append_more(store: FolderStore) -> None:
    """The rows of the second commit."""
    ledger = SinkLedger(read=NEW, delivered=NEW)
    table = rows(range(OLD, NEW), MIDNIGHT - 20_000_000)
    store.append(table, {UUID: {0: NEW}}, ledger)


def whole_state(path: Path) -> int:
    """How many rows a reader sees, of which all are there and accounted for."""
    snapshot = FolderStore(path).snapshot()
    tickets = tickets_in(snapshot)
    assert tickets == list(range(len(tickets)))
    manifest = snapshot.manifest
    assert manifest.positions == {UUID: {0: len(tickets)}}
    assert manifest.ledger == SinkLedger(read=len(tickets), delivered=len(tickets))
    return len(tickets)


def files_in(path: Path) -> set[str]:
    """All files of a store, by their paths."""
    return {found.relative_to(path).as_posix() for found in path.rglob("*") if found.is_file()}


def nothing_is_left_over(path: Path) -> None:
    """Every file is one that the manifest names, or one of the few others."""
    known = {each.name for each in FolderStore(path).snapshot().manifest.files}
    others = {"LOCK", MANIFEST, PREVIOUS, f"sessions/{UUID}.json"}
    assert files_in(path) - known - others == set()


def in_a_child(work: Callable[[], None]) -> int:
    """The status with which a forked process ends that does this."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def steps(path: Path) -> list[str]:
    """The operations of the second commit."""
    disk = CountingDisk()
    shutil.copytree(path, copy := path.with_name("counted"))
    second_commit(copy, disk)
    shutil.rmtree(copy)
    return disk.done


def test_a_kill_at_any_step_leaves_the_old_state_or_the_new(tmp_path: Path) -> None:
    """Readers never see half a commit; the next owner tidies up and goes on exactly. R5.24"""
    first_commit(tmp_path / "start")
    operations = steps(tmp_path / "start")
    seen = set()
    for at in range(1, len(operations) + 1):
        path = tmp_path / f"killed-{at}"
        shutil.copytree(tmp_path / "start", path)
        ended = in_a_child(lambda path=path, at=at: second_commit(path, KillingDisk(at)))
        assert ended == -signal.SIGKILL, operations[at - 1]
        seen.add(found := whole_state(path))
        with FolderStore(path, write=True) as store:
            assert store.trouble == []
            if found == OLD:
                append_more(store)
        assert whole_state(path) == NEW
        nothing_is_left_over(path)
        shutil.rmtree(path)
    assert seen == {OLD, NEW}
    assert len(operations) > 15


def test_a_kill_while_a_store_is_made_leaves_none_or_one(tmp_path: Path) -> None:
    """Whatever the first owner did not finish, the next one does. R5.24"""
    disk = CountingDisk()
    FolderStore(tmp_path / "counted", write=True, disk=disk).close()
    for at in range(1, len(disk.done) + 1):
        path = tmp_path / f"killed-{at}"
        ended = in_a_child(
            lambda path=path, at=at: FolderStore(path, write=True, disk=KillingDisk(at)).close()
        )
        assert ended == -signal.SIGKILL
        with FolderStore(path, write=True) as store:
            assert store.trouble == []
            store.append(rows([1]))


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_refusal_at_any_step_is_told_and_tried_again(tmp_path: Path, error: int) -> None:
    """After an error readers see the old state or the new; the next try ends in the new. R5.24"""
    first_commit(tmp_path / "start")
    operations = steps(tmp_path / "start")
    for at in range(1, len(operations) + 1):
        path = tmp_path / f"refused-{at}"
        shutil.copytree(tmp_path / "start", path)
        disk = FailingDisk(at, error)
        with FolderStore(path, write=True, disk=disk) as store:
            before = store.manifest.generation
            with pytest.raises(OSError, match=os.strerror(error)):
                tell_and_append(store)
            if store.manifest.generation == before:
                assert whole_state(path) == OLD
                append_more(store)
            else:
                assert not store.is_durable
                assert whole_state(path) == NEW
                store.sync()
            assert store.is_durable
            assert whole_state(path) == NEW
            if "rename L0" not in operations[at - 1] and "json" not in operations[at - 1]:
                nothing_is_left_over(path)
        FolderStore(path, write=True).close()
        nothing_is_left_over(path)
        shutil.rmtree(path)


def flipped(path: Path, at: int, bit: int = 0x01) -> None:
    """Flips one bit of a file, which others may have a second name for."""
    content = bytearray(path.read_bytes())
    content[at] ^= bit
    path.unlink()
    path.write_bytes(content)


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    """A store of two commits."""
    first_commit(tmp_path / "traces")
    second_commit(tmp_path / "traces", Disk())
    return tmp_path / "traces"


def test_no_flipped_byte_of_the_manifest_goes_unnoticed(store_path: Path) -> None:
    """The one before and the segments' notes give the same state. R5.24"""
    good = (store_path / MANIFEST).read_bytes()
    known = find_manifest(store_path).manifest
    for at in range(0, len(good)):
        flipped(store_path / MANIFEST, at, 1 << at % 8)
        found = find_manifest(store_path)
        assert found.trouble
        assert found.unknown == ()
        assert set(found.manifest.files) == set(known.files)
        assert found.manifest.positions == known.positions
        assert found.manifest.ledger == known.ledger
        assert found.manifest.generation > known.generation
        (store_path / MANIFEST).write_bytes(good)


@pytest.mark.parametrize("length", [0, 1, 100])
def test_without_any_manifest_the_segments_tell(store_path: Path, length: int) -> None:
    """Both are cut short or gone: rows, positions and ledger come from the segments. R5.24"""
    for name in (MANIFEST, PREVIOUS):
        (store_path / name).write_bytes((store_path / name).read_bytes()[:length])
        if length == 0:
            (store_path / name).unlink()
    assert whole_state(store_path) == NEW
    with FolderStore(store_path, write=True) as store:
        assert "put together from the segments" in store.trouble[0]
        assert whole_state(store_path) == NEW
        store.append(rows([NEW]), {UUID: {0: NEW + 1}}, SinkLedger(read=NEW + 1, delivered=NEW + 1))
    with FolderStore(store_path, write=True) as store:
        assert store.trouble == []
    assert whole_state(store_path) == NEW + 1


def test_a_commit_of_which_a_part_is_lost_is_left_out(store_path: Path) -> None:
    """Without a manifest half a commit cannot be told from one under way: it is set aside. R5.24"""
    for name in (MANIFEST, PREVIOUS):
        (store_path / name).unlink()
    second = FolderStore(store_path).snapshot().manifest.files[-1]
    (store_path / second.name).unlink()
    assert whole_state(store_path) == OLD
    with FolderStore(store_path, write=True) as store:
        assert any("quarantine/" in told for told in store.trouble)
    assert len(list((store_path / "quarantine").iterdir())) == 1
    assert whole_state(store_path) == OLD


def test_a_flipped_byte_of_a_segment_is_found_and_counted(store_path: Path) -> None:
    """In its footer or its pages: the file goes into quarantine, the rest is there. R5.24"""
    start = store_path.with_name("start")
    store_path.rename(start)
    file = FolderStore(start).snapshot().manifest.files[0]
    for at in range(0, file.bytes, 61):
        shutil.copytree(start, store_path)
        flipped(store_path / file.name, at)
        with FolderStore(store_path, write=True) as store:
            assert [each for each in store.trouble if "fails its checksum" in each]
            (found,) = store.snapshot().manifest.quarantined
            assert (found.name, found.rows) == (file.name, OLD)
        assert tickets_in(FolderStore(store_path).snapshot()) == list(range(OLD, NEW))
        assert len(list((store_path / "quarantine").iterdir())) == 1
        shutil.rmtree(store_path)


def test_no_flipped_byte_is_believed_without_a_manifest(store_path: Path) -> None:
    """A segment that is taken in by its own note holds what was written, or is left out. R5.24"""
    file = FolderStore(store_path).snapshot().manifest.files[-1]
    for name in (MANIFEST, PREVIOUS):
        (store_path / name).unlink()
    good = (store_path / file.name).read_bytes()
    wanted = pq.ParquetFile(store_path / file.name).read()
    left_out = 0
    for at in range(0, len(good), 17):
        flipped(store_path / file.name, at, 1 << at % 8)
        found = find_manifest(store_path)
        if file.name in {each.name for each in found.manifest.files}:
            assert pq.ParquetFile(store_path / file.name).read().equals(wanted)
        else:
            assert file.name in found.unknown
            left_out += 1
        (store_path / file.name).write_bytes(good)
    assert left_out > 50


def test_a_missing_segment_is_counted(store_path: Path) -> None:
    """Somebody deleted a file: the store opens without it and says how many events are missing."""
    file = FolderStore(store_path).snapshot().manifest.files[0]
    (store_path / file.name).unlink()
    with FolderStore(store_path, write=True) as store:
        assert store.trouble == [f"{file.name} is missing: {OLD} events are missing"]
    assert tickets_in(FolderStore(store_path).snapshot()) == list(range(OLD, NEW))


def test_files_of_others_stay(store_path: Path) -> None:
    """The sweep knows its own names; whatever else lies in the folder is somebody's. R5.24"""
    day = FolderStore(store_path).snapshot().files[0].parent
    others = [store_path / "notes.txt", day / "mine.parquet", store_path / "events" / "x"]
    for path in others:
        path.write_text("mine")
    orphan = day / "L0-1-2-01ARZ3NDEKTSV4RRFFQ69G5FAV.parquet"
    torn = day / f".{orphan.name}.new"
    for path in (orphan, torn, store_path / ".MANIFEST.new"):
        path.write_text("half")
    FolderStore(store_path, write=True).close()
    assert all(path.exists() for path in others)
    assert not orphan.exists()
    assert not torn.exists()
    assert not (store_path / ".MANIFEST.new").exists()


def test_a_store_of_another_version_is_named(store_path: Path) -> None:
    """Nobody guesses at what a later version may mean, and nothing is changed. R5.24"""
    text = (store_path / MANIFEST).read_bytes()
    body = json.loads(text)
    del body["crc32"]
    body["version"] = 2
    content = json.dumps(body, separators=(",", ":"))[:-1].encode()
    (store_path / MANIFEST).write_bytes(b'%s,"crc32":"%08x"}\n' % (content, zlib.crc32(content)))
    before = files_in(store_path)
    with pytest.raises(UnsupportedFormat, match="version 2"):
        FolderStore(store_path)
    with pytest.raises(UnsupportedFormat, match="version 2"):
        FolderStore(store_path, write=True)
    assert files_in(store_path) == before


def test_what_a_later_version_added_is_kept(store_path: Path) -> None:
    """Members that are unknown here survive a commit."""
    with FolderStore(store_path, write=True) as store:
        store.commit(replace(store.manifest, more={"later": [1, 2]}))
        store.append(rows([NEW]))
    assert FolderStore(store_path).snapshot().manifest.more == {"later": [1, 2]}


def test_a_damaged_session_file_costs_that_session_alone(store_path: Path) -> None:
    """It is told of; the rows are there."""
    path = store_path / "sessions" / f"{UUID}.json"
    path.write_bytes(path.read_bytes()[:50])
    store = FolderStore(store_path)
    assert store.snapshot().sessions == {}
    assert list(store.damaged_sessions()) == [f"{UUID}.json"]
    assert whole_state(store_path) == NEW


def test_a_table_that_cannot_be_written_changes_nothing(store_path: Path) -> None:
    """An error of the encoder is one of this append alone."""
    with FolderStore(store_path, write=True) as store:
        with pytest.raises(KeyError):
            store.append(pa.table({"ts_ns": [1], "session": [1], "ring": [0]}))
        assert whole_state(store_path) == NEW


def test_no_store_is_no_store(tmp_path: Path) -> None:
    """A reader makes nothing."""
    with pytest.raises(NotAStore):
        FolderStore(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []
