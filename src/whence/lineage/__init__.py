"""Lineage: ids of frames, and the messages that tell what a frame was made from."""

from __future__ import annotations

from whence._native import SnowflakeGenerator
from whence.lineage.attach import (
    AttachCode,
    AttachRequest,
    AttachResponse,
    decode_attach_request,
    decode_attach_response,
    encode_attach_request,
    encode_attach_response,
)
from whence.lineage.codec import TraceLinkSet, decode_tracelink_set, encode_tracelink_set
from whence.lineage.frames import (
    FrameDescriptor,
    decode_frame_descriptor,
    encode_frame_descriptor,
)

__all__ = [
    "AttachCode",
    "AttachRequest",
    "AttachResponse",
    "FrameDescriptor",
    "SnowflakeGenerator",
    "TraceLinkSet",
    "decode_attach_request",
    "decode_attach_response",
    "decode_frame_descriptor",
    "decode_tracelink_set",
    "encode_attach_request",
    "encode_attach_response",
    "encode_frame_descriptor",
    "encode_tracelink_set",
]
