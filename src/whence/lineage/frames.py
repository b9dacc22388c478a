"""FrameDescriptor in bytes: the message that announces a frame carries its lineage id."""

from __future__ import annotations

from typing import NamedTuple

from whence.lineage.wire import (
    FRAME_DESCRIPTOR,
    HEADER,
    NULL_U32,
    NULL_U64,
    BytesLike,
    block_of,
    view_of,
)

__all__ = ["FrameDescriptor", "decode_frame_descriptor", "encode_frame_descriptor"]

_LENGTH = HEADER.size + FRAME_DESCRIPTOR.block.size


class FrameDescriptor(NamedTuple):
    """A frame that can be read. `trace_id` 0: it is not traced; None: the field says nothing."""

    stream_id: int
    epoch: int
    seq: int
    timestamp_ns: int | None = None
    meta_version: int | None = None
    trace_id: int = 0


def encode_frame_descriptor(buffer: BytesLike, frame: FrameDescriptor) -> int:
    """Writes a descriptor to the beginning of a writable buffer; its length, 48 bytes.

    Raises ValueError, with nothing written, for numbers that do not fit or that stand for nothing
    in their field, and for a buffer that is too small or read-only.
    """
    view = view_of(buffer)
    if view.readonly or len(view) < _LENGTH:
        raise ValueError(f"a frame descriptor takes {_LENGTH} writable bytes")
    for name, value, null in zip(FrameDescriptor._fields, frame, _NULLS, strict=True):
        if value is None and name not in ("timestamp_ns", "meta_version"):
            raise ValueError(f"{name} must be there")
        if value is not None and not 0 <= value < null:
            raise ValueError(f"{name} must be from 0 to {null - 1}, not {value}")
    told = (null if value is None else value for value, null in zip(frame, _NULLS, strict=True))
    FRAME_DESCRIPTOR.block.pack_into(view, HEADER.size, *told)
    view[: HEADER.size] = FRAME_DESCRIPTOR.header
    return _LENGTH


def decode_frame_descriptor(buffer: BytesLike) -> FrameDescriptor | None:
    """The descriptor at the beginning of a buffer; None where another message is there.

    Later versions are read by the length that they state. Raises ValueError for bytes that are cut
    short, and where a field that must be there is null.
    """
    view = view_of(buffer)
    if block_of(FRAME_DESCRIPTOR, view) is None:
        return None
    stream, epoch, seq, time, meta, trace = FRAME_DESCRIPTOR.block.unpack_from(view, HEADER.size)
    if stream == NULL_U32 or epoch == NULL_U64 or seq == NULL_U64 or trace == NULL_U64:
        raise ValueError("a field that every frame descriptor has is null")
    return FrameDescriptor(
        stream,
        epoch,
        seq,
        None if time == NULL_U64 else time,
        None if meta == NULL_U32 else meta,
        trace,
    )


_NULLS = (NULL_U32, NULL_U64, NULL_U64, NULL_U64, NULL_U32, NULL_U64)
