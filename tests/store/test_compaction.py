"""Compaction: few large files of many small ones, the same rows at every moment, whoever reads."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.failing import CountingDisk, FailingDisk, KillingDisk
from tests.store.offers import offer
from tests.store.rows import NOON, SECOND, UUID, rows, tickets_in, told
from tests.store.test_faults import files_in, flipped, in_a_child
from whence.collect.sink_ledger import SinkLedger
from whence.model.query import TraceQuery
from whence.query.engines.folder import FolderEngine
from whence.query.engines.shapes import Aggregate
from whence.store import compaction, merge
from whence.store.columns import SCHEMA
from whence.store.compaction import next_merge
from whence.store.delivery import StoreDelivery
from whence.store.disk import Disk
from whence.store.folder import FolderStore, Snapshot
from whence.store.manifest import Manifest, Segment
from whence.store.merge import Input, common_schema, merged
from whence.store.place import MANIFEST, PREVIOUS
from whence.store.recovery import find_manifest
from whence.store.segment import ORDER, encode_segment, in_order
from whence.store.upkeep import Upkeep

COMMITS, EACH = 16, 8
ALL = list(range(COMMITS * EACH))
LATER_NS = 61 * SECOND


@pytest.fixture(scope="module")
def sixteen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of sixteen commits, to be copied."""
    path = tmp_path_factory.mktemp("sixteen") / "traces"
    with FolderStore(path, write=True) as store:
        store.put_session(told())
        for first in range(0, len(ALL), EACH):
            upto = first + EACH
            ledger = SinkLedger(read=upto, delivered=upto)
            # a ring's events come in any order, and late ones between those before
            table = rows(random.Random(first).sample(range(first, upto), EACH))
            store.append(table, {UUID: {0: upto}}, ledger)
    return path


def whole(path: Path) -> Snapshot:
    """What a reader sees: every row once, accounted for."""
    snapshot = FolderStore(path).snapshot()
    assert tickets_in(snapshot) == ALL
    assert snapshot.manifest.positions == {UUID: {0: len(ALL)}}
    assert snapshot.manifest.ledger == SinkLedger(read=len(ALL), delivered=len(ALL))
    return snapshot


def tidy(path: Path) -> None:
    """Every file is one that the manifest names, or one of the few others."""
    manifest = FolderStore(path).snapshot().manifest
    known = {each.name for each in (*manifest.files, *manifest.replaced)}
    assert files_in(path) - known - {"LOCK", MANIFEST, PREVIOUS, f"sessions/{UUID}.json"} == set()


def later() -> int:
    """A clock that is past the time that replaced files stay."""
    return time.monotonic_ns() + LATER_NS


def kept_up(path: Path, disk: Disk) -> None:
    """An owner merges the files, and later deletes those replaced."""
    with FolderStore(path, write=True, disk=disk) as store:
        keep_up(store)


def keep_up(store: FolderStore) -> None:
    """Merges what there is, then deletes what was replaced."""
    Upkeep(store).finish()
    Upkeep(store, clock_ns=later).finish()


def test_sixteen_files_become_one_in_order(sixteen: Path, tmp_path: Path) -> None:
    """One record replaces them; the rows are sorted, the old files stay for a minute. R5.24"""
    shutil.copytree(sixteen, path := tmp_path / "traces")
    before = FolderStore(path).snapshot()
    with FolderStore(path, write=True) as store:
        assert store.compact() == 1
        after = whole(path)
        (made,) = after.manifest.files
        assert (made.level, made.rows) == (1, len(ALL))
        assert after.generation == before.generation + 1
        assert tickets_in(before) == ALL, "who reads the generation before still finds its files"
        assert {each.by for each in after.manifest.replaced} == {made.segment}
        Upkeep(store, clock_ns=later).finish()
    assert [path for path in before.files if path.exists()] == []
    assert whole(path).manifest.replaced == ()
    found = pq.ParquetFile(path / made.name).read().select(ORDER).to_pylist()
    assert found == sorted(found, key=lambda row: tuple(row.values()))
    tidy(path)


def segment(number: int, rows: int = 10, level: int = 0, day: int = 0, **more: object) -> Segment:
    """An entry of a manifest."""
    made = Segment(
        name=f"events/{number}", rows=rows, min_ts=NOON + day * 86_400 * SECOND, max_ts=NOON,
        bytes=1, level=level, segment=str(number), crc32="",
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def test_files_of_different_marks_or_days_never_merge() -> None:
    """What one place has a copy of stays apart from what it lacks."""
    manifest = Manifest(
        files=tuple(
            segment(n, shipped=("there",) if n % 2 else (), day=n // 2 % 2) for n in range(60)
        )
    )
    while chosen := next_merge(manifest, all_days=True):
        assert len({each.shipped for each in chosen.inputs}) == 1
        assert len({each.min_ts for each in chosen.inputs}) == 1
        kept = [each for each in manifest.files if each not in chosen.inputs]
        total = sum(each.rows for each in chosen.inputs)
        made = replace(
            chosen.inputs[0], rows=total, level=chosen.level, name=f"{len(kept)}-{total}"
        )
        manifest = replace(manifest, files=(*kept, made))
    assert len(manifest.files) == 4


def test_a_store_that_grows_for_weeks_keeps_few_files_and_rewrites_each_row_seldom() -> None:
    """However fast it grows: some files a day, every row written a few times. R5.24"""
    for rows_each, most in ((1, 120), (262_144, 800)):
        manifest, written, number = Manifest(), 0, 0
        for day in range(3):
            for _ in range(3_000):
                number += 1
                fresh = segment(number, rows_each, day=day)
                manifest = replace(manifest, files=(*manifest.files, fresh))
                while chosen := next_merge(manifest):
                    number += 1
                    total = sum(each.rows for each in chosen.inputs)
                    written += total
                    kept = [each for each in manifest.files if each not in chosen.inputs]
                    made = segment(number, total, chosen.level, day)
                    made = replace(made, min_ts=chosen.inputs[0].min_ts)
                    manifest = replace(manifest, files=(*kept, made))
                assert sum(each.level == 0 for each in manifest.files) < 64
        total = 9_000 * rows_each
        assert manifest.rows == total
        assert len(manifest.files) < most
        assert written < 6 * total


tables = st.lists(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1), st.integers(0, 3)), max_size=30),
    min_size=1,
    max_size=5,
)


@settings(deadline=None, max_examples=60)
@given(parts=tables)
def test_any_files_merge_into_the_sorted_rows_of_all(
    parts: list[list[tuple[int, int, int]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Equal times and places, overlapping or far apart: nothing is lost, doubled or misplaced."""
    folder = tmp_path_factory.mktemp("merge")
    inputs, expected = [], []
    for number, part in enumerate(parts):
        if not part:
            continue
        times, rings, tickets = ([row[i] for row in part] for i in range(3))
        table = rows(tickets).set_column(0, "ts_ns", [pa.array(times, pa.int64())])
        table = in_order(table.set_column(3, "ring", [pa.array(rings, pa.int32())]))
        made = encode_segment(table, 0, {})
        (folder / str(number)).write_bytes(made.content)
        inputs.append(Input(folder / str(number), made.segment.min_ts))
        expected += table.select(ORDER).to_pylist()
    if not inputs:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "BATCH_ROWS", 3)
        pieces = list(merged(inputs, common_schema(inputs)))
    found = [row for piece in pieces for row in piece.select(ORDER).to_pylist()]
    assert found == sorted(expected, key=lambda row: tuple(row.values()))


def test_a_merge_holds_few_rows_at_a_time(tmp_path: Path) -> None:
    """Of files one after the other each is opened when its time comes."""
    inputs = []
    for number in range(8):
        made = encode_segment(rows(range(number * 20_000, (number + 1) * 20_000)), 0, {})
        (tmp_path / str(number)).write_bytes(made.content)
        inputs.append(Input(tmp_path / str(number), made.segment.min_ts))
    held = [
        sum(len(each._rows) for each in inputs) + len(piece)
        for piece in merged(inputs, common_schema(inputs))
    ]
    assert max(held) <= 3 * merge.BATCH_ROWS


def test_columns_that_came_later_are_null_in_older_rows(tmp_path: Path) -> None:
    """Files of an earlier version and of this one become one file."""
    with FolderStore(tmp_path / "traces", write=True) as store:
        store.append(rows([0]))
        store.append(rows([1]).append_column("later", [pa.array(["x"])]))
        store.compact()
        (file,) = store.snapshot().files
    assert pq.ParquetFile(file).read(columns=["later"]).column(0).to_pylist() == [None, "x"]


def test_files_that_contradict_each_other_are_left_alone(tmp_path: Path) -> None:
    """A column of two types: they stay as they are, and the rest goes on."""
    with FolderStore(tmp_path / "traces", write=True) as store:
        store.append(rows([0]))
        store.append(rows([1]).set_column(5, "event_type", [pa.array([1])]))
        upkeep = Upkeep(store)
        with pytest.raises(pa.ArrowException):
            upkeep.finish(all_days=True)
        upkeep.close()
        assert tickets_in(store.snapshot()) == [0, 1]
        assert files_in(tmp_path / "traces") == {
            *(each.name for each in store.manifest.files), "LOCK", MANIFEST, PREVIOUS
        }  # fmt: skip


def steps_of(path: Path) -> list[str]:
    """The operations of merging and deleting."""
    disk = CountingDisk()
    shutil.copytree(path, copy := path.with_name("counted"))
    kept_up(copy, disk)
    shutil.rmtree(copy)
    return disk.done


def test_a_kill_at_any_step_of_a_compaction_loses_and_doubles_nothing(
    sixteen: Path, tmp_path: Path
) -> None:
    """Readers see every row once, before and after; the next owner finishes the work. R5.24"""
    shutil.copytree(sixteen, tmp_path / "start")
    operations = steps_of(tmp_path / "start")
    seen = set()
    for at in range(1, len(operations) + 1):
        shutil.copytree(tmp_path / "start", path := tmp_path / f"killed-{at}")
        ended = in_a_child(lambda path=path, at=at: kept_up(path, KillingDisk(at)))
        assert ended == -signal.SIGKILL, operations[at - 1]
        seen.add(len(whole(path).files))
        with FolderStore(path, write=True) as store:
            assert store.trouble == []
            whole(path)
            tidy(path)
            keep_up(store)
        assert len(whole(path).files) == 1
        tidy(path)
        shutil.rmtree(path)
    assert seen == {COMMITS, 1}
    assert len(operations) > 30


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_refusal_at_any_step_of_a_compaction_is_told_and_tried_again(
    sixteen: Path, tmp_path: Path, error: int
) -> None:
    """Appending goes on all the while, and the next try ends well. R5.24"""
    shutil.copytree(sixteen, tmp_path / "start")
    operations = steps_of(tmp_path / "start")
    for at in range(1, len(operations) + 1):
        shutil.copytree(tmp_path / "start", path := tmp_path / f"refused-{at}")
        now = [0.0]
        disk = FailingDisk(at, error)
        with FolderStore(path, write=True, disk=disk) as store:
            upkeep = Upkeep(store, clock=lambda now=now: now[0], clock_ns=later)
            for _ in range(80):
                wait_s = upkeep.step()
                whole(path)
                if wait_s > 1:
                    assert os.strerror(error) in upkeep.trouble
                    assert upkeep.step() > 1, "it waits before it tries again"
                    store.append(rows([]))
                    now[0] += 31
                now[0] += 1
            assert upkeep.trouble == ""
        assert len(whole(path).files) == 1
        FolderStore(path, write=True).close()
        tidy(path)
        shutil.rmtree(path)


def test_a_flipped_byte_of_an_input_costs_that_file_alone(sixteen: Path, tmp_path: Path) -> None:
    """It goes into quarantine and is counted; the others are merged. R5.24"""
    for at in (0, 1000, -1):
        shutil.copytree(sixteen, path := tmp_path / f"traces{at}")
        with FolderStore(path, write=True) as store:
            file = store.manifest.files[5]
            flipped(path / file.name, at)
            store.compact()
            (found,) = store.manifest.quarantined
            assert (found.name, found.rows) == (file.name, EACH)
        assert tickets_in(FolderStore(path).snapshot()) == ALL[: 5 * EACH] + ALL[6 * EACH :]
        assert len(FolderStore(path).snapshot().files) == 1
        assert len(list((path / "quarantine").iterdir())) == 1


@pytest.mark.parametrize("lost", [(MANIFEST,), (MANIFEST, PREVIOUS)])
def test_a_lost_manifest_is_made_again_after_a_compaction(
    sixteen: Path, tmp_path: Path, lost: tuple[str, ...]
) -> None:
    """The merged file tells which files it replaces, and how far all rings were read. R5.24"""
    for deleted in (False, True):
        shutil.copytree(sixteen, path := tmp_path / f"traces-{deleted}")
        with FolderStore(path, write=True) as store:
            store.compact()
            if deleted:
                Upkeep(store, clock_ns=later).finish()
        for name in lost:
            (path / name).unlink()
        assert find_manifest(path).unknown == ()
        whole(path)
        FolderStore(path, write=True).close()
        whole(path)


def test_answers_are_the_same_before_and_after(tmp_path: Path) -> None:
    """Pages, figures and recordings do not tell how the rows lie in files. R5.24"""
    path = tmp_path / "traces"
    delivery = StoreDelivery(FolderStore(path, write=True))
    for first in range(0, 400, 20):
        delivery.offer(offer(first, first + 20))
        while delivery.step() == 0.0:
            pass
        delivery._next_s = 0.0
    delivery.finish(5.0)
    question = Aggregate(("event_type",), 1_000_000_000, ("count", "avg", "p95"))

    def answers() -> list[object]:
        with FolderEngine(path) as engine:
            newest = engine.select(TraceQuery(), order="newest", limit=30)
            again = engine.select(TraceQuery(), order="newest", limit=30, after=newest.next)
            return [
                newest, again, engine.aggregate(question, TraceQuery()),
                engine.recording(TraceQuery()), engine.table(TraceQuery()).to_pylist(),
                engine.find(newest.events[0].event_id),
            ]  # fmt: skip

    before = answers()
    with FolderStore(path, write=True) as store:
        assert len(store.manifest.files) > 16
        assert store.compact() > 0
        assert len(store.manifest.files) < 5
        after = answers()
        Upkeep(store, clock_ns=later).finish()
    assert before == after == answers()


def reading(path: Path, ends: Callable[[], bool], least: int) -> int:
    """Reads over and over: every row that was there is there once, whatever is replaced."""
    seen = times = 0
    with FolderEngine(path) as engine:
        while not ends() or times < least:
            found = engine.sql("SELECT count(*), count(DISTINCT ticket), max(ticket) FROM events")
            count, distinct, newest = (column[0].as_py() for column in found.columns)
            assert count == distinct == (newest or -1) + 1, "each row is there once"
            assert count >= seen, "and never goes"
            seen, times = count, times + 1
    return times


def test_readers_see_each_row_once_while_files_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes and a thread read, while a writer appends, merges and deletes. R5.24"""
    monkeypatch.setattr(compaction, "FAN_IN", 3)
    path = tmp_path / "traces"
    full = SCHEMA.empty_table()

    def table(first: int, upto: int) -> pa.Table:
        made = rows(range(first, upto))
        return pa.concat_tables([full.select(made.schema.names), made], promote_options="default")

    with FolderStore(path, write=True) as store:
        store.append(table(0, 5))
        done = tmp_path / "done"
        children = []
        for _ in range(2):
            child = os.fork()
            if child == 0:
                code = 1
                with contextlib.suppress(BaseException):
                    reading(path, done.exists, 3)
                    code = 0
                os._exit(code)
            children.append(child)
        failed: list[BaseException] = []

        def in_thread() -> None:
            try:
                reading(path, done.exists, 3)
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=in_thread)
        thread.start()
        # files go ten times as fast as any commit comes, and readers are half a second behind
        upkeep = Upkeep(store, clock_ns=lambda: time.monotonic_ns() + 59 * SECOND + SECOND // 2)
        for first in range(5, 500, 5):
            store.append(table(first, first + 5))
            upkeep.finish()
        done.touch()
        thread.join()
        ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert failed == []
    assert ended == [0, 0]


def test_the_owners_thread_merges_between_commits(tmp_path: Path) -> None:
    """Nobody has to ask for it. R5.24"""
    delivery = StoreDelivery(FolderStore(tmp_path / "traces", write=True))
    delivery.start()
    for first in range(0, 40):
        delivery.offer(offer(first, first + 1))
        assert delivery.wait_settled(20)
    until = time.monotonic() + 20
    while not any(each.level for each in delivery.store.snapshot().manifest.files):
        assert time.monotonic() < until
        time.sleep(0.01)
    delivery.finish(5.0)
    assert tickets_in(FolderStore(tmp_path / "traces").snapshot()) == list(range(40))


def test_many_files_are_merged_before_more_are_appended(tmp_path: Path) -> None:
    """There are never more than 64 as they were appended, but of as many days. R5.24"""
    store = FolderStore(tmp_path / "traces", write=True)
    delivery = StoreDelivery(store)
    for first in range(0, 150):
        delivery.offer(offer(first, first + 1))
        delivery._urgent = True
        while len(delivery._waiting):
            delivery.step()
        assert sum(each.level == 0 for each in store.manifest.files) <= 64
    delivery.finish(5.0)
    assert tickets_in(FolderStore(tmp_path / "traces").snapshot()) == list(range(150))


def test_the_next_owner_deletes_what_was_replaced_before(sixteen: Path, tmp_path: Path) -> None:
    """The minute goes on after its owner's end, and ends with the machine's. R5.24"""
    shutil.copytree(sixteen, path := tmp_path / "traces")
    with FolderStore(path, write=True) as store:
        store.compact()
    with FolderStore(path, write=True) as store:
        Upkeep(store).finish()
        assert len(store.manifest.replaced) == COMMITS
        assert all((path / each.name).exists() for each in store.manifest.replaced)
        other = tuple(replace(each, boot="another") for each in store.manifest.replaced)
        store.commit(replace(store.manifest, replaced=other))
        Upkeep(store).finish()
    tidy(path)
    assert len(files_in(path)) == 5


def test_compaction_is_the_owners(sixteen: Path, tmp_path: Path) -> None:
    """A reader cannot; and of two owners there is one."""
    shutil.copytree(sixteen, path := tmp_path / "traces")
    with pytest.raises(OSError, match="not this process's"):
        FolderStore(path).compact()
