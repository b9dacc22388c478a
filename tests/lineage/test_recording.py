"""Lineage in the session's rings: what a program joins is an event like any other."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

import whence
from tests.apps import AppRun
from tests.own_events import OwnEvents
from whence.lineage import (
    Counted,
    SessionPublication,
    SnowflakeGenerator,
    TraceLinkPoller,
    TraceLinkSet,
    decode_tracelink_set,
    emit_tracelink,
    enable_tracing,
    encode_tracelink_set,
)
from whence.lineage.producers import Producer
from whence.model.lineage_events import (
    LineageFrame,
    LineageWindow,
    LinkPart,
    LinkSet,
    lineage_of,
    whole_sets,
)

LARGE = 2**64 - 2


class Channel:
    """A publication that takes all, or answers as it is told."""

    def __init__(self, answer: Any = 1) -> None:
        self.answer = answer
        self.taken: list[TraceLinkSet | None] = []

    def offer(self, buffer: bytes, /) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not False and self.answer >= 0:
            self.taken.append(decode_tracelink_set(buffer))
        return self.answer


def encoded(*sets: TraceLinkSet) -> bytes:
    message = b""
    for each in sets:
        buffer = bytearray(40 + 8 * len(each.parents))
        encode_tracelink_set(buffer, *each)
        message += buffer
    return message


def test_a_join_is_an_event_of_the_frame_it_made(recorded: OwnEvents) -> None:
    """R2.1 R2.23 R2.34 TL-13 TL-22: recorded by itself, within the request that it happened in."""
    line = whence.Lineage(node_id=7)
    front, back = line.root(), line.root()
    with whence.request("req-1", lineage_id=front):
        document = line.join([back, front], stream_id=3, epoch=1, seq=9)
    event = recorded.one()
    assert (event.event_type, event.component) == ("lineage_link", "whence")
    assert (event.lineage_id, event.request_id) == (document, "req-1")
    assert lineage_of(event) == LinkPart(document, 3, 1, 9, (back, front))
    assert (line.recorded, line.unrecorded, line.sent, line.dropped) == (1, 0, 0, 0)


def test_the_largest_ids_are_recorded_whole(recorded: OwnEvents) -> None:
    """R2.20 TL-4: all 64 bits of ids, epochs and numbers."""
    line = whence.Lineage(node_id=7)
    assert line.emit(2**32 - 2, LARGE, LARGE, LARGE, [LARGE - 1, 2**63, 1])
    assert lineage_of(recorded.one()) == LinkPart(
        LARGE, 2**32 - 2, LARGE, LARGE, (LARGE - 1, 2**63, 1)
    )


def test_joins_are_recorded_and_sent_to_each_publication(recorded: OwnEvents) -> None:
    """R2.19 R2.26 TL-2 TL-3: one that takes nothing keeps nothing from the others."""
    channels = [Channel(), Channel(-2), Channel(ConnectionError()), Channel(0)]
    line = whence.Lineage(generator=SnowflakeGenerator(1), publication=channels)
    made = line.join([4, 5], stream_id=1, epoch=1, seq=1)
    assert channels[0].taken == channels[3].taken == [TraceLinkSet(1, 1, 1, made, (4, 5))]
    assert (line.sent, line.dropped, line.recorded) == (2, 2, 1)
    assert line.reasons == {"back pressure": 1, "raised": 1}
    assert not line.emit(1, 1, 2, made, [4, 5])
    assert len(recorded()) == 2


def test_recording_can_be_left_out(recorded: OwnEvents) -> None:
    """R2.1: then ids are minted, publications told, and nothing is recorded or counted so."""
    channel = Channel()
    line = whence.Lineage(node_id=7, publication=channel, recorded=False)
    line.join([4, 5], stream_id=1, epoch=1, seq=1)
    line.window(1, 1, 0, 9)
    assert not line.frame(4, stream_id=1, epoch=1, seq=1)
    assert len(channel.taken) == 1
    assert recorded() == []
    assert (line.recorded, line.unrecorded) == (0, 0)


def test_parents_that_may_not_be_raise_before_anything_is_told(recorded: OwnEvents) -> None:
    """R2.20 TL-24 TL-25: the caller's mistake is the only thing that raises."""
    channel = Channel()
    line = whence.Lineage(node_id=7, publication=channel)
    for parents in ([], [0], [4, 4], [2**64 - 1]):
        with pytest.raises(ValueError, match="parent"):
            line.join(parents, stream_id=1, epoch=1, seq=1)
    with pytest.raises(ValueError, match="own parent"):
        line.emit(1, 1, 1, 5, [4, 5])
    with pytest.raises(ValueError, match="stream_id"):
        line.join([4], stream_id=-1, epoch=1, seq=1)
    assert channel.taken == []
    assert recorded() == []


def test_windows_stand_for_their_frames(recorded: OwnEvents) -> None:
    """R2.34 TL-31: minted per window, and recorded with its bounds."""
    line = whence.Lineage(node_id=7)
    by_number = line.window(3, 1, 10, 19)
    by_time = line.window(3, 1, t_start_ns=5, t_end_ns=6)
    assert 0 < by_number < by_time
    assert [lineage_of(event) for event in recorded()] == [
        LineageWindow(by_number, 3, 1, 10, 19),
        LineageWindow(by_time, 3, 1, t_start_ns=5, t_end_ns=6),
    ]
    with pytest.raises(ValueError, match="either"):
        line.window(3, 1, 10)
    assert len(recorded()) == 2


def test_frames_are_rows_of_their_stream(recorded: OwnEvents) -> None:
    """R2.34: stage and status are told of a frame."""
    line = whence.Lineage(node_id=7)
    assert line.frame(42, stream_id=3, epoch=1, seq=10, stage="detector", status="late")
    assert lineage_of(recorded.one()) == LineageFrame(42, 3, 1, 10, "detector", "late")
    with pytest.raises(ValueError, match="seq"):
        line.frame(42, stream_id=3, epoch=1, seq=-1)


def test_what_is_switched_off_is_counted(recorded: OwnEvents) -> None:
    """R2.1 TL-15 TL-28: the pipeline goes on, and the line knows how much is not recorded."""
    from whence.emit.lineage import _link  # the kind of this process

    line = whence.Lineage(node_id=7)
    _link().disable()
    try:
        line.join([4, 5], stream_id=1, epoch=1, seq=1)
    finally:
        _link().enable()
    line.join([4, 5], stream_id=1, epoch=1, seq=2)
    assert len(recorded()) == 1
    assert (line.recorded, line.unrecorded, line.reasons) == (1, 1, {"off": 1})


def test_a_large_set_is_recorded_in_parts(recorded: OwnEvents) -> None:
    """R2.34 TL-23: 10,000 parents of 19 digits take more than one event's text."""
    parents = tuple(10**18 + number for number in range(10_000))
    line = whence.Lineage(node_id=7)
    document = line.join(parents, stream_id=3, epoch=1, seq=9)
    events = recorded()
    assert len(events) > 1
    assert not any(event.truncated or event.text_lost for event in events)
    parts = [part for part in map(lineage_of, events) if isinstance(part, LinkPart)]
    assert [part.part for part in parts] == list(range(1, parts[0].parts + 1))
    assert whole_sets(parts) == [LinkSet(document, 3, 1, 9, parents)]
    assert line.recorded == 1


def test_a_set_beyond_the_text_ring_is_counted_and_overwrites_nothing(recorded: OwnEvents) -> None:
    """R2.1 R2.34 TL-15: its parts would overtake each other; publications get it all the same."""
    channel = Channel()
    line = whence.Lineage(node_id=7, publication=channel)
    parents = range(10**18, 10**18 + 65_534)
    line.join(parents, stream_id=3, epoch=1, seq=9)
    assert (line.recorded, line.unrecorded, line.reasons) == (0, 1, {"too large": 1})
    assert recorded() == []
    assert len(channel.taken) == 1


def test_a_small_text_ring_holds_small_parts(run_app: Callable[..., AppRun]) -> None:
    """R2.34: parts are as large as the session's text ring lets an event be."""
    app = run_app("""
        import whence
        whence.start(text_bytes=8192)
        line = whence.Lineage(node_id=7)
        line.join(range(10**18, 10**18 + 150), stream_id=3, epoch=1, seq=9)
        line.join(range(10**18, 10**18 + 500), stream_id=3, epoch=1, seq=10)
        print(line.recorded, line.reasons)
        """)
    assert app.stdout == "1 {'too large': 1}\n"
    parts = [lineage_of(event) for event in app.recording().events]
    [found] = whole_sets(part for part in parts if isinstance(part, LinkPart))
    assert len(parts) == 2
    assert (found.seq, len(found.parents), found.missing) == (9, 150, 0)


def test_the_rings_are_a_publication_like_others(recorded: OwnEvents) -> None:
    """R2.18 R2.19 R2.26: offered messages, polled sets and emit_tracelink() end as events."""
    first, second = TraceLinkSet(1, 2, 3, 9, (4, 5)), TraceLinkSet(1, 2, 4, 10, (9, 5))
    rings = SessionPublication()
    assert rings.offer(encoded(first, second))
    assert not rings.offer(encoded(first)[:-1])
    assert not rings.offer(b"")
    poller = TraceLinkPoller(rings.record)
    assert poller.take(encoded(second))
    counted = Counted()
    assert emit_tracelink(rings, *first, counted)
    assert (rings.counted.sent, rings.counted.reasons) == (4, {"no set": 2})
    assert (counted.sent, counted.dropped) == (1, 0)
    found = [lineage_of(event) for event in recorded()]
    assert [each.seq for each in found if isinstance(each, LinkPart)] == [3, 4, 4, 3]


class Stream:
    """A producer whose frames go nowhere; its numbers are as it is told."""

    def __init__(self, *numbers: int) -> None:
        self.stream_id, self.epoch, self.attached = 3, 1, None
        self.numbers = list(numbers)

    def publish(self, payload: str, *, trace_id: int = 0) -> int:
        return self.numbers.pop(0)


def test_a_traced_producer_records_frames_and_parents(recorded: OwnEvents) -> None:
    """R2.21 R2.25 R2.34 TL-21: under the frame's own numbers, with the stage that made it."""
    stream: Producer[str] = Stream(10, 11)
    traced = enable_tracing(stream, node_id=7, stage="join")
    page = traced.publish("page")
    book = traced.publish("book", parents=[page.trace_id, 42])
    assert [lineage_of(event) for event in recorded()] == [
        LineageFrame(page.trace_id, 3, 1, 10, "join"),
        LinkPart(book.trace_id, 3, 1, 11, (page.trace_id, 42)),
        LineageFrame(book.trace_id, 3, 1, 11, "join"),
    ]
    assert (traced.recording.sent, traced.counted.sent) == (3, 0)


def test_a_frame_with_impossible_numbers_is_out_all_the_same(recorded: OwnEvents) -> None:
    """R2.1 TL-3: what cannot be told of is counted, and the producer's answer stands."""
    traced = enable_tracing(Stream(-1, -2), node_id=7)
    assert traced.publish("page").seq == -1
    assert traced.publish("book", parents=[1, 2]).seq == -2
    assert traced.counted.reasons == {"failed": 2}
    assert recorded() == []


def test_each_process_records_into_its_own_session(run_app: Callable[..., AppRun]) -> None:
    """R2.29: a child that was forked mints by a node of its own, and is heard in its session."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    app = run_app("""
        import os, whence
        whence.Lineage(node_id=1).join([4, 5], stream_id=1, epoch=1, seq=1)
        child = os.fork()
        if not child:
            whence.Lineage(node_id=2).join([6, 7], stream_id=2, epoch=1, seq=1)
            os._exit(0)
        os.waitpid(child, 0)
        """)
    assert len(app.session_dirs) == 2
    found = [lineage_of(event) for event in app.recording().events]
    assert {each.parents for each in found if isinstance(each, LinkPart)} == {(4, 5), (6, 7)}


def test_what_was_joined_outlives_a_kill(run_app: Callable[..., AppRun]) -> None:
    """R2.29 TL-3: of a program that was killed, every join can be read."""
    app = run_app(
        """
        import os, whence
        line = whence.Lineage(node_id=1)
        for seq in range(100):
            line.join([4, 5], stream_id=1, epoch=1, seq=seq)
        os.kill(os.getpid(), 9)
        """,
        fails=True,
    )
    found = [lineage_of(event) for event in app.recording().events]
    assert [each.seq for each in found if isinstance(each, LinkPart)] == list(range(100))


def test_threads_share_a_line(recorded: OwnEvents) -> None:
    """R2.6 R2.19 TL-2: each records into its own ring, and the counts are exact."""
    channel = Channel()
    line = whence.Lineage(generator=SnowflakeGenerator(0, 0, 22), publication=channel)

    def join() -> None:
        for seq in range(500):
            line.join([4, 5], stream_id=1, epoch=1, seq=seq)

    threads = [threading.Thread(target=join) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = {event.lineage_id for event in recorded()}
    assert len(made) == line.recorded == line.sent == 2_000
    assert {each.trace_id for each in channel.taken if each is not None} == made
