"""Delivery: bounded, retried, paced and counted, each target by itself."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from whence.collect.sink import Refused, Unavailable
from whence.watch.alerts.delivery import Delivery, Pace
from whence.watch.alerts.message import AlertMessage

FAST = Pace(first_s=0.001, longest_s=0.002, every_s=0.001)


def message(number: int) -> AlertMessage:
    """One of many."""
    return AlertMessage(
        id=str(number), name=f"alert {number}", status="firing", severity="high",
        condition="error_rate > 5%", window="5m", started_wall_ns=number,
    )  # fmt: skip


class Told:
    """A target that fails as it is told to, and waits where it is held."""

    name = "told"

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.told: list[str] = []
        self.calls: list[int] = []
        self.dropped = 0
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()

    def deliver(self, messages: Sequence[AlertMessage], dropped: int, timeout_s: float) -> None:
        """Takes them, or fails."""
        self.entered.set()
        self.free.wait(30)
        self.calls.append(len(messages))
        if self.failures:
            raise self.failures.pop(0)
        self.told += [each.id for each in messages]
        self.dropped += dropped

    def close(self) -> None:
        """Nothing."""


def test_what_cannot_be_told_now_is_told_later_once() -> None:
    """After what passes, and after a fault of the target's own. R4.51"""
    target = Told(Unavailable("busy", 0.001), RuntimeError("odd"), OSError("gone"))
    delivery = Delivery(target, FAST)
    delivery.offer(message(1))
    assert delivery.wait_settled(20)
    assert target.told == ["1"]
    counts = delivery.counts
    assert (counts.delivered, counts.retried, counts.attempts, counts.waiting) == (1, 3, 4, 0)
    assert delivery.trouble == ""
    delivery.close()


def test_what_is_refused_is_counted_and_what_follows_is_told() -> None:
    """It is not tried again. R4.51"""
    target = Told(Refused("no"))
    delivery = Delivery(target, FAST)
    delivery.offer(message(1))
    delivery.offer(message(2))
    assert delivery.wait_settled(20)
    assert (target.told, delivery.counts.refused) == (["2"], 1)
    delivery.close()


def test_a_message_is_given_up_at_its_deadline() -> None:
    """Then it has expired, and the next one has its turn. R4.51"""
    target = Told(*[Unavailable("down")] * 3)
    now = [0.0]

    def clock() -> float:
        now[0] += 0.01
        return now[0]

    delivery = Delivery(target, Pace(first_s=0.001, longest_s=0.001, deadline_s=0.02), clock=clock)
    delivery.offer(message(1))
    assert delivery.wait_settled(20)
    assert (delivery.counts.expired, target.told) == (1, [])
    delivery.close()


def test_a_slow_target_holds_up_no_other() -> None:
    """Each has its own queue and thread; what finds no room there is dropped and counted. R4.51"""
    slow, quick = Told(), Told()
    slow.free.clear()
    pace = Pace(most_waiting=5, burst=1_000)
    deliveries = [Delivery(slow, pace), Delivery(quick, pace)]
    deliveries[0].offer(message(0))
    assert slow.entered.wait(20)
    for number in range(1, 21):
        deliveries[0].offer(message(number))
        deliveries[1].offer(message(number))
        assert deliveries[1].wait_settled(20)
    assert len(quick.told) == 20
    held = deliveries[0].counts
    assert (held.offered, held.dropped, held.waiting) == (21, 15, 6)
    slow.free.set()
    assert deliveries[0].wait_settled(20)
    assert slow.told == ["0", *map(str, range(16, 21))]
    assert slow.dropped == 15
    for each in deliveries:
        each.close()


def test_a_storm_is_told_in_few_messages() -> None:
    """A hundred thousand alerts at once: some one by one, the rest together. R4.51"""
    target = Told()
    target.free.clear()
    delivery = Delivery(target, Pace(every_s=0.01))
    for number in range(100_000):
        delivery.offer(message(number))
    target.free.set()
    assert delivery.wait_settled(60)
    counts = delivery.counts
    assert counts.offered == 100_000 == counts.delivered + counts.dropped
    assert counts.delivered == len(target.told) <= 10_001
    assert len(target.calls) <= 20 + 2 + 10_000 // 1_000 + 10
    assert max(target.calls) == 1_000
    assert target.dropped == counts.dropped
    delivery.close()


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_the_wait_doubles_up_to_a_bound(chance: float) -> None:
    """Less a random part of at most half, and never less than was asked for. R4.51"""
    delivery = Delivery(Told(), Pace(), chance=lambda: chance)
    part = 1 - chance / 2
    waits = [delivery._wait_s(failures, None) for failures in range(8)]
    assert waits == [part * each for each in (1, 2, 4, 8, 16, 32, 60, 60)]
    assert delivery._wait_s(0, 120.0) == 120.0
    delivery.close()
