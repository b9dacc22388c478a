"""Lineage: ids of frames, and the messages that tell what a frame was made from.

Names are imported when they are first used, as those of whence itself: a program that mints ids
needs no sockets.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whence._native import SnowflakeGenerator
    from whence.lineage.allocator import NodeIdAllocator, NodeLease, NodeRow
    from whence.lineage.attach import (
        AttachCode,
        AttachRequest,
        AttachResponse,
        decode_attach_request,
        decode_attach_response,
        encode_attach_request,
        encode_attach_response,
    )
    from whence.lineage.batching import BatchedPublication
    from whence.lineage.bridge import (
        ChunkedFrames,
        ChunkIds,
        decode_chunk_ids,
        forward_tracelink_set,
    )
    from whence.lineage.codec import (
        TraceLinkSet,
        decode_tracelink_set,
        encode_tracelink_set,
        tracelink_set_length,
    )
    from whence.lineage.counted import Counted
    from whence.lineage.datagrams import Address, DatagramPublication, DatagramSubscription
    from whence.lineage.frames import (
        FrameDescriptor,
        decode_frame_descriptor,
        encode_frame_descriptor,
    )
    from whence.lineage.ids import (
        Mint,
        TraceIdGenerator,
        new_trace_id_from_parents,
        next_trace_id,
        reuse_trace_id,
        trace_id_for_output,
    )
    from whence.lineage.line import Lineage
    from whence.lineage.node_ids import Attached, resolve_node_id
    from whence.lineage.poller import TraceLinkPoller
    from whence.lineage.producers import (
        Consumer,
        Frame,
        Producer,
        TracedConsumer,
        TracedProducer,
        enable_tracing,
    )
    from whence.lineage.publish import Publication, Publications, emit_tracelink
    from whence.lineage.recording import SessionPublication
    from whence.lineage.w3c import lineage_of_w3c, w3c_trace_id

__all__ = [
    "Address",
    "AttachCode",
    "AttachRequest",
    "AttachResponse",
    "Attached",
    "BatchedPublication",
    "ChunkIds",
    "ChunkedFrames",
    "Consumer",
    "Counted",
    "DatagramPublication",
    "DatagramSubscription",
    "Frame",
    "FrameDescriptor",
    "Lineage",
    "Mint",
    "NodeIdAllocator",
    "NodeLease",
    "NodeRow",
    "Producer",
    "Publication",
    "Publications",
    "SessionPublication",
    "SnowflakeGenerator",
    "TraceIdGenerator",
    "TraceLinkPoller",
    "TraceLinkSet",
    "TracedConsumer",
    "TracedProducer",
    "decode_attach_request",
    "decode_attach_response",
    "decode_chunk_ids",
    "decode_frame_descriptor",
    "decode_tracelink_set",
    "emit_tracelink",
    "enable_tracing",
    "encode_attach_request",
    "encode_attach_response",
    "encode_frame_descriptor",
    "encode_tracelink_set",
    "forward_tracelink_set",
    "lineage_of_w3c",
    "new_trace_id_from_parents",
    "next_trace_id",
    "resolve_node_id",
    "reuse_trace_id",
    "trace_id_for_output",
    "tracelink_set_length",
    "w3c_trace_id",
]

_LATER = {
    "Address": "whence.lineage.datagrams",
    "AttachCode": "whence.lineage.attach",
    "AttachRequest": "whence.lineage.attach",
    "AttachResponse": "whence.lineage.attach",
    "Attached": "whence.lineage.node_ids",
    "BatchedPublication": "whence.lineage.batching",
    "ChunkIds": "whence.lineage.bridge",
    "ChunkedFrames": "whence.lineage.bridge",
    "Consumer": "whence.lineage.producers",
    "Counted": "whence.lineage.counted",
    "DatagramPublication": "whence.lineage.datagrams",
    "DatagramSubscription": "whence.lineage.datagrams",
    "Frame": "whence.lineage.producers",
    "FrameDescriptor": "whence.lineage.frames",
    "Lineage": "whence.lineage.line",
    "Mint": "whence.lineage.ids",
    "NodeIdAllocator": "whence.lineage.allocator",
    "NodeLease": "whence.lineage.allocator",
    "NodeRow": "whence.lineage.allocator",
    "Producer": "whence.lineage.producers",
    "Publication": "whence.lineage.publish",
    "Publications": "whence.lineage.publish",
    "SessionPublication": "whence.lineage.recording",
    "SnowflakeGenerator": "whence._native",
    "TraceIdGenerator": "whence.lineage.ids",
    "TraceLinkPoller": "whence.lineage.poller",
    "TraceLinkSet": "whence.lineage.codec",
    "TracedConsumer": "whence.lineage.producers",
    "TracedProducer": "whence.lineage.producers",
    "decode_attach_request": "whence.lineage.attach",
    "decode_attach_response": "whence.lineage.attach",
    "decode_chunk_ids": "whence.lineage.bridge",
    "decode_frame_descriptor": "whence.lineage.frames",
    "decode_tracelink_set": "whence.lineage.codec",
    "emit_tracelink": "whence.lineage.publish",
    "enable_tracing": "whence.lineage.producers",
    "encode_attach_request": "whence.lineage.attach",
    "encode_attach_response": "whence.lineage.attach",
    "encode_frame_descriptor": "whence.lineage.frames",
    "encode_tracelink_set": "whence.lineage.codec",
    "forward_tracelink_set": "whence.lineage.bridge",
    "lineage_of_w3c": "whence.lineage.w3c",
    "new_trace_id_from_parents": "whence.lineage.ids",
    "next_trace_id": "whence.lineage.ids",
    "resolve_node_id": "whence.lineage.node_ids",
    "reuse_trace_id": "whence.lineage.ids",
    "trace_id_for_output": "whence.lineage.ids",
    "tracelink_set_length": "whence.lineage.codec",
    "w3c_trace_id": "whence.lineage.w3c",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'whence.lineage' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LATER[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
