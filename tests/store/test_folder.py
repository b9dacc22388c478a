"""A folder store: what was appended is there, whole, under one owner, for readers without locks."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.store.rows import NOON, SECOND, UUID, rows, tickets_in, told
from whence.collect.sink_ledger import SinkLedger
from whence.model.errors import NotAStore, StoreOwned
from whence.store.folder import FolderStore
from whence.store.manifest import RingTally


def test_what_was_appended_is_seen_by_readers(tmp_path: Path) -> None:
    """A commit brings rows, positions and ledger at once; a snapshot is one generation."""
    with FolderStore(tmp_path / "traces", write=True) as store:
        before = FolderStore(tmp_path / "traces").snapshot()
        ledger = SinkLedger(read=5, delivered=5)
        store.append(rows(range(5)), {UUID: {0: 5}}, ledger)
        store.append(rows(range(5, 9)), {UUID: {0: 9}, "other": {3: 1}})
        after = FolderStore(tmp_path / "traces").snapshot()
    assert tickets_in(before) == []
    assert tickets_in(after) == list(range(9))
    assert after.manifest.positions == {UUID: {0: 9}, "other": {3: 1}}
    assert after.manifest.ledger == ledger
    assert after.generation == before.generation + 2
    assert after.manifest.rows == 9


def test_rows_are_sorted_by_time_and_place(tmp_path: Path) -> None:
    """A segment's rows are in order of time, then session, ring and ticket."""
    table = rows([4, 2, 3, 2])
    table = table.set_column(3, "ring", [[0, 1, 0, 0]])
    with FolderStore(tmp_path / "traces", write=True) as store:
        store.append(table)
        (file,) = store.snapshot().files
        found = pq.ParquetFile(file).read(columns=["ticket", "ring"]).to_pydict()
    assert found == {"ticket": [2, 2, 3, 4], "ring": [0, 1, 0, 0]}


def test_each_utc_day_has_its_own_segment(tmp_path: Path) -> None:
    """One commit over midnight writes a file for each day, under one record."""
    midnight = NOON + 12 * 3600 * SECOND
    with FolderStore(tmp_path / "traces", write=True) as store:
        store.append(rows(range(10), midnight - 5_000_000))
        snapshot = store.snapshot()
    days = [path.parent.name for path in snapshot.files]
    assert len(set(days)) == 2
    assert [each.rows for each in snapshot.manifest.files] == [5, 5]
    assert snapshot.manifest.files[1].min_ts == midnight
    assert tickets_in(snapshot) == list(range(10))


def test_a_clock_gone_mad_makes_few_files(tmp_path: Path) -> None:
    """Events of more than 32 days in one commit share the last file."""
    day = 86_400_000_000_000
    table = rows(range(100))
    times = [NOON - 50 * day + n * day for n in range(100)]
    with FolderStore(tmp_path / "traces", write=True) as store:
        store.append(table.set_column(0, "ts_ns", [times]))
        assert len(store.snapshot().files) == 32
        assert tickets_in(store.snapshot()) == list(range(100))


def test_a_store_has_one_owner_who_is_named(tmp_path: Path) -> None:
    """The second would-be owner is told whose the store is; readers need no ownership."""
    with FolderStore(tmp_path / "traces", write=True, words="whence collect") as store:
        with pytest.raises(StoreOwned, match=rf"pid {os.getpid()} \(whence collect\)"):
            FolderStore(tmp_path / "traces", write=True)
        assert FolderStore(tmp_path / "traces").owner() == (os.getpid(), "whence collect")
        assert store.owner() is not None
    assert FolderStore(tmp_path / "traces").owner() is None
    with FolderStore(tmp_path / "traces", write=True) as store:
        store.append(rows([1]))


def test_only_the_owner_appends(tmp_path: Path) -> None:
    """A reader cannot append, nor can an owner whose store was taken away and made anew."""
    with FolderStore(tmp_path / "traces", write=True) as store:
        with pytest.raises(OSError, match="not this process's"):
            FolderStore(tmp_path / "traces").append(rows([1]))
        (tmp_path / "traces" / "LOCK").unlink()
        with (
            FolderStore(tmp_path / "traces", write=True),
            pytest.raises(OSError, match="not this process's"),
        ):
            store.append(rows([1]))


def test_a_forked_child_does_not_own_the_store(tmp_path: Path) -> None:
    """The lock stays the parent's, and goes with it although the child lives on."""
    store = FolderStore(tmp_path / "traces", write=True)
    may_end, end = os.pipe()
    is_there, there = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        os.write(there, b".")
        os.read(may_end, 1)  # lives until the parent has looked
        try:
            store.append(rows([1]))
        except OSError:
            os._exit(0)
        os._exit(1)
    try:
        os.read(is_there, 1)
        store.close()
        FolderStore(tmp_path / "traces", write=True).close()
    finally:
        for handle in (end, may_end, is_there, there):
            os.close(handle)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_folder_of_other_things_becomes_no_store(tmp_path: Path) -> None:
    """Nothing is written into a folder that holds what is not ours."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(NotAStore, match="other things"):
        FolderStore(tmp_path, write=True)
    with pytest.raises(NotAStore, match="is a file"):
        FolderStore(tmp_path / "notes.txt", write=True)
    with pytest.raises(NotAStore, match="no store"):
        FolderStore(tmp_path)
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_sessions_are_kept_and_their_ledgers_count_what_is_stored(tmp_path: Path) -> None:
    """What is not stored of the tickets up to a position is lost, whatever the session said."""
    with FolderStore(tmp_path / "traces", write=True) as store:
        store.put_session(told())
        tally = RingTally(5, 1_000_000, 5_000_000)
        store.append(rows(range(2, 7)), {UUID: {0: 7}}, rings={UUID: {0: tally}})
        (found,) = FolderStore(tmp_path / "traces").snapshot().sessions.values()
    (ring,) = found.rings
    assert (ring.recorded, ring.readable, ring.lost) == (7, 5, 2)
    assert ring.closes
    assert (ring.oldest_ns, ring.newest_ns) == (1_000_000, 5_000_000)
    assert found.info.name == "s-7"


def test_forgotten_sessions_leave_no_position(tmp_path: Path) -> None:
    """Positions of removed sessions are dropped with a commit, which may be empty of rows."""
    with FolderStore(tmp_path / "traces", write=True) as store:
        store.append(rows([1]), {UUID: {0: 2}, "b": {0: 1}}, undelivered_in=[UUID])
        store.append(rows([]), forget=[UUID])
        assert store.snapshot().manifest.positions == {"b": {0: 1}}
        assert store.snapshot().manifest.undelivered_in == ()
        assert tickets_in(store.snapshot()) == [1]


def test_files_are_as_open_as_their_folder(tmp_path: Path) -> None:
    """A new store is the user's alone; one in a folder for a group lets the group read."""
    with FolderStore(tmp_path / "own", write=True) as store:
        store.append(rows([1]))
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o750)
    with FolderStore(shared, write=True) as store:
        store.append(rows([1]))
        (segment,) = store.snapshot().files
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "own" / "MANIFEST").stat().st_mode & 0o777 == 0o600
    assert segment.stat().st_mode & 0o777 == 0o640
    assert segment.parent.stat().st_mode & 0o777 == 0o750


def test_of_many_would_be_owners_one_writes(tmp_path: Path) -> None:
    """Processes that open one store at the same moment: the others are told, one appends."""
    children = []
    start, go = os.pipe()
    for _ in range(8):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(start, 1)  # until all are there
            try:
                store = FolderStore(tmp_path / "traces", write=True)
                store.append(rows([len(tickets_in(store.snapshot()))]))
                store.close()
            except StoreOwned:
                os._exit(3)
            except BaseException:
                os._exit(1)
            os._exit(0)
        children.append(child)
    os.close(start)
    os.close(go)
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert set(ended) <= {0, 3}
    assert ended.count(0) >= 1
    found = tickets_in(FolderStore(tmp_path / "traces").snapshot())
    assert found == list(range(ended.count(0)))
