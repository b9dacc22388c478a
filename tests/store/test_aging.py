"""Retention by age: what ended long ago goes whole, what goes on stays whole, cuts are known."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.failing import CountingDisk, KillingDisk
from tests.store.rows import NOON, SECOND, tickets_in
from tests.store.test_faults import files_in, in_a_child
from tests.store.test_retention import DAY, Clocks
from whence.store.disk import Disk
from whence.store.folder import FolderStore
from whence.store.id_index import text_hashes
from whence.store.retention import cut_of
from whence.store.upkeep import Upkeep

Row = tuple[int, str, str, int]  # day, request, chain of its own, trace


def table(rows: Sequence[Row], first: int = 0) -> pa.Table:
    """Events with tickets from `first` on, a second apart within their days."""
    tickets = range(first, first + len(rows))
    name = pa.dictionary(pa.int32(), pa.string())
    count = len(rows)
    return pa.table(
        {
            "ts_ns": [NOON + row[0] * DAY + n * SECOND for n, row in enumerate(rows, first)],
            "offset_ns": [NOON] * count,
            "session": [7] * count,
            "ring": pa.array([0] * count, pa.int32()),
            "ticket": list(tickets),
            "event_type": pa.array(["tick"] * count).cast(name),
            "request_id": pa.array([row[1] for row in rows], pa.string()),
            "decision_chain_id": pa.array([row[2] or None for row in rows], pa.string()),
            "trace_hi": pa.array([-row[3] for row in rows], pa.int64()),
            "trace_lo": pa.array([row[3] for row in rows], pa.int64()),
        }
    )  # fmt: skip


def filled(
    path: Path, rows: Sequence[Row], days: float = 2, each: int = 3, merged: bool = False
) -> None:
    """A store of these events, some in each commit."""
    with FolderStore(path, write=True) as store:
        for first in range(0, len(rows), each):
            store.append(table(rows[first : first + each], first))
        if merged:
            store.compact()
        store.keep(days=days)


def expected(rows: Sequence[Row], there: set[int], cutoff_ns: int) -> set[int]:
    """Which of the events that are there stay, by looking at all of them."""
    at = {n: NOON + rows[n][0] * DAY + n * SECOND for n in there}
    days = {rows[n][0] for n in there}
    young = {day for day in days if any(at[n] >= cutoff_ns for n in there if rows[n][0] == day)}
    stay = {n for n in there if rows[n][0] in young}
    ids = {n: {each for each in rows[n][1:] if each} for n in there}
    while True:
        known = set().union(*(ids[n] for n in stay))
        more = {n for n in there if ids[n] & known} | stay
        if more == stay:
            return stay
        stay = more


ROWS = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.sampled_from(["", "a", "b", "c", "d", "e"]),
        st.sampled_from(["", "", "", "x", "a"]),
        st.sampled_from([0, 0, 1, 2, 3]),
    ),
    min_size=1,
    max_size=24,
)


@settings(max_examples=15, deadline=None)
@given(ROWS, st.integers(1, 5), st.lists(st.integers(1, 5), min_size=1, max_size=3), st.booleans())
def test_only_what_ended_long_ago_goes(
    tmp_path_factory: object, rows: list[Row], each: int, passed: list[int], merged: bool
) -> None:
    """R4.68 R4.32 What is left after any days equals what brute force leaves, at once."""
    path = tmp_path_factory.mktemp("aging") / "traces"  # type: ignore[attr-defined]
    filled(path, rows, each=each, merged=merged)
    clocks = Clocks(NOON)
    there = set(range(len(rows)))
    with FolderStore(path, write=True) as store:
        upkeep = clocks.upkeep(store)
        for days in passed:
            for _ in range(days):  # an hour at a time would be longer than an hour's lead
                clocks.pass_ns(DAY)
            after = expected(rows, there, clocks.wall_ns - 2 * DAY)
            seen = [set(tickets_in(store.snapshot()))]
            while upkeep._goes_on():
                seen.append(set(tickets_in(store.snapshot())))
            assert all(one in (there, after) for one in seen), "before or after, nothing between"
            assert seen[-1] == after
            assert store.manifest.dropped.get("rows", 0) == len(rows) - len(after)
            assert cut_of(store.manifest) == (frozenset(), None)
            there = after
    shutil.rmtree(path)


LONG = [
    (0, "ended", "", 0), (0, "long", "", 0), (0, "", "", 0),
    (1, "ended", "", 5), (1, "linked", "", 6), (1, "long", "", 6),
    (5, "new", "", 0), (5, "long", "", 0),
]  # fmt: skip


def aged(path: Path, disk: Disk | None = None) -> None:
    """The owner's work at the day of NOON + 5."""
    clocks = Clocks(NOON + 5 * DAY)
    with FolderStore(path, write=True, disk=disk) as store:
        clocks.upkeep(store).finish()
        clocks.pass_ns(61 * SECOND)
        clocks.upkeep(store).finish()


def test_a_request_that_goes_on_stays_whole_and_with_it_what_it_shares_a_trace_with(
    tmp_path: Path,
) -> None:
    """R4.32 The rest of its days goes, and files of what stays are made."""
    filled(path := tmp_path / "traces", LONG)
    aged(path)
    snapshot = FolderStore(path).snapshot()
    assert tickets_in(snapshot) == [1, 4, 5, 6, 7]
    dropped = snapshot.manifest.dropped
    assert (dropped["rows"], dropped["rows_by_age"]) == (3, 3)
    assert list(dropped["days"].values()) == [2, 1]
    assert not cut_of(snapshot.manifest).ids
    generation = snapshot.manifest.generation
    aged(path)
    assert tickets_in(FolderStore(path).snapshot()) == [1, 4, 5, 6, 7]
    assert FolderStore(path).snapshot().manifest.generation <= generation + 2, "nothing to do"


def test_a_kill_at_any_step_leaves_all_or_what_stays(tmp_path: Path) -> None:
    """R4.68 F1 No request is ever seen in part, and no file is left behind."""
    filled(start := tmp_path / "start", LONG)
    shutil.copytree(start, counted := tmp_path / "counted")
    aged(counted, disk := CountingDisk())
    want = files_in(counted)
    seen = set()
    for at in range(1, len(disk.done) + 1):
        shutil.copytree(start, path := tmp_path / f"killed-{at}")
        ended = in_a_child(lambda path=path, at=at: aged(path, KillingDisk(at)))
        assert ended == -signal.SIGKILL, disk.done[at - 1]
        seen.add(tuple(tickets_in(FolderStore(path).snapshot())))
        aged(path)
        assert tickets_in(FolderStore(path).snapshot()) == [1, 4, 5, 6, 7]
        assert len(files_in(path)) == len(want)
        shutil.rmtree(path)
    assert seen == {tuple(range(len(LONG))), (1, 4, 5, 6, 7)}


def test_a_lost_manifest_is_made_anew_from_what_stays(tmp_path: Path) -> None:
    """The files say themselves whose rows they have, and which days went."""
    filled(path := tmp_path / "traces", LONG)
    with FolderStore(path, write=True) as store:
        Clocks(NOON + 5 * DAY).upkeep(store).finish()
    for name in ("MANIFEST", "MANIFEST.previous"):
        os.unlink(path / name)
    with FolderStore(path, write=True) as store:
        assert tickets_in(store.snapshot()) == [1, 4, 5, 6, 7]


def test_on_a_full_disk_the_oldest_day_goes_and_what_that_cuts_is_known(tmp_path: Path) -> None:
    """R4.32 F2 Where there is no room to write what stays, the store ages all the same."""
    filled(path := tmp_path / "traces", LONG)

    def full(operation: str, path: Path) -> None:
        """No new segment fits."""
        if operation in ("create", "write") and path.name.startswith(".L"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    aged(path, Disk(full))
    snapshot = FolderStore(path).snapshot()
    assert tickets_in(snapshot) == [6, 7]
    cut = cut_of(snapshot.manifest)
    assert "long" in cut.ids
    assert not cut.ids & {"new", ""}
    assert cut.before_ns is None


def test_what_a_drop_by_size_cuts_is_known(tmp_path: Path) -> None:
    """R4.32 The requests of which a part is left, by their ids; not what ended that day."""
    filled(path := tmp_path / "traces", LONG, days=0)
    with FolderStore(path, write=True) as store:
        store.keep(size=sum(each.bytes for each in store.manifest.files) - 1)
        Upkeep(store).finish()
        assert tickets_in(store.snapshot()) == [3, 4, 5, 6, 7]
        assert {"long", "ended"} == cut_of(store.manifest).ids
        assert cut_of(store.manifest).before_ns is not None, "what comes late is unknown"


def test_an_id_that_only_looks_the_same_keeps_nothing(tmp_path: Path) -> None:
    """The index knows 32 bits of an id: the ids themselves are compared."""
    names = [f"{n * 0x9E3779B97F4A7C15 % 2**64:016x}" for n in range(300_000)]
    hashes = text_hashes(pa.array(names))
    order = np.argsort(hashes)
    at = int(np.flatnonzero(np.diff(hashes[order].astype(np.int64)) == 0)[0])
    one, other = (names[order[n]] for n in (at, at + 1))
    filled(path := tmp_path / "traces", [(0, one, "", 0), (5, other, "", 0)], each=1)
    aged(path)
    assert tickets_in(FolderStore(path).snapshot()) == [1]


def test_an_event_that_comes_meanwhile_keeps_its_request(tmp_path: Path) -> None:
    """R4.32 Looking through old days takes a while; what is appended then is looked at, too."""
    filled(path := tmp_path / "traces", LONG)
    with FolderStore(path, write=True) as store:
        upkeep = Clocks(NOON + 5 * DAY).upkeep(store)
        while upkeep._under_way is None:
            upkeep._goes_on()
        for _ in range(3):
            upkeep._goes_on()
        store.append(table([(5, "ended", "", 0)], 100))
        upkeep.finish()
        assert tickets_in(store.snapshot()) == [0, 1, 3, 4, 5, 6, 7, 100]


def test_a_damaged_file_keeps_no_other_from_growing_old(tmp_path: Path) -> None:
    """F3 It is set aside, with what it holds counted as missing."""
    filled(path := tmp_path / "traces", LONG)
    with FolderStore(path, write=True) as store:
        first = store.manifest.files[0]
        (path / first.name).write_bytes(bytes(first.bytes))
        Clocks(NOON + 5 * DAY).upkeep(store).finish()
        assert [each.name for each in store.manifest.quarantined] == [first.name]
        assert tickets_in(store.snapshot()) == [4, 5, 6, 7]
