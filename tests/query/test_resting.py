"""Engines that rest: one at a time for each who asks, closed when nobody asks for a while."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from whence.query.engines.resting import Resting


class _Engine:
    """Counts how it ended."""

    def __init__(self) -> None:
        self.closed = self.cancelled = 0

    def close(self) -> None:
        self.closed += 1

    def cancel(self) -> None:
        self.cancelled += 1


class _World:
    """Engines, and a clock that is set by hand."""

    def __init__(self, most: int = 2) -> None:
        self.made: list[_Engine] = []
        self.now_s = 0.0
        self.rested = 0
        self.engines = Resting(
            self._make, most, rest_s=3_600.0, rested=self._rested, clock=lambda: self.now_s
        )

    def _make(self) -> Any:
        self.made.append(_Engine())
        return self.made[-1]

    def _rested(self) -> None:
        self.rested += 1


def test_an_engine_is_opened_when_it_is_asked_and_used_again() -> None:
    """None before, one for one who asks again and again. R4.63"""
    world = _World()
    assert (world.made, world.engines.open) == ([], 0)
    for _ in range(3):
        with world.engines.one() as engine:
            assert engine is world.made[0]
    assert world.engines.open == 1
    world.engines.close()
    assert world.made[0].closed == 1


def test_two_who_ask_at_once_have_one_each_and_a_third_waits() -> None:
    """Never one for two threads."""
    world = _World()
    asked = threading.Event()

    def third() -> None:
        with world.engines.one():
            asked.set()

    thread = threading.Thread(target=third)
    with world.engines.one() as one:
        with world.engines.one() as other:
            assert one is not other
            thread.start()
            assert not asked.is_set()
        thread.join()
    assert asked.is_set()
    assert world.engines.open == 2
    world.engines.close()


def test_what_nobody_asks_is_closed_and_opened_anew() -> None:
    """Only those that were not used for so long."""
    world = _World()
    with world.engines.one(), world.engines.one():
        pass
    world.now_s = 3_000.0
    with world.engines.one() as used:
        assert world.engines.rest() == 0
    world.now_s = 4_000.0
    assert world.engines.rest() == 1
    assert [each.closed for each in world.made if each is not used] == [1]
    assert (world.rested, world.engines.open) == (1, 1)
    world.now_s = 9_000.0
    assert world.engines.rest() == 1
    with world.engines.one() as anew:
        assert anew is not used
    world.engines.close()


def test_it_rests_by_itself() -> None:
    """Nobody has to call rest()."""
    rested = threading.Event()
    made: list[_Engine] = []

    def make() -> Any:
        made.append(_Engine())
        return made[-1]

    engines = Resting(make, rest_s=0.001, rested=rested.set)
    with engines.one():
        pass
    assert rested.wait(30)
    assert made[0].closed == 1
    engines.close()


def test_one_in_use_is_cancelled_at_once_and_closed_when_it_is_given_back() -> None:
    """And one that failed to open leaves its place to another."""
    world = _World(most=1)
    with world.engines.one():
        world.engines.cancel()
        world.engines.close()
        assert (world.made[0].cancelled, world.made[0].closed) == (1, 0)
    assert world.made[0].closed == 1

    def fails() -> Any:
        raise OSError("no room")

    engines = Resting(fails, 1)
    for _ in range(2):
        with pytest.raises(OSError, match="no room"), engines.one():
            pass


def test_without_rest_each_is_asked_once() -> None:
    """What reads all of its source at once would go on telling of that moment."""
    made: list[_Engine] = []

    def make() -> Any:
        made.append(_Engine())
        return made[-1]

    engines = Resting(make, rest_s=0.0)
    for number in range(2):
        with engines.one() as engine:
            assert engine is made[number]
    assert [each.closed for each in made] == [1, 1]
    assert engines.open == 0
