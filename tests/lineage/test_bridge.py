"""Bridges: sets go on with their ids, and frames whose chunks disagree are dropped."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from whence.lineage import (
    ChunkedFrames,
    ChunkIds,
    decode_chunk_ids,
    decode_tracelink_set,
    forward_tracelink_set,
)

VECTORS = json.loads((Path(__file__).parent / "data" / "tracelink.json").read_text())


def chunk(trace_id: int, seq: int = 11) -> bytes:
    """A chunk of a block of 53 bytes, the ids at its beginning."""
    return struct.pack("<HHHHIQQQ", 53, 1, 902, 1, 7, 9, seq, trace_id) + bytes(25)


@pytest.mark.parametrize("vector", VECTORS["positive"], ids=lambda vector: vector["name"])
def test_a_forwarded_set_differs_in_its_stream_alone(vector: dict[str, str]) -> None:
    """R2.27 The other side's stream id takes the place of ours; each other byte stays."""
    wire = bytes.fromhex(vector["hex"])
    forwarded = forward_tracelink_set(wire, 77)
    assert forwarded is not None
    assert forwarded[:8] + forwarded[12:] == wire[:8] + wire[12:]
    before, after = decode_tracelink_set(wire), decode_tracelink_set(forwarded)
    assert before is not None
    assert after == before._replace(stream_id=77)


def test_only_good_sets_are_forwarded() -> None:
    """R2.27 TL-27: other messages are not, and bad sets are refused."""
    wire = bytes.fromhex(VECTORS["positive"][0]["hex"])
    assert forward_tracelink_set(chunk(42), 77) is None
    with pytest.raises(ValueError, match="cut short"):
        forward_tracelink_set(wire[:-1], 77)
    for wrong in (-1, 2**32 - 1):
        with pytest.raises(ValueError, match="stream_id must be"):
            forward_tracelink_set(wire, wrong)


def test_the_ids_of_a_chunk_are_read() -> None:
    """R2.27 traceId lies at 20 of the block; 0 says that the frame is not traced."""
    assert decode_chunk_ids(chunk(42)) == ChunkIds(7, 9, 11, 42)
    assert decode_chunk_ids(bytes.fromhex(VECTORS["positive"][0]["hex"])) is None
    with pytest.raises(ValueError, match="cut short"):
        decode_chunk_ids(chunk(42)[:-1])


def test_a_frame_whose_chunks_disagree_is_dropped() -> None:
    """R2.27 One id in all chunks of a frame, whatever the order of frames; else none is good."""
    frames = ChunkedFrames()
    arriving = [(42, 1), (43, 2), (42, 1), (44, 2), (43, 2), (0, 3), (0, 3), (42, 1)]
    agreed = []
    for trace_id, seq in arriving:
        found = decode_chunk_ids(chunk(trace_id, seq))
        assert found is not None
        agreed.append(frames.agrees(found))
    assert agreed == [True, True, True, False, False, True, True, True]
    assert frames.dropped == 1


def test_frames_that_never_end_take_bounded_room() -> None:
    """R2.27 The oldest frame makes room; one that is finished may be sent again."""
    frames = ChunkedFrames(most=2)
    for seq in range(1_000):
        assert frames.agrees(ChunkIds(7, 9, seq, 42))
    assert not frames.agrees(ChunkIds(7, 9, 999, 43))
    assert frames.agrees(ChunkIds(7, 9, 0, 43))
    frames.finish(ChunkIds(7, 9, 0, 43))
    frames.finish(ChunkIds(7, 9, 0, 43))
    assert frames.agrees(ChunkIds(7, 9, 0, 44))
    with pytest.raises(ValueError, match="at least 1"):
        ChunkedFrames(0)
