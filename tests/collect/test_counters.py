"""Counters read from ring headers: what was recorded, overwritten, and when last."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.apps import AppRun
from whence.collect.counters import CounterReader
from whence.collect.live import LiveSessions, collected_in
from whence.collect.positions import Acknowledged, StateFile
from whence.collect.sessions import read_recording
from whence.collect.sink_ledger import SinkLedger
from whence.model.recording import REMOVED_RINGS

RunApp = Callable[..., AppRun]

APP = """
    import whence
    whence.start("app", ring_slots=100)
    tick = whence.kind("tick", component="x", n=int)
    never = whence.kind("never", component="x", n=int)
    for n in range({count}):
        tick(n)
    """


def test_counters_agree_with_the_ledger_without_draining(run_app: RunApp) -> None:
    """Recorded, lost and held are those that a whole reading finds. R5.9 R5.25"""
    run = run_app(APP.format(count=250))
    found = CounterReader(run.session_dir).read()
    (ledger,) = read_recording([run.session_dir]).rings
    (ring,) = found.rings
    assert (ring.recorded, ring.lost, ring.held) == (250, 150, 100)
    assert (ledger.recorded, ledger.lost, ledger.readable) == (250, 150, 100)
    assert ring.newest_ns == ledger.newest_ns
    assert ring.per_kind == ledger.per_kind
    assert [kind.name for kind in found.kinds] == ["tick", "never"]
    assert found.damaged == ()


def test_tails_give_each_event_once_and_say_what_they_leave_out(run_app: RunApp) -> None:
    """The first tail starts a little back; later ones continue where it ended. R5.9"""
    run = run_app(APP.format(count=50))
    reader = CounterReader(run.session_dir)
    reader.read()
    batch, left_out = reader.tail(20)
    assert [row[19] for row in batch.rows()] == list(range(30, 50))
    assert not left_out
    again, left_out = reader.tail(20)
    assert (len(again), left_out) == (0, False)


def test_a_damaged_ring_is_left_out_and_told_of(run_app: RunApp) -> None:
    """One bad file hides no other, and reading goes on. R5.9"""
    run = run_app(APP.format(count=5))
    (run.session_dir / "ring-00001").write_bytes(b"x" * 20_000)
    found = CounterReader(run.session_dir).read()
    assert found.recorded == 5
    assert [file for file, _ in found.damaged] == ["ring-00001"]


def test_rings_that_made_room_are_counted_once(run_app: RunApp) -> None:
    """What was in a removed ring is in one count or in the other, while a reader looks on. R5.25"""
    run = run_app("""
        import whence
        from pathlib import Path
        from whence.collect.counters import CounterReader
        from whence.export.own_metrics import OwnMetrics
        from whence.collect.live import LiveSessions
        path = whence.start().path
        whence.kind("tick", component="x")()
        reader, own = CounterReader(path), OwnMetrics(LiveSessions(lambda: [path]))
        recorded, removed = 1, 0
        for _ in range(12):
            collector = whence.TraceCollector(200_000)
            for n in range(10):
                collector.record_now("t", "C", str(n))
            recorded += 10
            del collector
            found = reader.read()
            assert found.recorded + found.removed_events == recorded, found
            assert found.removed_events >= removed
            removed = found.removed_events
            lost = [f for f in own.families() if f.name == "whence_events_lost"][0].samples
            assert sum(sample.value for sample in lost) == removed, (lost, removed)
        assert removed > 0
    """)
    removed = CounterReader(run.session_dir).read().removed_events
    (ledger,) = (r for r in read_recording([run.session_dir]).rings if r.ring == REMOVED_RINGS)
    assert ledger.recorded == ledger.lost == removed


def test_sessions_come_and_go_between_readings(run_app: RunApp, tmp_path: Path) -> None:
    """A new session is there at the next reading, a removed one is not, and none stops it. R5.9"""
    run = run_app(APP.format(count=5))
    paths: list[Path] = []
    live = LiveSessions(lambda: paths, clock=lambda: 7)
    assert live.read().sessions == ()
    paths.append(run.session_dir)
    paths.append(tmp_path)  # no session at all
    reading = live.read()
    assert [each.info.service for each in reading.sessions] == ["app"]
    assert reading.wall_ns == 7
    paths.clear()
    assert live.read().sessions == ()


def test_the_collector_that_is_furthest_behind_counts(tmp_path: Path) -> None:
    """Of several sinks and state files the least position is taken; nonsense is skipped. R5.9"""

    def state(name: str, sink: str, lost: int, tickets: dict[int, int]) -> StateFile:
        file = StateFile(tmp_path / f"collector-{name}.state")
        ledger = SinkLedger(lost=lost)
        file.save({sink: Acknowledged({"u": tickets}, ledger)}, {})
        return file

    assert collected_in([tmp_path]) is None
    first = state("a", "x", 3, {0: 10, 1: 5})
    second = state("b", "y", 9, {0: 7})
    (tmp_path / "collector-c.state").write_text("{")
    found = collected_in([tmp_path])
    assert found is not None
    assert (found.tickets, found.lost) == ({"u": {0: 7, 1: 5}}, 9)
    first.close()
    second.close()
    found = collected_in([tmp_path])
    assert found is not None
    assert (found.tickets, found.lost) == ({"u": {0: 7, 1: 5}}, None)  # nobody is at work
