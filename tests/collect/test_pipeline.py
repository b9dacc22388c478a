"""The collector's loop: many sinks, each at its own place, none in another's way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.apps import AppRun
from tests.collect.made_sink import MadeSink, drained
from whence.collect.delivery import Delivery, Limits
from whence.collect.follower import Ended, Follower, Step
from whence.collect.pipeline import Pipeline, common_start
from whence.collect.positions import Acknowledged, StateFile
from whence.collect.sink import Drained, Payload, Reply
from whence.collect.sink_ledger import SinkLedger
from whence.collect.wanted import Wanted
from whence.model.recording import SessionInfo
from whence.model.severity import Severity
from whence.ring.folders import session_folders

RunApp = Callable[..., AppRun]

RECORDS = """
    import whence
    tick = whence.kind("tick", component="X", n=int)
    for n in range(100):
        tick(n)
"""


class Numbers:
    """A source of numbered events; the test says how far it has come."""

    def __init__(self, start: int = 0) -> None:
        self.at, self.end = start, start
        name = str(drained(0, 1).batch.rows()[0][17])
        self.sessions = {name: SessionInfo(name, uuid="u")}
        self.ring = int(drained(0, 1).batch.rows()[0][18])
        self.spared: list[bool] = []

    def step(self, most_events: int, *, spare_dead: bool = False) -> Step:
        """Up to `end`."""
        self.spared.append(spare_dead)
        before, self.at = self.at, min(self.end, self.at + most_events)
        part = Drained(drained(before, self.at).batch, self.sessions)
        spans = {("u", self.ring): (before, self.at)} if self.at > before else {}
        return Step(part, spans, more=self.at < self.end)

    def pressure(self) -> float:
        """None."""
        return 0.0

    def take_ended(self) -> list[Ended]:
        """None."""
        return []

    def take_removed(self) -> list[str]:
        """None."""
        return []


def run_out(delivery: Delivery) -> None:
    """Delivers what is queued, in this thread."""
    while delivery.step() is not None:
        pass


def started(place: int, ring: int) -> Acknowledged:
    """A sink that has come so far."""
    return Acknowledged({"u": {ring: place}}, SinkLedger(read=place, delivered=place))


@given(
    places=st.lists(st.integers(0, 60), min_size=1, max_size=4),
    steps=st.lists(st.integers(0, 40), min_size=1, max_size=6),
)
def test_every_sink_goes_on_at_its_own_place(places: list[int], steps: list[int]) -> None:
    """Reading begins at the least place; nobody gets an event twice, nobody misses one. R1.39"""
    ring = Numbers().ring
    sinks = [MadeSink(str(n)) for n in range(len(places))]
    deliveries = [
        Delivery(sink, start=started(place, ring))
        for sink, place in zip(sinks, places, strict=True)
    ]
    assert common_start(deliveries) == {"u": {ring: min(places)}}
    source = Numbers(min(places))
    pipeline = Pipeline(source, deliveries, most_events=7)
    for count in steps:
        source.end += count
        while pipeline.step():
            pass
    for sink, delivery, place in zip(sinks, deliveries, places, strict=True):
        run_out(delivery)
        assert sorted(sink.taken) == [n for n in range(place, source.end) if n % 11]
        ledger = delivery.ledger()
        assert ledger.closes
        assert ledger.read == max(place, source.end)
        assert ledger.lost == 0
        assert delivery.position(("u", ring)) == max(place, source.end)


@given(
    held=st.sets(st.integers(0, 39), max_size=20),
    gone=st.integers(0, 40),
    place=st.integers(0, 40),
    most=st.integers(1, 50),
)
def test_what_a_killed_run_wrote_and_rings_lost_is_delivered(
    held: set[int], gone: int, place: int, most: int
) -> None:
    """Overwritten, and in the file: read and delivered, once; overwritten and not: lost. R1.39"""

    class Overwritten(Numbers):
        """Has lost all before `gone`."""

        def step(self, most_events: int, *, spare_dead: bool = False) -> Step:
            """As above, without what is overwritten."""
            step = super().step(most_events)
            rows = step.drained.batch.select(from_tickets={(name, self.ring): gone})
            return Step(Drained(rows, self.sessions), step.spans, step.more)

    source = Overwritten(place)
    (name,) = source.sessions
    sink = MadeSink()
    sink.held = lambda: {(name, source.ring): sorted(held)}  # type: ignore[attr-defined]
    delivery = Delivery(sink, start=started(place, source.ring))
    source.end = 40
    pipeline = Pipeline(source, [delivery], most_events=most, wanted=Wanted(("numbered",)))
    while pipeline.step():
        pass
    run_out(delivery)
    ledger = delivery.ledger()
    found = len([n for n in held if place <= n < gone])
    come = [n for n in range(max(place, gone), 40) if n % 11]
    assert ledger.closes
    assert ledger.delivered == place + found + len(come)
    assert ledger.lost == max(0, gone - place) - found
    assert ledger.read + ledger.lost == 40
    assert delivery.acknowledged().ledger == ledger


def test_a_sink_that_hangs_holds_up_no_other() -> None:
    """Its own queue fills and gives up its oldest; the other has everything. R1.39"""

    class Hanging(MadeSink):
        def deliver(self, payload: Payload, timeout_s: float) -> Reply:
            hangs.set()
            release.wait(60.0)
            return super().deliver(payload, timeout_s)

    hangs, release = threading.Event(), threading.Event()
    stuck = Delivery(Hanging("stuck"), Limits(queue_events=100))
    fine = Delivery(MadeSink("fine"))
    source = Numbers()
    pipeline = Pipeline(source, [stuck, fine], most_events=50)
    pipeline.start()
    for _ in range(20):
        source.end += 100
        while pipeline.step():
            pass
    assert fine.wait_settled(60.0)
    assert hangs.wait(60.0)
    assert fine.ledger().delivered == sum(1 for n in range(2000) if n % 11)
    ledger = stuck.ledger()
    assert ledger.closes
    assert ledger.delivered == 0
    assert ledger.queued <= 150
    assert ledger.expired >= 1800
    release.set()
    pipeline.finish(60.0)
    assert stuck.ledger().queued == fine.ledger().queued == 0


def test_the_dead_wait_for_a_sink_that_is_slow_and_not_for_one_that_is_dead() -> None:
    """What nobody overwrites need not be thrown out of a queue. R1.39"""
    sink = MadeSink()
    delivery = Delivery(sink, Limits(queue_events=100))
    source = Numbers()
    pipeline = Pipeline(source, [delivery], most_events=60)
    source.end = 60
    pipeline.step()
    assert delivery.is_behind()
    source.end = 70
    pipeline.step()
    assert source.spared == [False, True]
    sink.next = ["down"]
    delivery.step()
    delivery.step()
    delivery.step()
    assert delivery.trouble
    assert not delivery.is_behind()


def test_filters_are_counted_for_every_sink() -> None:
    """What is filtered is read and not delivered; positions move over it. R1.44"""
    source = Numbers()
    delivery = Delivery(MadeSink())
    pipeline = Pipeline(source, [delivery], wanted=Wanted(min_severity=Severity.Error))
    source.end = 30
    pipeline.step()
    assert delivery.ledger() == SinkLedger(read=30, filtered=30)
    assert delivery.position(("u", source.ring)) == 30


def test_a_state_that_cannot_be_saved_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told of; with room again the positions are saved. R1.39"""
    state = StateFile(tmp_path / "c.state")
    delivery = Delivery(MadeSink())
    source = Numbers()
    pipeline = Pipeline(source, [delivery], state=state)

    def fail(sinks: Mapping[str, Acknowledged], status: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state, "save", fail)
    source.end = 5
    pipeline.step()
    run_out(delivery)
    pipeline.save()
    assert "No space left" in pipeline.trouble
    monkeypatch.undo()
    pipeline.save()
    assert pipeline.trouble == ""
    assert state.sinks["made"].positions == {"u": {source.ring: 5}}
    state.close()


@pytest.mark.parametrize("outcome", ["refused", "partial", "down"])
def test_a_session_that_was_not_wholly_delivered_is_kept(
    run_app: RunApp, tmp_path: Path, outcome: str
) -> None:
    """Refused, expired or waiting: its folder stays, whatever the other sinks have. R5.10"""
    run = run_app(RECORDS.replace("range(100)", "range(1, 10)"))
    troubled, fine = MadeSink("troubled"), MadeSink("fine")
    troubled.skips = fine.skips = 0
    troubled.next = [outcome]
    deliveries = [Delivery(troubled), Delivery(fine)]
    state = StateFile(tmp_path / "c.state")
    follower = Follower(lambda: session_folders(run.whence_dir))
    pipeline = Pipeline(follower, deliveries, state=state, reaps=True)
    pipeline.step()
    for delivery in deliveries:
        for _ in range(8):
            delivery.step()
    pipeline.save()
    assert fine.taken
    assert pipeline.reaped == []
    assert len(list(session_folders(run.whence_dir))) == 1
    state.close()


def test_a_session_delivered_everywhere_is_removed_and_forgotten(
    run_app: RunApp, tmp_path: Path
) -> None:
    """Not before the positions are saved; afterwards the state names it no more. R5.10"""
    run = run_app(RECORDS.replace("range(100)", "range(1, 10)"))
    sinks = [MadeSink("a"), MadeSink("b")]
    for sink in sinks:
        sink.skips = 0
    deliveries = [Delivery(sink) for sink in sinks]
    state = StateFile(tmp_path / "c.state")
    follower = Follower(lambda: session_folders(run.whence_dir))
    pipeline = Pipeline(follower, deliveries, state=state, reaps=True)
    pipeline.step()
    run_out(deliveries[0])
    pipeline.save()
    assert len(list(session_folders(run.whence_dir))) == 1
    run_out(deliveries[1])
    pipeline.save()
    assert list(session_folders(run.whence_dir)) == []
    assert len(pipeline.reaped) == 1
    pipeline.save()
    assert all(not known.positions for known in state.sinks.values())
    state.close()
