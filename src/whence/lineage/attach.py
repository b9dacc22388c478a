"""Attach messages in bytes: how a client asks a driver for a node id, and is told it."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from whence.lineage.wire import (
    ATTACH_REQUEST,
    ATTACH_RESPONSE,
    HEADER,
    NULL_U8,
    NULL_U16,
    NULL_U32,
    NULL_U64,
    BytesLike,
    Form,
    block_of,
    view_of,
)

__all__ = [
    "AttachCode",
    "AttachRequest",
    "AttachResponse",
    "decode_attach_request",
    "decode_attach_response",
    "encode_attach_request",
    "encode_attach_response",
]


class AttachCode(IntEnum):
    """How a driver answers."""

    OK = 0
    UNSUPPORTED = 1
    INVALID_PARAMS = 2
    REJECTED = 3
    INTERNAL_ERROR = 4


class AttachRequest(NamedTuple):
    """What a client asks for. `desired_node_id` None: any node id, or none, will do."""

    correlation_id: int
    stream_id: int
    client_id: int
    role: int = 1  # 1 produces, 2 consumes
    expected_layout_version: int = 1
    publish_mode: int | None = None
    require_hugepages: int | None = None
    desired_node_id: int | None = None


class AttachResponse(NamedTuple):
    """What the driver answers. `node_id` None: it assigned none."""

    correlation_id: int
    code: int
    lease_id: int | None = None
    lease_expiry_ns: int | None = None
    stream_id: int | None = None
    epoch: int | None = None
    layout_version: int | None = None
    header_slots: int | None = None
    header_slot_bytes: int | None = None
    node_id: int | None = None


def encode_attach_request(buffer: BytesLike, request: AttachRequest) -> int:
    """Writes a request to the beginning of a writable buffer; its length, 35 bytes."""
    return _encode(ATTACH_REQUEST, _REQUEST_NULLS, buffer, request)


def decode_attach_request(buffer: BytesLike) -> AttachRequest | None:
    """The request at the beginning of a buffer; None where another message is there."""
    fields = _decode(ATTACH_REQUEST, _REQUEST_NULLS, buffer)
    return None if fields is None else AttachRequest(*fields)  # type: ignore[arg-type]


def encode_attach_response(buffer: BytesLike, response: AttachResponse) -> int:
    """Writes the fixed part of an answer; its length, 62 bytes; pools and texts are not ours."""
    if response.code != AttachCode.OK and response.node_id is not None:
        raise ValueError("an answer that refuses assigns no node id")
    return _encode(ATTACH_RESPONSE, _RESPONSE_NULLS, buffer, response)


def decode_attach_response(buffer: BytesLike) -> AttachResponse | None:
    """The answer at the beginning of a buffer; None where another message is there.

    Raises ValueError for bytes that are cut short, and for an answer that is against the protocol:
    one that is OK but without a lease, or that refuses and yet assigns a node id.
    """
    fields = _decode(ATTACH_RESPONSE, _RESPONSE_NULLS, buffer)
    if fields is None:
        return None
    response = AttachResponse(*fields)  # type: ignore[arg-type]
    if response.code != AttachCode.OK and response.node_id is not None:
        raise ValueError("an answer that refuses assigns no node id")
    if response.code == AttachCode.OK and response.lease_id is None:
        raise ValueError("an answer that is OK has a lease: drop it and attach again")
    return response


# In the order of the fields; None where a field must be there.
_REQUEST_NULLS = (None, None, None, None, None, NULL_U8, NULL_U8, NULL_U32)
_RESPONSE_NULLS = (
    None, None, NULL_U64, NULL_U64, NULL_U32, NULL_U64, NULL_U32, NULL_U32, NULL_U16, NULL_U32,
)  # fmt: skip
_Nulls = tuple[int | None, ...]


def _encode(form: Form, nulls: _Nulls, buffer: BytesLike, fields: tuple[int | None, ...]) -> int:
    view = view_of(buffer)
    length: int = HEADER.size + form.block.size
    if view.readonly or len(view) < length:
        raise ValueError(f"{form.name} takes {length} writable bytes")
    for value, null in zip(fields, nulls, strict=True):
        if value is None and null is None:
            raise ValueError(f"{form.name} lacks a field that must be there")
        if value is not None and value == null:
            raise ValueError(f"{null} stands for nothing in {form.name}: give None")
    told = [null if value is None else value for value, null in zip(fields, nulls, strict=True)]
    try:
        block = form.block.pack(*told)
    except struct.error as error:
        raise ValueError(f"a number does not fit its field of {form.name}: {error}") from None
    view[:length] = form.header + block
    return length


def _decode(form: Form, nulls: _Nulls, buffer: BytesLike) -> list[int | None] | None:
    view = view_of(buffer)
    if block_of(form, view) is None:
        return None
    fields = form.block.unpack_from(view, HEADER.size)
    return [None if value == null else value for value, null in zip(fields, nulls, strict=True)]
