"""Lineage: ids of frames, and the messages that tell what a frame was made from."""

from __future__ import annotations

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
from whence.lineage.bridge import (
    ChunkedFrames,
    ChunkIds,
    decode_chunk_ids,
    forward_tracelink_set,
)
from whence.lineage.codec import TraceLinkSet, decode_tracelink_set, encode_tracelink_set
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
from whence.lineage.publish import Counted, Publication, emit_tracelink
from whence.lineage.w3c import lineage_of_w3c, w3c_trace_id

__all__ = [
    "Address",
    "AttachCode",
    "AttachRequest",
    "AttachResponse",
    "Attached",
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
    "w3c_trace_id",
]
