"""The bytes of lineage messages, as the schemas beside have them: SBE, little-endian, packed.

    [ header: block length u16 | template u16 | schema u16 | version u16 ] [ block ] [ groups ]

A reader takes the lengths from the message, not from here: later versions append fields to blocks.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

__all__ = [
    "ATTACH_REQUEST",
    "ATTACH_RESPONSE",
    "FRAME_CHUNK",
    "FRAME_DESCRIPTOR",
    "GROUP",
    "HEADER",
    "LONGEST_GROUP",
    "NULL_U32",
    "NULL_U64",
    "PARENT",
    "TRACE_LINK_SET",
    "BytesLike",
    "Form",
    "block_of",
    "view_of",
]

BytesLike = bytes | bytearray | memoryview  # or whatever else a memoryview can be made of

HEADER = Struct("<HHHH")
GROUP = Struct("<HH")  # block length, number of entries
PARENT = Struct("<Q")

LONGEST_GROUP = 2**16 - 2  # entries; 2**16 - 1 is SBE's null
NULL_U8, NULL_U16, NULL_U32, NULL_U64 = 2**8 - 1, 2**16 - 1, 2**32 - 1, 2**64 - 1


class Form(NamedTuple):
    """What tells a message, and its block."""

    name: str
    schema: int
    template: int
    version: int
    block: Struct

    @property
    def header(self) -> bytes:
        """The 8 bytes that such a message begins with."""
        return HEADER.pack(self.block.size, self.template, self.schema, self.version)


TRACE_LINK_SET = Form("TraceLinkSet", 904, 1, 1, Struct("<IQQQ"))
FRAME_DESCRIPTOR = Form("FrameDescriptor", 900, 4, 1, Struct("<IQQQIQ"))
ATTACH_REQUEST = Form("ShmAttachRequest", 901, 1, 1, Struct("<qIIBIBBI"))
ATTACH_RESPONSE = Form("ShmAttachResponse", 901, 2, 1, Struct("<qiQQIQIIHI"))

# Of a bridge's chunks we know the beginning of the block, which has the ids; 25 bytes follow.
FRAME_CHUNK = Form("BridgeFrameChunk", 902, 1, 1, Struct("<IQQQ"))


def view_of(buffer: BytesLike) -> memoryview:
    """A buffer's bytes, whatever its items are; ValueError where they do not lie in one piece."""
    view = memoryview(buffer)
    if type(buffer) is bytes or type(buffer) is bytearray:
        return view
    if not view.c_contiguous:
        raise ValueError("the buffer's bytes do not lie in one piece: copy it first")
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


def block_of(form: Form, view: memoryview) -> int | None:
    """Where the block of such a message ends; None where the bytes are another message.

    Raises ValueError for bytes that are no message at all, or one that is cut short.
    """
    if len(view) < HEADER.size:
        raise ValueError(f"{len(view)} bytes are no message: a header has {HEADER.size}")
    block_length, template, schema, _ = HEADER.unpack_from(view)
    if schema != form.schema or template != form.template:
        return None
    if block_length < form.block.size:
        raise ValueError(f"{form.name} has {form.block.size} bytes of fields, not {block_length}")
    end: int = HEADER.size + block_length
    if end > len(view):
        raise ValueError(f"{form.name} is cut short: {len(view)} bytes of {end} at least")
    return end
