"""Frames in shared memory, between processes: whole, in order, counted, and with their lineage."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from struct import pack
from types import ModuleType
from typing import Any

import pytest

from tests.own_events import OwnEvents
from whence.collect.sessions import read_recording
from whence.lineage import (
    ChunkedFrames,
    DatagramPublication,
    DatagramSubscription,
    TracedConsumer,
    TraceLinkSet,
    decode_chunk_ids,
    decode_tracelink_set,
    enable_tracing,
    forward_tracelink_set,
)
from whence.model.lineage_events import LineageFrame, LinkPart, lineage_of
from whence.ring.folders import session_folders

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "frame_pipe.py"
WRITING = """
import sys
sys.path.insert(0, sys.argv[1])
from frame_pipe import PipeWriter
with PipeWriter(__import__("pathlib").Path(sys.argv[2]), 7, slots=4) as pipe:
    print("open", flush=True)
    input()
    for number in range(20_000):
        pipe.publish(number.to_bytes(8, "little") * (1 + number % 300), trace_id=1 + number)
    print("done", flush=True)
    input()
"""


@pytest.fixture(scope="module")
def example() -> ModuleType:
    """The example as a module."""
    spec = spec_from_file_location("frame_pipe", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_all(reader: Any) -> list[Any]:
    return list(iter(reader.read, None))


def test_frames_come_in_order_with_or_without_a_lineage_id(example: Any, tmp_path: Path) -> None:
    """R2.22 R2.24 TL-16 TL-19: the id is optional, and reading does not depend on it."""
    with example.PipeWriter(tmp_path / "pipe", 7) as pipe:
        reader = example.PipeReader(tmp_path / "pipe")
        assert reader.read() is None
        assert pipe.publish(b"first") == 0
        pipe.claim()[:6] = b"second"
        assert pipe.commit(6, trace_id=2**64 - 2) == 1
        found = read_all(reader)
    assert [frame.payload for frame in found] == [b"first", b"second"]
    assert [frame.descriptor[:3] for frame in found] == [(7, 1, 0), (7, 1, 1)]
    assert [frame.descriptor.trace_id for frame in found] == [0, 2**64 - 2]
    assert reader.lost == 0


def test_a_slow_reader_loses_the_oldest_and_knows_how_many(example: Any, tmp_path: Path) -> None:
    """R2.24 TL-3: old frames make room; a room that is claimed is not read any more."""
    with example.PipeWriter(tmp_path / "pipe", 7, slots=4) as pipe:
        reader = example.PipeReader(tmp_path / "pipe")
        for number in range(10):
            pipe.publish(bytes([number]))
        pipe.claim()[:1] = b"x"
        assert [frame.payload for frame in read_all(reader)] == [bytes([n]) for n in (7, 8, 9)]
        assert reader.lost == 7


def test_frames_that_another_process_overwrites_are_whole_or_lost(
    example: Any, tmp_path: Path
) -> None:
    """R2.22 R2.29: 20,000 frames through 4 slots; each is read as it was written, or counted."""
    path = tmp_path / "pipe"
    with subprocess.Popen(
        [sys.executable, "-c", WRITING, EXAMPLE.parent, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writing:
        assert writing.stdin is not None
        assert writing.stdout is not None
        assert writing.stdout.readline() == "open\n"
        reader = example.PipeReader(path)
        writing.stdin.write("\n")
        writing.stdin.flush()
        seen = last = -1
        read = 0
        while last < 19_999 and writing.poll() is None:
            frame = reader.read()
            if frame is None:
                continue
            last = frame.descriptor.seq
            assert last > seen
            seen = last
            assert frame.descriptor.trace_id == 1 + last
            assert frame.payload == last.to_bytes(8, "little") * (1 + last % 300)
            read += 1
        writing.communicate("\n")
    assert last == 19_999
    assert read + reader.lost == 20_000


def test_a_writer_that_comes_back_begins_a_new_epoch(
    example: Any, tmp_path: Path, recorded: OwnEvents
) -> None:
    """R2.32 TL-18: numbers begin again under the next epoch, and lineage ids go on."""
    path = tmp_path / "pipe"
    with example.PipeWriter(path, 7) as pipe:
        reader = example.PipeReader(path)
        first = enable_tracing(pipe, node_id=1).publish(b"before")
        with pytest.raises(BlockingIOError):
            example.PipeWriter(path, 7)
        assert reader.read().payload == b"before"
    with pytest.raises(ValueError, match="another pipe"):
        example.PipeWriter(path, 7, slots=9)
    with example.PipeWriter(path, 7) as pipe:
        second = enable_tracing(pipe, node_id=1).publish(b"after")
        assert reader.read().payload == b"after"
    assert (first.epoch, first.seq, second.epoch, second.seq) == (1, 0, 2, 0)
    assert second.trace_id > first.trace_id
    assert [lineage_of(event) for event in recorded()] == [
        LineageFrame(first.trace_id, 7, 1, 0),
        LineageFrame(second.trace_id, 7, 2, 0),
    ]


def test_three_processes_agree_on_one_graph(whence_dir: Path) -> None:
    """R2.21 R2.24 R2.29 R2.33: what the third was told is what the other two recorded."""
    finished = subprocess.run(
        [sys.executable, EXAMPLE], env=os.environ, capture_output=True, text=True, check=True
    )
    assert finished.stdout.splitlines()[-1] == "9 frames, 6 links"
    recording = read_recording(session_folders(whence_dir))
    found = [lineage_of(event) for event in recording.events]
    frames = {each.lineage_id: each for each in found if isinstance(each, LineageFrame)}
    links = [each for each in found if isinstance(each, LinkPart)]
    assert len(frames) == 9
    for scene in links:
        assert frames[scene.lineage_id][1:] == (3, 1, scene.seq, "joiner", "")
        parents = [frames[parent] for parent in scene.parents]
        assert [(parent.stream_id, parent.seq) for parent in parents] == [
            (1, scene.seq),
            (2, scene.seq),
        ]
    told = [
        f"scene {scene.seq} <- left {scene.seq}, right {scene.seq}"
        for scene in sorted(links, key=lambda scene: scene.seq)
    ]
    assert finished.stdout.splitlines()[:-1] == told


def test_frames_keep_their_ids_over_a_bridge(example: Any, tmp_path: Path) -> None:
    """R2.24 R2.27 R2.29: in chunks to another pipe, with the sets of their own new stream."""
    here, there = tmp_path / "here", tmp_path / "there"
    chunks: list[bytes] = []
    sets: list[TraceLinkSet] = []

    def on_chunk(message: memoryview) -> None:
        chunks.append(bytes(message))

    with (
        example.PipeWriter(here, 7) as source,
        example.PipeWriter(there, 77) as copy,
        DatagramSubscription(tmp_path / "bridge", sets.append, on_chunk) as listening,
        DatagramPublication(tmp_path / "bridge") as bridge,
    ):
        told: list[bytes] = []

        class Forward:
            """The metadata channel of a bridge."""

            def offer(self, buffer: bytes, /) -> int:
                told.append(buffer)
                message = forward_tracelink_set(buffer, 77)
                assert message is not None
                return int(bridge.offer(message))

        traced = enable_tracing(source, node_id=1, publication=Forward(), recorded=False)
        frame = traced.publish(b"0123456789", parents=[5, 6])
        spoilt = traced.publish(b"abcdefghij")
        reading = TracedConsumer(example.PipeReader(here), lambda _: None)
        for read in iter(reading.read, None):
            descriptor = read.descriptor
            for at in (0, 5):
                wrong = descriptor.seq == spoilt.seq and at == 5
                ids = (*descriptor[:3], descriptor.trace_id + wrong)
                head = pack("<HHHHIQQQ", 53, 1, 902, 1, *ids) + bytes(25)
                bridge.offer(head + read.payload[at : at + 5])
        listening.poll()

        agreed, waiting = ChunkedFrames(), dict[int, bytes]()
        for message in chunks:
            chunk = decode_chunk_ids(message)
            assert chunk is not None
            if not agreed.agrees(chunk):
                waiting.pop(chunk.seq)
                continue
            waiting[chunk.seq] = waiting.get(chunk.seq, b"") + message[61:]
            if len(waiting[chunk.seq]) == 10:
                copy.publish(waiting.pop(chunk.seq), trace_id=chunk.trace_id)
                agreed.finish(chunk)
        [arrived] = read_all(example.PipeReader(there))
    assert (arrived.payload, arrived.descriptor.trace_id) == (b"0123456789", frame.trace_id)
    assert arrived.descriptor.stream_id == 77
    assert agreed.dropped == 1
    original = decode_tracelink_set(told[0])
    assert original is not None
    assert sets == [original._replace(stream_id=77)]
