"""Ring: a queue of exact capacity that drops its oldest and says so, held against a deque."""

from __future__ import annotations

import gc
import weakref
from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from whence.ring import Ring


class AgainstADeque(RuleBasedStateMachine):
    """R1.20 R1.21 R1.22 R1.23 R1.24 R1.25: every answer is that of a deque of that length."""

    def __init__(self) -> None:
        super().__init__()
        self.ring: Ring[object] | None = None
        self.oracle: deque[object] = deque()
        self.dropped = 0

    @precondition(lambda self: self.ring is None)
    @rule(capacity=st.integers(1, 7))
    def make(self, capacity: int) -> None:
        """A ring and its oracle."""
        self.ring = Ring(capacity)
        self.oracle = deque(maxlen=capacity)

    @precondition(lambda self: self.ring is not None)
    @rule(item=st.integers() | st.text() | st.none())
    def push(self, item: object) -> None:
        """True as long as nothing is dropped."""
        assert self.ring is not None
        full = len(self.oracle) == self.oracle.maxlen
        self.dropped += full
        self.oracle.append(item)
        assert self.ring.push(item) is not full

    @precondition(lambda self: self.ring is not None)
    @rule()
    def pop(self) -> None:
        """The oldest, or None."""
        assert self.ring is not None
        assert self.ring.pop() == (self.oracle.popleft() if self.oracle else None)

    @invariant()
    def counts(self) -> None:
        """Length, emptiness, capacity and drops are exact at any time."""
        if self.ring is not None:
            assert len(self.ring) == len(self.oracle)
            assert self.ring.is_empty() == (not self.oracle)
            assert self.ring.capacity() == self.oracle.maxlen
            assert self.ring.dropped == self.dropped


class TestAgainstADeque(AgainstADeque.TestCase):  # type: ignore[name-defined,misc]
    """R1.20 R1.23: the machine above."""

    settings = settings(max_examples=60, stateful_step_count=40)


@given(capacity=st.integers(1, 50), pushed=st.integers(0, 200))
def test_the_newest_are_kept_in_order(capacity: int, pushed: int) -> None:
    """R1.21 R1.22 R1.23 R1.24 The newest are popped, oldest first; drops are counted."""
    ring: Ring[int] = Ring(capacity)
    told = [ring.push(n) for n in range(pushed)]
    assert told == [n < capacity for n in range(pushed)]
    assert ring.dropped == max(0, pushed - capacity)
    assert [ring.pop() for _ in range(len(ring))] == list(range(pushed))[-capacity:]
    assert ring.pop() is None
    assert ring.is_empty()


def test_the_capacity_is_exactly_that_asked_for() -> None:
    """R1.25 R1.15 Ten thousand means ten thousand, by default too; one holds one."""
    for ring, capacity in ((Ring[int](), 10_000), (Ring[int](10_000), 10_000), (Ring[int](1), 1)):
        assert ring.capacity() == capacity
        assert all(ring.push(n) for n in range(capacity))
        assert not ring.push(-1)
        assert len(ring) == capacity


@pytest.mark.parametrize("capacity", [0, -1, 2**31, 2**70])
def test_no_ring_holds_nothing(capacity: int) -> None:
    """R1.25 A capacity of 0, below, or beyond memory is refused."""
    with pytest.raises(ValueError, match="capacity must be from 1"):
        Ring(capacity)


@pytest.mark.parametrize("capacity", [1.0, "1", None, True])
def test_a_capacity_is_an_int(capacity: Any) -> None:
    """R1.25 And no bool."""
    with pytest.raises(TypeError, match="capacity must be int"):
        Ring(capacity)


class Held:
    """Something whose end can be seen."""


def test_a_ring_owns_what_it_holds_and_nothing_more() -> None:
    """R1.21 R1.23 Dropped, popped and left behind: each is let go at its time, also in a cycle."""
    ring: Ring[object] = Ring(2)
    items = [Held() for _ in range(4)]
    seen = [weakref.ref(item) for item in items]
    for item in items:
        ring.push(item)
    del items, item
    assert [each() is None for each in seen] == [True, True, False, False]
    assert ring.pop() is seen[2]()
    assert [each() is None for each in seen] == [True, True, True, False]
    ring.push(ring)
    del ring
    gc.collect()
    assert all(each() is None for each in seen)


def test_what_ends_in_a_push_may_push_again() -> None:
    """R1.21 A finaliser finds the ring whole."""
    ring: Ring[object] = Ring(1)

    class Again:
        def __del__(self) -> None:
            ring.push("from the finaliser")

    ring.push(Again())
    assert ring.push("next") is False
    assert ring.pop() == "from the finaliser"
    assert ring.dropped == 2
