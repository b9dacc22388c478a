"""Forgetting: a request is hidden from every question at once; its bytes go by rewriting files."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.store.failing import CountingDisk, KillingDisk
from tests.store.rows import rows, tickets_in
from tests.store.test_faults import in_a_child
from whence.model.query import TraceQuery
from whence.query.engines.folder import FolderEngine
from whence.query.engines.shapes import Aggregate
from whence.store.columns import SCHEMA
from whence.store.compaction import next_merge
from whence.store.disk import Disk
from whence.store.folder import FolderStore
from whence.store.hidden import hidden_by
from whence.store.manifest import Segment
from whence.store.place import MANIFEST, PREVIOUS
from whence.store.upkeep import Upkeep

TRACE = "00000000000000ff8000000000000001"


def table(tickets: Collection[int]) -> pa.Table:
    """Events of requests of eight events each, with all columns; those of req-2 are of a trace."""
    few = rows(list(tickets))
    requests = few.column("request_id").to_pylist()
    filled = {name: few.column(name) for name in few.column_names}
    ours = [request == "req-2" for request in requests]
    filled["trace_hi"] = pa.array([0xFF if each else 0 for each in ours], pa.int64())
    filled["trace_lo"] = pa.array([1 - 2**63 if each else 0 for each in ours], pa.int64())
    chains = ["req-1" if request == "req-3" else None for request in requests]
    filled["decision_chain_id"] = pa.array(chains, pa.string())
    for field in SCHEMA:
        if field.name not in filled:
            value: object = [] if pa.types.is_map(field.type) else _ZEROS.get(str(field.type), "")
            value = None if field.nullable else value
            filled[field.name] = pa.array([value] * len(few), _plain(field.type)).cast(field.type)
    return pa.table([filled[name] for name in SCHEMA.names], schema=SCHEMA)


_ZEROS: dict[str, object] = {"int64": 0, "int32": 0, "double": 1.0, "bool": False}


def _plain(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_dictionary(kind) else kind


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of six requests in three files."""
    with FolderStore(tmp_path / "traces", write=True) as store:
        for first in (0, 16, 32):
            store.append(table(range(first, first + 16)))
    return tmp_path / "traces"


def seen(path: Path) -> set[str]:
    """The requests that questions tell of, by every way of asking."""
    with FolderEngine(path) as engine:
        page = engine.select(TraceQuery(), limit=1000)
        found = {event.request_id for event in page.events}
        groups = engine.aggregate(Aggregate(("request_id",), None, ("count",)), TraceQuery())
        assert {row.keys[0] for row in groups} == found
        assert {e.request_id for e in engine.recording(TraceQuery()).events} == found
        assert set(engine.table(TraceQuery()).column("request_id").to_pylist()) == found
        asked = engine.sql("SELECT DISTINCT request_id FROM events")
        assert set(asked.column(0).to_pylist()) == found
        for number in range(6):
            assert bool(engine.find(f"req-{number}")) == (f"req-{number}" in found)
    return found


def requests_in(path: Path, segment: Segment) -> set[str]:
    """What the rows of a file are of."""
    return set(pq.ParquetFile(path / segment.name).read(["request_id"]).column(0).to_pylist())


def bytes_of(path: Path) -> set[str]:
    """The requests in the files that count, whatever is hidden."""
    return {
        request
        for file in FolderStore(path).snapshot().files
        for request in pq.read_table(file).column("request_id").to_pylist()
    }


def test_a_request_is_hidden_from_every_question_at_once(path: Path) -> None:
    """Its own events and those of its chain; another process may ask for that. R5.24"""
    with FolderStore(path, write=True), FolderEngine(path) as engine:
        before = engine.select(TraceQuery(), limit=1000)
        FolderStore(path).hide(["req-1", "' OR 1=1 --"])
        after = engine.select(TraceQuery(), limit=1000)
        assert len(before.events) == 48
        assert {event.request_id for event in after.events} == {"req-0", "req-2", "req-4", "req-5"}
        assert seen(path) == {"req-0", "req-2", "req-4", "req-5"}
    assert bytes_of(path) == {f"req-{number}" for number in range(6)}


def test_a_trace_is_hidden_with_all_its_events(path: Path) -> None:
    """By its 128 bits."""
    FolderStore(path).hide([TRACE], traces=True)
    assert seen(path) == {f"req-{number}" for number in (0, 1, 3, 4, 5)}
    with pytest.raises(ValueError, match="names no trace"):
        FolderStore(path).hide(["ff"], traces=True)
    with pytest.raises(ValueError, match="names no request"):
        FolderStore(path).hide([""])


def test_the_owner_takes_it_in_and_rewrites_the_files(path: Path) -> None:
    """Afterwards no file has a byte of it; files without it stay as they are. R5.24"""
    FolderStore(path).hide(["req-1"])
    FolderStore(path).hide(["req-1", "req-2"])
    before = FolderStore(path).snapshot()
    with FolderStore(path, write=True) as store:
        Upkeep(store).finish()
        assert [each["request"] for each in store.manifest.tombstones] == ["req-1", "req-2"]
        assert {each.cleared for each in store.manifest.files} == {2}
        assert store.manifest.files[-1].segment == before.manifest.files[-1].segment
    assert list((path / "forget").iterdir()) == []
    assert bytes_of(path) == {"req-0", "req-4", "req-5"} == seen(path)


def test_what_comes_later_of_a_forgotten_request_is_hidden_too(path: Path) -> None:
    """The tombstone stays; a file that holds such rows is rewritten like those before."""
    FolderStore(path).hide(["req-1"])
    with FolderStore(path, write=True) as store:
        Upkeep(store).finish()
        store.append(table(range(8, 12)))
        store.append(table(range(48, 50)))
        assert [each.cleared for each in store.manifest.files[-2:]] == [0, 1]
        assert "req-1" not in seen(path)
        Upkeep(store).finish()
        assert bytes_of(path) == {"req-0", "req-2", "req-4", "req-5", "req-6"}
        assert store.manifest.rows == 8 + 8 + 16 + 2


def test_a_merge_leaves_out_what_was_forgotten_while_it_ran(path: Path) -> None:
    """What it did not leave out, the next rewriting does."""
    with FolderStore(path, write=True) as store:
        for ticket in range(48, 61):
            store.append(table([ticket]))
        upkeep = Upkeep(store)
        while not any(".L1-" in each.name for each in (path / "events").rglob("*")):
            upkeep.step()
        store.hide(["req-0"])
        upkeep.finish()
        assert "req-0" not in bytes_of(path) | seen(path)


def test_forgetting_survives_the_loss_of_both_manifests(path: Path) -> None:
    """Segments that are written afterwards say so, too."""
    FolderStore(path).hide(["req-1"])
    with FolderStore(path, write=True) as store:
        upkeep = Upkeep(store)
        upkeep._take_in()
        store.append(table([49]))
    for name in (MANIFEST, PREVIOUS):
        (path / name).unlink()
    assert "req-1" not in seen(path)
    assert hidden_by(FolderStore(path).snapshot().manifest.tombstones).requests == {"req-1"}


def test_a_kill_at_any_step_of_forgetting_shows_nothing_again(path: Path, tmp_path: Path) -> None:
    """From when it was asked for until its bytes are gone, and then. R5.24"""
    FolderStore(path).hide(["req-1"])

    def work(at: Path, disk: Disk) -> None:
        with FolderStore(at, write=True, disk=disk) as store:
            Upkeep(store).finish()

    shutil.copytree(path, tmp_path / "counted")
    disk = CountingDisk()
    work(tmp_path / "counted", disk)
    for number in range(1, len(disk.done) + 1):
        shutil.copytree(path, copy := tmp_path / f"killed-{number}")
        ended = in_a_child(lambda copy=copy, number=number: work(copy, KillingDisk(number)))
        assert ended == -signal.SIGKILL
        snapshot = FolderStore(copy).snapshot()
        assert snapshot.hidden.requests == {"req-1"}
        left = set(range(48)) - {*range(8, 16), *range(24, 32)}
        assert left <= set(tickets_in(snapshot))
        work(copy, Disk())
        assert bytes_of(copy) == {"req-0", "req-2", "req-4", "req-5"}
        assert sorted(left) == tickets_in(FolderStore(copy).snapshot())
        shutil.rmtree(copy)


def test_a_damaged_wish_to_forget_stops_nobody(path: Path) -> None:
    """It stays, for somebody to look at."""
    FolderStore(path).hide(["req-1"])
    (file,) = (path / "forget").iterdir()
    file.write_text("[")
    assert len(seen(path)) == 6
    with FolderStore(path, write=True) as store:
        Upkeep(store).finish()
    assert file.exists()


def test_what_was_forgotten_goes_before_all_other_merging(path: Path) -> None:
    """R4.44 After an hour, even of files that could not be merged; so it is gone within a day."""
    later = [0]
    with FolderStore(path, write=True) as store:
        for first in range(48, 48 + 16 * 20, 16):
            store.append(table(range(first, first + 16)))
        store.hide(["req-2"])
        upkeep = Upkeep(
            store,
            clock_ns=lambda: time.monotonic_ns() + later[0],
            wall_ns=lambda: time.time_ns() + later[0],
        )
        while not store.manifest.tombstones:
            upkeep.step()
        assert not upkeep.is_urgent()
        asked = next_merge(store.manifest)
        assert asked is not None
        assert len(asked.inputs) > 1
        upkeep._left_alone = frozenset(each.name for each in store.manifest.files)
        held = [each.name for each in store.manifest.files if "req-2" in requests_in(path, each)]
        assert len(held) == 1
        later[0] += 3_601 * 10**9
        assert upkeep.is_urgent()
        while upkeep.is_urgent():
            upkeep.step()
        assert not any("req-2" in requests_in(path, each) for each in store.manifest.files)
        assert not (path / held[0]).exists()


def test_a_clock_that_was_set_back_delays_no_forgetting(path: Path) -> None:
    """R4.44 What seems to have been forgotten in the future goes at once."""
    with FolderStore(path, write=True) as store:
        store.hide(["req-2"])
        upkeep = Upkeep(store, wall_ns=lambda: time.time_ns() - 10**15)
        while not store.manifest.tombstones:
            upkeep.step()
        assert upkeep.is_urgent()
