"""A sink's queue: every event is accounted for at every instant, whatever the other side does."""

from __future__ import annotations

import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.collect.made_sink import MOST, MadeSink, drained
from whence.collect.delivering import Offer
from whence.collect.delivery import Delivery, Limits
from whence.collect.positions import Acknowledged
from whence.collect.sink import Drained, Payload, Reply, Unavailable
from whence.collect.sink_ledger import SinkLedger

OUTCOMES = ("fine", "down", "busy", "reset", "refused", "broken", "partial")


class Clock:
    """Stands still until told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """The moment it shows."""
        return self.now_s


def delivery_of(sink: MadeSink, clock: Clock, limits: Limits | None = None) -> Delivery:
    """A delivery without a thread, which waits as long as it may."""
    return Delivery(sink, limits, clock=clock, uniform=lambda low, high: high)


def offer(first: int, last: int, *, filtered: int = 0, lost: int = 0) -> Offer:
    """The events of ring 0 from `first` to before `last`, after `lost` others."""
    return Offer(drained(first, last), last - first + filtered, lost, {("uuid", 0): last})


def run_out(delivery: Delivery, clock: Clock) -> None:
    """Steps until there is nothing to do, letting time pass where it is waited for."""
    while (wait := delivery.step()) is not None:
        clock.now_s += wait


def test_what_is_delivered_is_counted_and_acknowledged() -> None:
    """One step after the other: queued, delivered, settled. R1.39"""
    clock, sink = Clock(), MadeSink()
    delivery = delivery_of(sink, clock)
    delivery.offer(offer(1, 10, filtered=3, lost=5))
    assert delivery.ledger() == SinkLedger(read=12, filtered=3, queued=9, lost=5)
    assert delivery.acknowledged().positions == {}
    run_out(delivery, clock)
    assert sorted(sink.taken) == list(range(1, 10))
    assert delivery.ledger() == SinkLedger(read=12, delivered=9, filtered=3, lost=5)
    assert delivery.acknowledged().positions == {"uuid": {0: 10}}
    assert delivery.acknowledged().ledger == delivery.ledger()


def test_a_sink_that_does_not_answer_is_tried_again_ever_later() -> None:
    """Waits double up to a bound; the time that the other side asks for is kept. R1.39"""
    clock, sink = Clock(), MadeSink()
    limits = Limits(first_wait_s=1.0, longest_wait_s=4.0)
    delivery = delivery_of(sink, clock, limits)
    sink.next = ["down", "reset", "down", "down", "busy"]
    delivery.offer(offer(2, 3))
    waits = []
    while (wait := delivery.step()) is not None:
        clock.now_s += wait
        waits += [wait] if wait else []
    assert waits == [1.0, 2.0, 4.0, 4.0, 7.0]
    assert sink.taken == [2]
    assert delivery.trouble == ""


def test_every_payload_begins_afresh() -> None:
    """Neither waits nor the deadline of one payload are those of the next. R1.39"""
    clock, sink = Clock(), MadeSink()
    delivery = delivery_of(sink, clock, Limits(deadline_s=4.0, first_wait_s=1.0))
    sink.next = ["down", "down", "fine"] * 2
    delivery.offer(offer(2, 3))
    delivery.offer(offer(4, 5))
    waits = []
    while (wait := delivery.step()) is not None:
        clock.now_s += wait
        waits += [wait] if wait else []
    assert waits == [1.0, 2.0, 1.0, 2.0]
    assert sink.taken == [2, 4]


def test_a_payload_that_cannot_be_delivered_in_time_expires() -> None:
    """Its deadline runs from the first attempt, over all of them. R1.39"""
    clock, sink = Clock(), MadeSink()
    delivery = delivery_of(sink, clock, Limits(deadline_s=20.0, first_wait_s=1.0))
    sink.next = ["down"] * 100
    delivery.offer(offer(2, 3))
    run_out(delivery, clock)
    assert clock.now_s - 100.0 <= 20.0
    assert delivery.ledger().expired == 1
    assert delivery.ledger().reasons == {"gave up: nobody there": 1}
    assert not delivery.has_delivered("uuid", {0: 3})


def test_one_that_asks_to_wait_beyond_the_deadline_is_asked_once_more() -> None:
    """An hour's Retry-After neither loses the queue at once nor is answered by haste. R1.39"""
    clock, sink = Clock(), MadeSink()
    delivery = delivery_of(sink, clock, Limits(deadline_s=300.0, timeout_s=10.0))
    busy = Unavailable("busy", 3600.0)
    answers: list[Exception | None] = [busy, None, busy, busy]
    asked_at_s: list[float] = []
    deliver = sink.deliver

    def answer(payload: Payload, timeout_s: float) -> Reply:
        asked_at_s.append(clock.now_s)
        if error := answers.pop(0):
            raise error
        return deliver(payload, timeout_s)

    sink.deliver = answer  # type: ignore[method-assign]
    sink.next = ["fine"]
    delivery.offer(offer(2, 3))
    delivery.offer(offer(3, 4))
    run_out(delivery, clock)
    assert asked_at_s == [100.0, 390.0, 390.0, 680.0]
    assert (delivery.ledger().delivered, delivery.ledger().expired) == (1, 1)


def test_what_is_refused_is_never_sent_again() -> None:
    """One attempt; the events are counted with the reason given. R1.39"""
    clock, sink = Clock(), MadeSink()
    delivery = delivery_of(sink, clock)
    sink.next = ["refused"]
    delivery.offer(offer(2, 3))
    run_out(delivery, clock)
    assert sink.attempts == 1
    assert delivery.ledger() == SinkLedger(read=1, refused=1, reasons={"bad request": 1})


def test_a_payload_too_large_is_halved_down_to_single_events() -> None:
    """Each event arrives once; what is too large by itself is refused. R1.39"""
    clock, sink = Clock(), MadeSink()
    sink.room = 3
    delivery = delivery_of(sink, clock)
    delivery.offer(offer(1, 41))
    run_out(delivery, clock)
    assert sorted(sink.taken) == [n for n in range(1, 41) if n % 11]
    assert delivery.ledger() == SinkLedger(
        read=40, delivered=37, filtered=3, reasons={"not of this sink's format": 3}
    )
    sink.room = 0
    delivery.offer(offer(41, 44))
    run_out(delivery, clock)
    assert delivery.ledger().refused == 3
    assert delivery.ledger().reasons["413"] == 3


def test_a_sinks_own_bound_on_bytes_is_kept_before_sending() -> None:
    """What is larger than `most_bytes` never leaves. R1.39"""
    clock, sink = Clock(), MadeSink()
    sink.most_bytes = 20
    delivery = delivery_of(sink, clock)
    delivery.offer(offer(100, 120))
    run_out(delivery, clock)
    assert sorted(sink.taken) == [n for n in range(100, 120) if n % 11]
    assert sink.attempts > 4


@pytest.mark.parametrize("limits", [Limits(queue_events=25), Limits(queue_bytes=25 * 70)])
def test_a_full_queue_gives_up_its_oldest_events(limits: Limits) -> None:
    """A dead sink costs a bounded queue; what falls out of it is counted. R1.39"""
    clock, sink = Clock(), MadeSink()
    delivery = delivery_of(sink, clock, limits)
    sink.next = ["down"]
    for first in range(1, 101, 10):
        delivery.offer(offer(first, first + 10))
        delivery.step()
        delivery.step()
    ledger = delivery.ledger()
    assert ledger.closes
    assert ledger.queued <= 35
    assert ledger.reasons == {"queue full": ledger.expired}
    run_out(delivery, clock)
    assert max(sink.taken) == 100
    assert delivery.acknowledged().positions == {"uuid": {0: 101}}


def test_a_run_goes_on_where_the_last_one_was_acknowledged() -> None:
    """Counts and positions begin with those of the former run. R1.39"""
    clock, sink = Clock(), MadeSink()
    former = Acknowledged({"uuid": {0: 7}}, SinkLedger(read=7, delivered=7), frozenset({"x"}), "t")
    delivery = Delivery(sink, start=former, clock=clock)
    delivery.offer(offer(7, 9))
    assert delivery.position(("uuid", 0)) == 7
    run_out(delivery, clock)
    after = delivery.acknowledged()
    assert after.positions == {"uuid": {0: 9}}
    assert after.ledger == SinkLedger(read=9, delivered=9)
    assert (after.spoiled, after.token) == (frozenset({"x"}), "t")


def test_the_end_delivers_what_is_queued() -> None:
    """A thread's last work is the queue; then the sink is closed. R1.40"""
    sink = MadeSink()
    delivery = Delivery(sink)
    delivery.start()
    for first in range(1, 1001, 100):
        delivery.offer(offer(first, first + 100))
    delivery.finish(60.0)
    assert len(sink.taken) == delivery.ledger().delivered == 910
    assert delivery.ledger().queued == 0
    assert sink.closed == 1


def test_the_end_does_not_wait_for_a_sink_that_hangs() -> None:
    """What it could not deliver stays queued, or expires where nobody will read it again. R1.40"""

    class Hanging(MadeSink):
        def deliver(self, payload: Payload, timeout_s: float) -> Reply:
            entered.set()
            release.wait(60.0)
            return super().deliver(payload, timeout_s)

    entered, release = threading.Event(), threading.Event()
    sink = Hanging()
    delivery = Delivery(sink)
    delivery.start()
    delivery.offer(offer(1, 11))
    assert entered.wait(60.0)
    delivery.finish(0.01)
    assert delivery.ledger() == SinkLedger(read=10, queued=10)
    delivery.finish(0.01, give_up=True)
    assert delivery.ledger().expired == 10
    release.set()
    assert delivery._thread is not None
    delivery._thread.join(60.0)
    assert delivery.ledger().closes
    assert delivery.ledger().delivered == 0


def test_a_sink_that_fails_to_encode_loses_only_its_own_events() -> None:
    """An exception of any kind is a refusal with its name. R1.39"""

    class Failing(MadeSink):
        def encode(self, drained: Drained) -> list[Payload]:
            raise KeyError("colour")

    clock, sink = Clock(), Failing()
    delivery = delivery_of(sink, clock)
    delivery.offer(offer(1, 5))
    run_out(delivery, clock)
    assert delivery.ledger().refused == 4
    assert list(delivery.ledger().reasons) == ["encode failed: KeyError: 'colour'"]


def test_reasons_are_few_and_short() -> None:
    """A service that words each refusal anew does not fill our memory. R1.39"""

    class Wordy(MadeSink):
        def deliver(self, payload: Payload, timeout_s: float) -> Reply:
            return Reply(0, payload.events, f"no. {self.attempts}: {payload.body!r} " * 99)

    clock, sink = Clock(), Wordy(most_events=1)
    delivery = delivery_of(sink, clock)
    delivery.offer(offer(1, 400))
    run_out(delivery, clock)
    reasons = delivery.ledger().reasons
    assert len(reasons) <= 22
    assert max(map(len, reasons)) <= 120
    assert sum(reasons.values()) == 399


class AnyOrder(RuleBasedStateMachine):
    """Offers, steps, time and faults in any order, against sets of numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.sink = Clock(), MadeSink(most_events=7)
        limits = Limits(queue_events=60, deadline_s=40.0, first_wait_s=1.0)
        self.delivery = delivery_of(self.sink, self.clock, limits)
        self.next = 1
        self.read = self.lost = self.filtered = 0
        self.ends = [0]

    @rule(count=st.integers(0, 30), filtered=st.integers(0, 5), lost=st.integers(0, 5))
    def offer(self, count: int, filtered: int, lost: int) -> None:
        """A step's events."""
        last = min(self.next + count, MOST)
        given = offer(self.next, last, filtered=filtered, lost=lost)
        end = self.ends[-1] + last - self.next + filtered + lost
        self.delivery.offer(given._replace(ends={("uuid", 0): end}))
        self.ends.append(end)
        self.read += last - self.next + filtered
        self.filtered += filtered
        self.lost += lost
        self.next = last

    @rule(times=st.integers(1, 12))
    def work(self, times: int) -> None:
        """Some of what there is to do."""
        for _ in range(times):
            self.delivery.step()

    @rule(seconds=st.floats(0, 50))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.clock.now_s += seconds

    @rule(
        coming=st.lists(st.sampled_from(OUTCOMES), max_size=6), room=st.sampled_from([1, 3, 10**9])
    )
    def behave(self, coming: list[str], room: int) -> None:
        """The other side changes."""
        self.sink.next, self.sink.room = list(coming), room

    @invariant()
    def everything_is_accounted_for(self) -> None:
        """The sum holds, and says what the other side knows."""
        ledger = self.delivery.ledger()
        assert ledger.closes
        assert ledger.read == self.read
        assert ledger.lost == self.lost
        assert ledger.delivered == len(self.sink.taken)
        assert ledger.refused >= len(self.sink.refused)
        assert ledger.filtered >= self.filtered
        assert len(set(self.sink.taken)) == len(self.sink.taken)
        assert not set(self.sink.taken) & set(self.sink.refused)
        named = sum(ledger.reasons.values())
        assert named == ledger.refused + ledger.expired + ledger.filtered - self.filtered

    @invariant()
    def positions_are_those_of_a_step_and_never_too_far(self) -> None:
        """What is acknowledged is settled: nothing of it is queued, and it is a step."""
        settled = self.delivery.acknowledged()
        assert self.delivery.position(("uuid", 0)) in self.ends
        assert settled.ledger.closes
        assert settled.ledger.queued == 0
        assert settled.ledger.read <= self.read
        reached = self.delivery.position(("uuid", 0))
        assert settled.ledger.read + settled.ledger.lost == reached

    @invariant()
    def the_queue_is_bounded(self) -> None:
        """The limit, the batch in work and the newest one."""
        assert self.delivery.ledger().queued <= 60 + 30

    def teardown(self) -> None:
        """With a sink that answers again everything is settled."""
        self.sink.next, self.sink.room = [], 10**9
        run_out(self.delivery, self.clock)
        assert self.delivery.ledger().queued == 0
        assert self.delivery.acknowledged().ledger == self.delivery.ledger()
        assert self.delivery.position(("uuid", 0)) == self.ends[-1]


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.__doc__ = "Offers, faults and time in any order: nothing uncounted. R1.39 R5.25"
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
