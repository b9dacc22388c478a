"""Waiting between drains: for the interval, unless a ring fills up, or the end comes."""

from __future__ import annotations

import whence
from tests.own_events import OwnEvents
from whence.collect.glances import Glances
from whence.collect.local_source import LocalSource

tick = whence.kind("glance_tick", component="Glances", n=int)


class Time:
    """Passes when it is waited for, and when somebody looks."""

    def __init__(self, look_s: float = 0.0) -> None:
        self.now_s, self.waits, self.look_s = 0.0, [0.0], look_s
        self.pressures: list[float] = []

    def __call__(self) -> float:
        """The moment."""
        return self.now_s

    def wait(self, seconds: float) -> bool:
        """Passes."""
        self.waits.append(seconds)
        self.now_s += seconds
        return False

    def pressure(self) -> float:
        """The next of those told beforehand, else none."""
        self.now_s += self.look_s
        return self.pressures.pop(0) if self.pressures else 0.0


def test_nothing_new_is_waited_for_until_the_interval_has_passed() -> None:
    """In small parts, each followed by a look. R1.39"""
    time = Time()
    assert not Glances(time.pressure, 0.25, time).wait(1.0, time.wait)
    assert time.now_s == 1.0
    assert time.waits[1:] == [0.25] * 4


def test_a_ring_that_fills_up_is_drained_before_the_interval() -> None:
    """Programs that record much lose nothing for an interval that is long. R1.39"""
    time = Time()
    time.pressures = [0.0, 0.2, 0.3]
    assert not Glances(time.pressure, 0.25, time).wait(3600.0, time.wait)
    assert time.now_s == 0.75


def test_looking_takes_a_small_part_of_the_time() -> None:
    """Where a look takes long, as with a thousand sessions, they are far apart. R1.39"""
    time = Time(look_s=0.1)
    Glances(time.pressure, 0.025, time).wait(100.0, time.wait)
    assert all(apart >= 3.99 for apart in time.waits[2:-1])


def test_the_end_is_not_waited_for() -> None:
    """What says that the end has come ends the waiting at once. R1.40"""
    time = Time()
    assert Glances(time.pressure, 0.25, time).wait(3600.0, lambda seconds: True)
    assert time.now_s == 0.0


def test_pressure_is_the_unread_share_of_the_fullest_ring(recorded: OwnEvents) -> None:
    """Of this process's rings; after a drain it is gone. R1.39"""
    source = LocalSource()
    tick(0)
    while source.step(10**6).more:
        pass
    assert source.pressure() == 0.0
    collector = whence.TraceCollector(100)
    for _ in range(30):
        collector.record_now("a", "b")
    assert source.pressure() == 0.3
    source.step(10**6)
    assert source.pressure() == 0.0
