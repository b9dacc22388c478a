"""Frame descriptors and attach messages in bytes: the fields that carry lineage ids."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.lineage import (
    AttachCode,
    AttachRequest,
    AttachResponse,
    FrameDescriptor,
    decode_attach_request,
    decode_attach_response,
    decode_frame_descriptor,
    encode_attach_request,
    encode_attach_response,
    encode_frame_descriptor,
)

VECTORS = json.loads((Path(__file__).parent / "data" / "tracelink.json").read_text())
GRANTED = AttachResponse(5, AttachCode.OK, 77, None, 1, 1, 1, 64, 256, node_id=9)


@pytest.mark.parametrize("vector", VECTORS["frame_descriptor"], ids=lambda each: each["fields"][5])
def test_the_vectors_of_frames_are_read_and_written_bit_by_bit(vector: dict[str, Any]) -> None:
    """R2.4 R2.35 TL-19: a lineage id of 0 says that the frame is not traced."""
    fields = [None if each is None else int(each) for each in vector["fields"]]
    frame = FrameDescriptor(*fields)  # type: ignore[arg-type]
    buffer = bytearray(48)
    assert encode_frame_descriptor(buffer, frame) == 48
    assert buffer.hex() == vector["hex"]
    assert decode_frame_descriptor(buffer) == frame


@given(
    st.builds(
        FrameDescriptor,
        st.integers(0, 2**32 - 2),
        st.integers(0, 2**64 - 2),
        st.integers(0, 2**64 - 2),
        st.none() | st.integers(0, 2**64 - 2),
        st.none() | st.integers(0, 2**32 - 2),
        st.integers(0, 2**64 - 2),
    )
)
def test_any_frame_comes_back(frame: FrameDescriptor) -> None:
    """R2.4 What was written is read, also by the lengths of a later version."""
    buffer = bytearray(48)
    encode_frame_descriptor(buffer, frame)
    assert decode_frame_descriptor(buffer) == frame
    struct.pack_into("<H", buffer, 0, 44)
    struct.pack_into("<H", buffer, 6, 2)
    assert decode_frame_descriptor(buffer + b"more") == frame


def test_bad_frames_are_refused() -> None:
    """R2.4 Nulls where a field must be, numbers that do not fit, and bytes that are missing."""
    good = FrameDescriptor(7, 9, 11)
    for wrong in ({"seq": None}, {"stream_id": 2**32 - 1}, {"trace_id": -1}, {"epoch": 2**64}):
        with pytest.raises(ValueError, match="must be"):
            encode_frame_descriptor(bytearray(48), good._replace(**wrong))
    with pytest.raises(ValueError, match="48 writable bytes"):
        encode_frame_descriptor(bytearray(47), good)
    buffer = bytearray(48)
    encode_frame_descriptor(buffer, good)
    with pytest.raises(ValueError, match="cut short"):
        decode_frame_descriptor(buffer[:-1])
    with pytest.raises(ValueError, match="is null"):
        decode_frame_descriptor(buffer[:8] + b"\xff" * 40)
    struct.pack_into("<H", buffer, 2, 5)
    assert decode_frame_descriptor(buffer) is None


def test_a_node_id_is_asked_for_and_told_where_drivers_expect_it() -> None:
    """R2.12 R2.16 desiredNodeId lies at 23 of a request's block, nodeId at 50 of an answer's."""
    buffer = bytearray(100)
    request = AttachRequest(5, 1, 3, desired_node_id=9)
    assert encode_attach_request(buffer, request) == 35
    assert struct.unpack_from("<I", buffer, 8 + 23) == (9,)
    assert decode_attach_request(buffer) == request
    assert encode_attach_request(buffer, request._replace(desired_node_id=None)) == 35
    assert struct.unpack_from("<I", buffer, 8 + 23) == (2**32 - 1,)
    assert encode_attach_response(buffer, GRANTED) == 62
    assert struct.unpack_from("<I", buffer, 8 + 50) == (9,)
    assert decode_attach_response(buffer) == GRANTED
    assert decode_attach_request(buffer) is None


def test_answers_against_the_protocol_are_refused() -> None:
    """R2.12 A refusal assigns no node id, and an assent has a lease; nulls are not to be given."""
    buffer = bytearray(62)
    with pytest.raises(ValueError, match="assigns no node id"):
        encode_attach_response(buffer, GRANTED._replace(code=AttachCode.REJECTED))
    encode_attach_response(buffer, GRANTED)
    struct.pack_into("<i", buffer, 16, AttachCode.REJECTED)
    with pytest.raises(ValueError, match="assigns no node id"):
        decode_attach_response(buffer)
    encode_attach_response(buffer, GRANTED._replace(lease_id=None))
    with pytest.raises(ValueError, match="has a lease"):
        decode_attach_response(buffer)
    for wrong in (2**32 - 1, 2**32, -1):
        with pytest.raises(ValueError, match=r"stands for nothing|does not fit"):
            encode_attach_response(buffer, GRANTED._replace(node_id=wrong))
    with pytest.raises(ValueError, match="must be there"):
        encode_attach_request(bytearray(35), AttachRequest(None, 1, 1))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="35 writable bytes"):
        encode_attach_request(bytearray(34), AttachRequest(1, 1, 1))
