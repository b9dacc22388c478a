"""A camera, a detector and a join over frames in memory: traced, they publish what they did."""

from __future__ import annotations

from collections import deque

import pytest

from whence.lineage import (
    AttachCode,
    AttachResponse,
    Frame,
    FrameDescriptor,
    SnowflakeGenerator,
    TracedConsumer,
    TraceLinkSet,
    decode_frame_descriptor,
    decode_tracelink_set,
    enable_tracing,
    encode_frame_descriptor,
)
from whence.model.errors import NodeIdMissing


class Stream:
    """A producer and a consumer in one: descriptors go through their bytes."""

    def __init__(self, stream_id: int, epoch: int = 1, node_id: int | None = None) -> None:
        self.stream_id = stream_id
        self.epoch = epoch
        self.attached = AttachResponse(1, AttachCode.OK, 5, node_id=node_id) if node_id else None
        self.waiting: deque[tuple[bytes, str]] = deque()
        self.next_seq = 100

    def publish(self, payload: str, *, trace_id: int = 0) -> int:
        seq, self.next_seq = self.next_seq, self.next_seq + 1
        buffer = bytearray(48)
        frame = FrameDescriptor(self.stream_id, self.epoch, seq, trace_id=trace_id)
        encode_frame_descriptor(buffer, frame)
        self.waiting.append((bytes(buffer), payload))
        return seq

    def read(self) -> Frame | None:
        if not self.waiting:
            return None
        descriptor, payload = self.waiting.popleft()
        known = decode_frame_descriptor(descriptor)
        assert known is not None
        return Frame(known, payload)


class Channel:
    """A control channel; a full one takes nothing."""

    def __init__(self, full: bool = False) -> None:
        self.full = full
        self.sets: list[TraceLinkSet | None] = []

    def offer(self, buffer: bytes, /) -> int:
        if self.full:
            return -2
        self.sets.append(decode_tracelink_set(buffer))
        return len(self.sets)


def test_a_join_of_two_streams_leaves_its_parents() -> None:
    """R2.21 R2.22 R2.23 R2.25 R2.29 TL-11 TL-12 TL-13 TL-21 TL-22: cameras, a detector, a join."""
    channel = Channel()
    left, right, boxes, scene = (Stream(number, epoch=number * 10) for number in (1, 2, 3, 4))
    cameras = [enable_tracing(each, each.stream_id, publication=channel) for each in (left, right)]
    detector = enable_tracing(boxes, 3, publication=channel)
    joining = enable_tracing(scene, 4, publication=channel)

    for camera in cameras:
        camera.publish("picture")
    first, second = left.read(), right.read()
    assert first is not None
    assert second is not None
    detector.publish("boxes", parents=[first.descriptor.trace_id])
    found = boxes.read()
    assert found is not None
    assert found.descriptor.trace_id == first.descriptor.trace_id
    assert channel.sets == []

    parents = (found.descriptor.trace_id, second.descriptor.trace_id)
    frame = joining.publish("scene", parents=parents)
    read = scene.read()
    assert read is not None
    assert read.descriptor == frame
    assert channel.sets == [TraceLinkSet(4, 40, 100, frame.trace_id, parents)]
    assert (joining.counted.sent, joining.counted.dropped) == (1, 0)


def test_a_producer_traces_only_when_it_is_asked_to() -> None:
    """R2.1 R2.22 R2.24 TL-16 TL-19: without tracing a frame's id is 0, and nothing else differs."""
    plain, traced = Stream(1), Stream(1)
    assert plain.publish("a") == 100
    enable_tracing(traced, 7).publish("a")
    one, other = plain.read(), traced.read()
    assert one is not None
    assert other is not None
    assert one.descriptor.trace_id == 0 != other.descriptor.trace_id
    assert (one.payload, one.descriptor) == ("a", other.descriptor._replace(trace_id=0))


def test_a_consumer_reads_as_it_did() -> None:
    """R2.24 TL-1 TL-19: a callback hears of traced frames, and what it raises stays with it."""
    stream = Stream(1)
    heard: list[FrameDescriptor] = []

    def hear(frame: FrameDescriptor) -> None:
        heard.append(frame)
        if len(heard) == 1:
            raise RuntimeError("not today")

    consumer = TracedConsumer(stream, hear)
    assert consumer.read() is None
    stream.publish("untraced")
    traced = enable_tracing(stream, 7)
    sent = [traced.publish("first"), traced.publish("second")]
    read = [consumer.read() for _ in range(3)]
    assert [frame and frame.payload for frame in read] == ["untraced", "first", "second"]
    assert heard == sent
    assert (consumer.untraced, consumer.failed) == (1, 1)


def test_a_frame_goes_out_though_its_parents_are_lost() -> None:
    """R2.19 TL-1 TL-3 TL-15: a full channel costs the links, and they are counted."""
    stream = Stream(1)
    traced = enable_tracing(stream, 7, publication=Channel(full=True))
    traced.publish("joined", parents=[1, 2])
    assert stream.read() is not None
    assert (traced.counted.sent, traced.counted.dropped) == (0, 1)


def test_an_id_of_the_callers_is_kept() -> None:
    """R2.22 R2.23 TL-14: published as given; other parents are told of, even one."""
    channel = Channel()
    traced = enable_tracing(Stream(1), 7, publication=channel)
    assert traced.publish("same", trace_id=42).trace_id == 42
    assert traced.publish("same", parents=[42], trace_id=42).trace_id == 42
    assert channel.sets == []
    traced.publish("named anew", parents=[42], trace_id=43)
    assert [made and (made.trace_id, made.parents) for made in channel.sets] == [(43, (42,))]


@pytest.mark.parametrize(
    "wrong", [{"parents": [5, 5]}, {"parents": [0]}, {"parents": [1, 2], "trace_id": 2}]
)
def test_bad_parents_publish_nothing(wrong: dict[str, list[int]]) -> None:
    """R2.20 TL-23 TL-25: the caller is told before the frame is out."""
    stream = Stream(1)
    with pytest.raises(ValueError, match="parent"):
        enable_tracing(stream, 7).publish("never", **wrong)  # type: ignore[arg-type]
    assert stream.read() is None


def test_the_node_is_found_as_elsewhere() -> None:
    """R2.14 R2.25 TL-7: a generator, else the number given, else what came with attaching."""
    parts = SnowflakeGenerator(0)
    attached = Stream(1, node_id=9)
    assert parts.node(enable_tracing(attached).publish("").trace_id) == 9
    assert parts.node(enable_tracing(attached, 0).publish("").trace_id) == 0
    own = SnowflakeGenerator(5)
    assert parts.node(enable_tracing(attached, 1, own).publish("").trace_id) == 5
    with pytest.raises(NodeIdMissing):
        enable_tracing(Stream(1))


def test_ids_go_on_in_a_new_epoch() -> None:
    """R2.32 TL-18: a new epoch begins no new ids; sets carry the epoch of their frame."""
    channel, stream = Channel(), Stream(1)
    traced = enable_tracing(stream, 7, publication=channel)
    before = traced.publish("", parents=[1, 2])
    stream.epoch += 1
    after = traced.publish("", parents=[1, 2])
    assert before.trace_id < after.trace_id
    assert [made and made.epoch for made in channel.sets] == [1, 2]
