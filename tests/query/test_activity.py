"""Rates, loss and silence out of two readings, with hand-made counters and clocks."""

from __future__ import annotations

from dataclasses import replace

import whence
from tests.own_events import OwnEvents
from tests.query.build import START_NS, WALL_NS, session
from whence.collect.counters import RingCounters, SessionCounters
from whence.collect.gates import KindGate
from whence.collect.live import Collected, Reading
from whence.model.recording import FieldInfo, KindCounts, KindInfo, SessionInfo
from whence.query.activity import (
    COLLECTED,
    RECORDING,
    SILENT,
    UNCOLLECTED,
    Failures,
    activity_of,
)

LIVE = replace(session(), live=True, state="recording", uuid="u1", run="r1")
SECOND = 1_000_000_000


def ring(recorded: int, number: int = 0, *, lost: int = 0, idle: bool = False) -> RingCounters:
    """A ring of 100 slots whose newest event was recorded 250 ms after the anchor."""
    return RingCounters(
        ring=number,
        capacity=100,
        thread="1",
        idle=idle,
        shared=False,
        recorded=recorded,
        lost=lost,
        held=min(recorded, 100),
        truncated=0,
        newest_ns=START_NS + SECOND // 4 if recorded else None,
        per_kind=(KindCounts("tick", "x", recorded=recorded, sampled_out=recorded * 2),),
    )


def counters(*rings: RingCounters, info: SessionInfo = LIVE) -> SessionCounters:
    """A session that declared `tick` and `never`."""
    kinds = (KindInfo(1, "tick", "x"), KindInfo(2, "never", "y", decision=True))
    return SessionCounters(info=info, rings=rings, kinds=kinds)


def reading(*sessions: SessionCounters, after_s: float = 0.0, **more: object) -> Reading:
    """All of it, some seconds after the anchor."""
    wall_ns = WALL_NS + int(after_s * SECOND)
    return Reading(wall_ns=wall_ns, sessions=sessions, **more)  # type: ignore[arg-type]


def test_rates_are_what_two_readings_differ_by() -> None:
    """300 events in two seconds are 150 a second, per process, type and in all. R5.9 R5.25"""
    before = reading(counters(ring(100)), after_s=1)
    now = reading(counters(ring(350, lost=250), ring(50, 1)), after_s=3)
    found = activity_of(now, before)
    (process,) = found.processes
    assert (process.events_per_s, process.lost_per_s) == (150.0, 125.0)
    assert (process.recorded, process.lost, process.threads) == (400, 250, 2)
    assert process.ring_fill == 1.0
    assert process.sampled_out == 800
    assert process.last_event_age_ns == 2_750_000_000
    assert found.events_per_s == 150.0
    assert found.lost_per_s == 125.0
    tick, never = found.kinds
    assert (tick.event_type, tick.events_per_s, tick.sampled_out) == ("tick", 150.0, 800)
    assert (never.event_type, never.events_per_s, never.decision) == ("never", 0.0, True)


def test_without_an_earlier_reading_no_rate_is_made_up() -> None:
    """The first look has counts and no rates. R5.9"""
    found = activity_of(reading(counters(ring(10))))
    assert found.events_per_s is None
    assert found.processes[0].events_per_s is None
    assert found.kinds[0].events_per_s is None


def test_a_process_that_began_since_the_last_look_counts_from_nothing() -> None:
    """Its events are all new; those of one that was only found now are not. R5.9"""
    young = replace(LIVE, uuid="u2", started_wall_ns=WALL_NS + 2 * SECOND, pid=2)
    found_late = replace(LIVE, uuid="u3", started_wall_ns=WALL_NS - 9 * SECOND, pid=3)
    before = reading(after_s=1)
    now = reading(counters(ring(10), info=young), counters(ring(10), info=found_late), after_s=3)
    first, second = activity_of(now, before).processes
    assert (first.pid, first.events_per_s) == (2, 5.0)
    assert (second.pid, second.events_per_s) == (3, None)


def test_states_tell_silence_death_and_what_was_collected() -> None:
    """A process that declares kinds and records nothing is shown, and said to be silent. R5.9"""
    dead = replace(LIVE, live=False, state="dead")
    sessions = (
        counters(ring(1), info=replace(LIVE, uuid="a", pid=1)),
        counters(info=replace(LIVE, uuid="b", pid=2)),
        counters(ring(5), info=replace(dead, uuid="c", pid=3)),
        counters(ring(5), info=replace(dead, uuid="d", pid=4)),
        counters(info=replace(dead, uuid="e", pid=5)),
    )
    collected = Collected({"a": {0: 1}, "c": {0: 5}, "d": {0: 3}}, lost=0)
    found = activity_of(reading(*sessions, collected=collected))
    assert [(each.pid, each.state, each.behind) for each in found.processes] == [
        (1, RECORDING, 0),
        (2, SILENT, 0),
        (3, COLLECTED, 0),
        (4, UNCOLLECTED, 2),
        (5, UNCOLLECTED, 0),
    ]
    assert found.behind == 2
    alone = activity_of(reading(*sessions))
    assert alone.behind is None
    assert [each.state for each in alone.processes][2:] == [UNCOLLECTED] * 3


def test_with_a_collector_lost_is_what_it_missed() -> None:
    """Overwriting what was collected loses nothing. R5.9 R5.25"""
    before = reading(counters(ring(200, lost=100)), collected=Collected({}, 3))
    now = reading(counters(ring(400, lost=300)), after_s=2, collected=Collected({}, 7))
    assert activity_of(now, before).lost_per_s == 2.0
    idle = replace(now, collected=Collected({}, None))  # one that ended long ago misses nothing
    assert activity_of(idle, before).lost_per_s == 100.0


def test_gates_of_several_processes_are_shown_where_they_agree() -> None:
    """On and rate of a type, None where live processes differ or none is live. R5.9"""
    gate = KindGate("tick", "x", False, True, 0.5, None, False)
    found = activity_of(reading(counters(ring(1)), gates={"a": (gate,), "b": (gate,)}))
    assert (found.kinds[0].on, found.kinds[0].sample_rate) == (True, 0.5)
    other = replace(gate, sample_rate=0.1)
    found = activity_of(reading(counters(ring(1)), gates={"a": (gate,), "b": (other,)}))
    assert (found.kinds[0].on, found.kinds[0].sample_rate) == (True, None)
    assert activity_of(reading(counters(ring(1)))).kinds[0].on is None


def test_clocks_set_back_make_no_negative_rates() -> None:
    """A wall clock that was set back gives no rate, and an event of the future no age. R5.9"""
    before = reading(counters(ring(100)), after_s=5)
    found = activity_of(reading(counters(ring(200)), after_s=0), before)
    assert found.events_per_s is None
    assert found.processes[0].last_event_age_ns == 0


completed = whence.kind("act_completed", component="Worker", deadline_met=bool)
chosen = whence.kind(
    "act_chosen", component="S", decision=True, rationale="Selected {model}", model=str
)
plain = whence.kind("act_plain", component="S", n=int)


def test_failures_are_counted_and_carry_the_rationale_of_their_request(
    recorded: OwnEvents,
) -> None:
    """The newest come first; an event without a sentence shows its decision's. R5.9"""
    for number in range(4):
        with whence.request(f"req-{number}"):
            chosen(f"m{number}")
            completed(number % 2 == 0)
            plain(1)
    failures = Failures(most=2)
    declared = [
        KindInfo(1, "act_chosen", "S", decision=True),
        KindInfo(2, "act_completed", "Worker", fields=(FieldInfo("deadline_met", "bool"),)),
        KindInfo(3, "act_plain", "S"),
    ]
    failures.add([recorded.batch()], declared, False)
    assert failures.counts == {("act_completed", "Worker"): 2}
    assert [(e.request_id, text) for e, text in failures.newest] == [
        ("req-3", "Selected m3"),
        ("req-1", "Selected m1"),
    ]
    assert not failures.incomplete
    failures.add([], declared, True)
    assert failures.incomplete
