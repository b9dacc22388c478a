"""Several sets in one message: gathered, sent, told apart again, and counted one by one."""

from __future__ import annotations

import os
import queue
import select
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from tests.apps import AppRun
from tests.own_events import OwnEvents
from whence.lineage import (
    BatchedPublication,
    Counted,
    DatagramPublication,
    DatagramSubscription,
    FrameDescriptor,
    SessionPublication,
    TraceLinkPoller,
    TraceLinkSet,
    encode_frame_descriptor,
    encode_tracelink_set,
    tracelink_set_length,
)


class Channel:
    """A publication that answers as it is told, and keeps what it took."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.taken: list[bytes] = []

    def offer(self, buffer: bytes, /) -> Any:
        answer = self.answers.pop(0) if self.answers else 1
        if isinstance(answer, Exception):
            raise answer
        if answer > 0:
            self.taken.append(buffer)
        return answer


class Clock:
    """Time that stands still until it is set."""

    now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def encoded(made: TraceLinkSet) -> bytes:
    buffer = bytearray(40 + 8 * len(made.parents))
    encode_tracelink_set(buffer, *made)
    return bytes(buffer)


def numbered(seq: int, parents: int = 2) -> TraceLinkSet:
    return TraceLinkSet(7, 1, seq, 1_000_000 + seq, tuple(range(1, parents + 1)))


def polled(messages: list[bytes]) -> list[TraceLinkSet]:
    found: list[TraceLinkSet] = []
    poller = TraceLinkPoller(found.append)
    for message in messages:
        poller.take(message)
    assert (poller.others, poller.bad) == (0, 0)
    return found


@given(st.lists(st.integers(1, 40), max_size=40), st.integers(1, 800))
def test_every_set_arrives_once_and_in_order(sizes: list[int], most_bytes: int) -> None:
    """R2.18 R2.19 TL-28: whatever their sizes, in messages within the bytes given."""
    channel = Channel()
    sets = [numbered(seq, size) for seq, size in enumerate(sizes)]
    with BatchedPublication(channel, most_bytes, clock=Clock()) as batched:
        for each in sets:
            assert batched.offer(encoded(each))
    assert polled(channel.taken) == sets
    assert batched.counted.sent == len(sets)
    assert batched.messages == len(channel.taken)
    alone = [message for message in channel.taken if len(message) > most_bytes]
    assert all(tracelink_set_length(message) == len(message) for message in alone)


def test_a_message_goes_out_when_it_is_full_old_or_flushed() -> None:
    """R2.1 TL-28 TL-30: two sets of 56 bytes fill 120; an old one goes with the next."""
    channel, clock = Channel(), Clock()
    batched = BatchedPublication(channel, 120, 1_000, clock)
    line = whence.Lineage(node_id=7, publication=batched)
    for seq in range(3):
        line.join([1, 2], stream_id=7, epoch=1, seq=seq)
    assert ([len(each) for each in channel.taken], batched.waiting) == ([112], 1)
    clock.now_ns = 1_000
    line.join([1, 2], stream_id=7, epoch=1, seq=3)
    assert (len(channel.taken), batched.waiting) == (2, 0)
    line.join([1, 2], stream_id=7, epoch=1, seq=4)
    assert line.flush()
    assert (len(channel.taken), batched.messages, line.sent) == (3, 3, 5)
    assert [each.seq for each in polled(channel.taken)] == [0, 1, 2, 3, 4]


def test_a_message_that_is_not_taken_counts_all_its_sets() -> None:
    """R2.19 TL-15: by the reason; the next message is another try."""
    channel = Channel(-2, ConnectionError(), 1)
    batched = BatchedPublication(channel, clock=Clock())
    for seq in range(6):
        batched.offer(encoded(numbered(seq)))
        if seq % 2:
            assert batched.flush() == (seq == 5)
    assert (batched.counted.sent, batched.counted.dropped) == (2, 4)
    assert batched.counted.reasons == {"back pressure": 2, "raised": 2}
    assert batched.flush()
    assert batched.messages == 3


def test_other_messages_keep_their_place_and_go_alone() -> None:
    """R2.3 TL-27: a frame's descriptor is not put behind a set; what the channel answers comes."""
    frame = bytearray(48)
    encode_frame_descriptor(frame, FrameDescriptor(7, 9, 11, trace_id=42))
    channel = Channel(1, -1)
    batched = BatchedPublication(channel, clock=Clock())
    batched.offer(encoded(numbered(1)))
    assert batched.offer(frame) == -1
    assert channel.taken == [encoded(numbered(1))]
    assert batched.offer(b"short") == 1


def test_one_bad_set_spoils_no_other() -> None:
    """R2.18 R2.20: it is counted; the others of its message are handed over."""
    zero = encoded(numbered(2))[:-8] + bytes(8)
    found: list[TraceLinkSet] = []
    poller = TraceLinkPoller(found.append)
    assert poller.take(encoded(numbered(1)) + zero + encoded(numbered(3)))
    assert found == [numbered(1), numbered(3)]
    assert (poller.sets, poller.bad, poller.others) == (2, 1, 0)
    assert poller.take(encoded(numbered(4)) + encoded(numbered(5))[:-1])
    assert (poller.sets, poller.bad) == (3, 2)
    assert poller.take(encoded(numbered(6)) + bytes(5))
    assert poller.take(encoded(numbered(6)) + bytes(50))
    assert (poller.sets, poller.bad, poller.others) == (5, 2, 0)


def test_one_datagram_carries_many_sets() -> None:
    """R2.19 R2.26 TL-28: over UDP, a hundred joins take a few datagrams."""
    found: list[TraceLinkSet] = []
    with (
        DatagramSubscription(("127.0.0.1", 0), found.append) as listening,
        DatagramPublication(listening.address) as channel,
    ):
        batched = BatchedPublication(channel)
        line = whence.Lineage(node_id=7, publication=batched, recorded=False)
        made = [line.join([1, 2], stream_id=7, epoch=1, seq=seq) for seq in range(100)]
        line.flush()
        while listening.poller.sets < 100:
            assert select.select([listening], [], [], 60)[0], "nothing more arrived"
            listening.poll()
    assert [each.trace_id for each in found] == made
    assert batched.messages == 4


def test_sets_in_one_message_are_recorded_one_by_one(recorded: OwnEvents) -> None:
    """R2.34 TL-28: the session's rings take what was gathered, too."""
    rings = SessionPublication()
    with BatchedPublication(rings, clock=Clock()) as batched:
        for seq in range(5):
            batched.offer(encoded(numbered(seq)))
    assert [event.attributes["seq"] for event in recorded()] == [0, 1, 2, 3, 4]


def test_limits_that_cannot_be_are_refused() -> None:
    """R2.19: a message has some room."""
    for limits in ((0, 1), (1, -1)):
        with pytest.raises(ValueError, match="room"):
            BatchedPublication(Channel(), *limits)


def test_a_thread_of_its_own_sends_what_is_old_until_it_is_closed() -> None:
    """R2.19 TL-28: without another set and without flush(); and again after that."""
    arrived: queue.Queue[bytes] = queue.Queue()

    class Queued:
        def offer(self, buffer: bytes, /) -> None:
            arrived.put(buffer)

    with BatchedPublication(Queued(), most_ns=0, own_thread=True) as batched:
        for seq in range(3):
            batched.offer(encoded(numbered(seq)))
            assert polled([arrived.get(timeout=60)]) == [numbered(seq)]
    batched.offer(encoded(numbered(3)))
    assert (arrived.empty(), batched.waiting, batched.counted.sent) == (True, 1, 3)


def test_what_is_gathered_when_a_program_ends_is_sent(run_app: Callable[..., AppRun]) -> None:
    """R2.19 TL-28: into the session's rings, which are still open then."""
    app = run_app("""
        import whence
        from whence.lineage import BatchedPublication, SessionPublication
        batched = BatchedPublication(SessionPublication())
        line = whence.Lineage(node_id=7, publication=batched, recorded=False)
        line.join([4, 5], stream_id=1, epoch=1, seq=1)
        """)
    links = [e for e in app.recording().events if e.event_type == "lineage_link"]
    assert [e.attributes["parents"] for e in links] == ["4 5"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_finds_no_lock_held_and_sends_nothing_of_its_parent() -> None:
    """R2.1 TL-2: forked while other threads are amid offers; the child tells of its own alone."""
    channel, held = Channel(), threading.Event()
    go_on = threading.Event()

    class Slow:
        def offer(self, buffer: bytes, /) -> None:
            held.set()
            go_on.wait(60)

    slow = BatchedPublication(Slow(), clock=Clock())
    quick = BatchedPublication(channel, clock=Clock(), own_thread=True)
    quick.offer(encoded(numbered(0)))
    slow.offer(encoded(numbered(1)))
    sender = threading.Thread(target=slow.flush)
    sender.start()
    assert held.wait(60)
    child = os.fork()
    if not child:
        signal.alarm(60)  # a child that waits for a lock is ended
        go_on.set()
        good = slow.flush() and quick.flush() and not channel.taken
        slow.offer(encoded(numbered(2)))
        quick.offer(encoded(numbered(3)))
        good = good and slow.flush() and quick.flush()
        os._exit(0 if good and polled(channel.taken) == [numbered(3)] else 1)
    go_on.set()
    sender.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert quick.flush()
    assert polled(channel.taken) == [numbered(0)]
    quick.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_counts_though_a_thread_was_counting() -> None:
    """R2.19: the lock of counts is its own."""
    counted = Counted()
    with counted._lock:
        child = os.fork()
        if not child:
            signal.alarm(60)
            counted.count()
            os._exit(0 if counted.sent == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
