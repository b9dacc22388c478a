"""Tail: what a store gains is told once each, in the order of commits, across every change."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.query.build import START_NS, WALL_NS
from tests.watch.growing import Program
from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.severity import Severity
from whence.query.engines.folder import FolderEngine
from whence.store.compaction import merge_steps, next_merge
from whence.store.folder import FolderStore
from whence.store.memory import MemoryStore
from whence.store.upkeep import Upkeep
from whence.watch.reached import Reached
from whence.watch.tail import BEGINNING, Tail

HOUR = 3_600_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FolderStore]:
    """An empty store that this process owns."""
    with FolderStore(tmp_path / "traces", write=True) as store:
        yield store


def told(tail: Tail) -> list[TraceEvent]:
    """All that is new."""
    found: list[TraceEvent] = []
    while True:
        piece = tail.poll()
        found += piece.events
        if not piece.events and not piece.more:
            return found


def test_only_what_is_stored_from_now_on_is_told(store: FolderStore) -> None:
    """A tail begins at the end, and tells each event once. R4.9 R1.45"""
    program = Program(store)
    program.record(1, 2, 3)
    tail = Tail(store)
    assert told(tail) == []
    new = program.record(4, 5)
    assert told(tail) == new
    assert told(tail) == []


def test_an_event_that_happened_long_ago_is_told_when_it_is_stored(store: FolderStore) -> None:
    """Late rows are older than everything told before them, and are not missed."""
    program, late = Program(store, 1), Program(store, 2)
    tail = Tail(store)
    first = program.record(10 * HOUR)
    assert told(tail) == first
    assert told(tail) == []
    assert told(tail) + late.record(HOUR) + program.record(2 * HOUR, 11 * HOUR) == told(tail)


def test_commits_come_in_their_order_and_events_of_one_by_time(store: FolderStore) -> None:
    """Two commits are not mixed, whatever their times are."""
    program = Program(store)
    tail = Tail(store)
    expected = program.record(50, 40, 60) + program.record(30, 20)
    assert told(tail) == expected


def test_a_tail_can_begin_with_all_there_is(store: FolderStore) -> None:
    """From the beginning everything is told, merged files first."""
    program = Program(store)
    expected = [event for n in range(16) for event in program.record(n)]
    store.compact()
    expected += program.record(3)
    assert told(Tail(store, after=BEGINNING)) == expected


def test_a_tail_goes_on_behind_a_page(store: FolderStore) -> None:
    """The key of a page begins a tail: what lies behind it, then what is stored later."""
    program = Program(store)
    events = program.record(*range(10)) + program.record(*range(20, 30))
    with FolderEngine(store.path) as engine:
        page = engine.select(TraceQuery(), limit=7)
        newest = engine.select(TraceQuery(), order="newest", limit=7)
    tail = Tail(store, after=str(page.next))
    assert told(tail) == events[7:]
    assert told(tail) + program.record(-5) == told(tail)
    assert newest.next is not None
    with pytest.raises(ValueError, match="newest first"):
        Tail(store, after=newest.next)


def test_a_filter_holds_for_all_that_is_told(store: FolderStore) -> None:
    """Only events that match are told; the token moves on over all others."""
    program = Program(store)
    query = TraceQuery(event_type=("tock", "other"), where="n > 2", min_severity=Severity.Warning)
    tail = Tail(store, query)
    quiet = [program.event(n) for n in range(4)]
    loud = [program.event(n, event_type="tock", severity=Severity.Error) for n in range(4)]
    soft = [program.event(n, event_type="tock") for n in range(4)]
    program.commit([*quiet, *loud, *soft])
    assert told(tail) == loud
    assert told(Tail(store, query, after=tail.token)) == []


def test_a_request_that_was_forgotten_is_not_told(store: FolderStore) -> None:
    """What was hidden before it could be told stays hidden."""
    program = Program(store)
    tail = Tail(store)
    kept = program.record(1, request_id="req-1")
    program.record(2, request_id="req-2")
    store.hide(["req-2"])
    assert told(tail) == kept


def test_a_token_goes_on_in_another_process(store: FolderStore) -> None:
    """The word that comes with events goes on exactly behind them, whatever was merged since."""
    program, other, gone = Program(store, 1), Program(store, 2), Program(store, 3)
    gone.record(1, 2)
    program.record(*range(8))
    gone.forget()
    tail = Tail(store)
    told(tail)
    token = tail.token
    new = program.record(0) + other.record(5, 6) + program.record(1, ring=4)
    Upkeep(store).finish()
    for n in range(20):
        new += other.record(100 + n)
    store.compact()
    assert len(store.snapshot().manifest.files) < 20
    assert sorted(told(Tail(store, after=token)), key=lambda e: e.event_id) == sorted(
        new, key=lambda e: e.event_id
    )
    assert Reached.parse(token).token == token
    assert token.replace("-", "").replace("_", "").isalnum()


def test_a_token_within_a_file_goes_on_within_it(store: FolderStore) -> None:
    """Of a commit that was told in part the rest is told."""
    program = Program(store)
    tail = Tail(store, piece_rows=3)
    events = program.record(*range(10))
    first = tail.poll()
    assert (list(first.events), first.more) == (events[:3], True)
    assert told(Tail(store, after=first.token)) == events[3:]


@pytest.mark.parametrize(
    "token", ["", "1-", "1-AAAA", "oldest.1", "x" * 5_000, "1-%s" % ("A" * 80)]
)
def test_what_is_no_token_is_refused_by_name(store: FolderStore, token: str) -> None:
    """A word that nobody was told raises ValueError, whatever it is."""
    if token:
        with pytest.raises(ValueError, match="is no token"):
            Tail(store, after=token)


def test_a_token_of_another_store_is_refused(store: FolderStore, tmp_path: Path) -> None:
    """A token says of which store it is."""
    with FolderStore(tmp_path / "other", write=True) as other:
        token = Tail(other).token
    with pytest.raises(ValueError, match="another store"):
        Tail(store, after=token)


def test_a_damaged_file_is_named_and_passed(store: FolderStore) -> None:
    """What cannot be read keeps nobody from what can."""
    program = Program(store)
    tail = Tail(store)
    program.record(1)
    (broken,) = store.snapshot().files
    broken.write_bytes(b"PAR1" + bytes(80))
    more = program.record(2)
    assert told(tail) == more
    assert [name for name in tail.damaged if broken.name in name]


def test_waiting_looks_at_the_manifest_and_ends_when_it_changes(store: FolderStore) -> None:
    """Between looks it sleeps; a sleep that says so ends the waiting."""
    program = Program(store)
    slept: list[float] = []

    def sleep(seconds: float) -> bool:
        slept.append(seconds)
        if len(slept) == 3:
            program.record(1)
        return len(slept) == 5

    tail = Tail(store, sleep=sleep, look_s=0.25)
    assert tail.wait(60.0)
    assert slept == [0.25] * 3
    assert len(told(tail)) == 1
    assert not tail.wait(60.0)
    assert len(slept) == 5
    assert not tail.wait(0.0)


def test_a_store_in_memory_is_followed_alike() -> None:
    """MemoryStore tells the same, from the beginning, from a token, from now."""
    store = MemoryStore()
    program = Program(store)
    tail, token = Tail(store), Tail(store).token
    events = program.record(3, 4) + program.record(1)
    assert told(tail) == events
    assert told(Tail(store, after=token)) == events
    assert told(Tail(store, after=BEGINNING)) == events


ACTIONS = st.sampled_from(["append"] * 5 + ["merge", "drop replaced", "poll", "resume", "forget"])


@settings(max_examples=60)
@given(
    st.lists(st.tuples(ACTIONS, st.integers(0, 3), st.integers(0, 40)), min_size=4, max_size=30),
    st.integers(1, 4),
)
def test_every_event_is_told_once_whatever_happens_to_its_file(
    actions: list[tuple[str, int, int]], piece_rows: int
) -> None:
    """Appends, merges, deletions, restarts of the tail: each event comes, in its ring's order.

    After a restart those of a file that was told in part, and merged, may come a second time.
    """
    with tempfile.TemporaryDirectory() as folder, FolderStore(folder, write=True) as store:
        programs = {n: Program(store, n) for n in range(4)}
        ended: set[int] = set()
        number, tokens = 4, 0
        tail = Tail(store, piece_rows=piece_rows)
        expected: list[TraceEvent] = []
        found: list[TraceEvent] = []
        for action, which, size in actions:
            if action == "append":
                offsets = [(size * 7919 + n * 104_729) % 1_000 for n in range(size % 7 + 1)]
                expected += programs[which].record(*offsets, ring=size % 2)
            elif action == "merge":
                merge = next_merge(store.manifest, all_days=True)
                if merge:
                    for _ in merge_steps(store, merge):
                        pass
            elif action == "drop replaced":
                Upkeep(store, clock_ns=_far).finish()
            elif action == "poll":
                found += tail.poll().events
            elif action == "resume":
                tail = Tail(store, after=tail.token, piece_rows=piece_rows)
                tokens += 1
            else:
                programs[which].forget()
                ended.add(which)
                number += 1
                programs[which] = Program(store, number)
        found += told(tail)
        assert {e.event_id for e in found} == {e.event_id for e in expected}
        if not tokens or not {"merge", "drop replaced"} & {action for action, _, _ in actions}:
            assert len(found) == len(expected)


def _far() -> int:
    return WALL_NS + START_NS + 2**61
