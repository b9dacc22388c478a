"""TraceLinkSet in bytes: the parents of a frame, checked alike on the way out and in.

Refused in both directions: no parents, more than 65,534 of them, an id that is 0 or SBE's null
(2**64 - 1), a parent named twice, a frame that is its own parent.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, pack, pack_into, unpack_from
from typing import NamedTuple

from whence.lineage.wire import (
    GROUP,
    HEADER,
    LONGEST_GROUP,
    NULL_U32,
    NULL_U64,
    PARENT,
    TRACE_LINK_SET,
    BytesLike,
    block_of,
    view_of,
)

__all__ = [
    "TraceLinkSet",
    "check_child",
    "check_link",
    "check_parents",
    "check_place",
    "check_set",
    "decode_tracelink_set",
    "encode_tracelink_set",
    "packed_set",
    "tracelink_set_length",
]

_PARTS = (HEADER, TRACE_LINK_SET.block, GROUP)
_HEAD = Struct("<" + "".join(part.format[1:] for part in _PARTS))  # all before the parents
_START = HEADER.unpack(TRACE_LINK_SET.header)


class TraceLinkSet(NamedTuple):
    """A frame (stream_id, epoch, seq), its trace_id, and those of its parents in their order."""

    stream_id: int
    epoch: int
    seq: int
    trace_id: int
    parents: tuple[int, ...]


def encode_tracelink_set(
    buffer: BytesLike,
    stream_id: int,
    epoch: int,
    seq: int,
    trace_id: int,
    parents: Sequence[int],
) -> int:
    """Writes a set to the beginning of a writable buffer; its length in bytes: 40 + 8 a parent.

    Raises ValueError, with nothing written, for what the module's docstring lists, for numbers
    that do not fit, and for a buffer that is too small or read-only; TypeError for what is no int.
    """
    check_set(stream_id, epoch, seq, trace_id, parents)
    view = view_of(buffer)
    count = len(parents)
    length: int = _HEAD.size + PARENT.size * count
    if view.readonly or len(view) < length:
        raise ValueError(f"a set of {count} parents takes {length} writable bytes")
    _HEAD.pack_into(view, 0, *_START, stream_id, epoch, seq, trace_id, PARENT.size, count)
    pack_into(f"<{count}Q", view, _HEAD.size, *parents)
    return length


def packed_set(
    stream_id: int, epoch: int, seq: int, trace_id: int, parents: Sequence[int]
) -> bytes:
    """The message of a set that passed check_set(): nothing is looked at again."""
    count = len(parents)
    head = _HEAD.pack(*_START, stream_id, epoch, seq, trace_id, PARENT.size, count)
    return head + pack(f"<{count}Q", *parents)


def decode_tracelink_set(buffer: BytesLike) -> TraceLinkSet | None:
    """The set at the beginning of a buffer; None where another message is there.

    What tells is the header's schema and template. Later versions are read by the lengths that
    they state, and what they added is passed over, as is what lies behind the message. The bytes
    are checked to be there before anything is made of their number. Raises ValueError for bytes
    that are cut short, and for what the module's docstring lists.
    """
    view = view_of(buffer)
    found = _group(view)
    if found is None:
        return None
    at, entry_length, count = found
    stream_id, epoch, seq, trace_id = TRACE_LINK_SET.block.unpack_from(view, HEADER.size)
    if entry_length == PARENT.size:
        parents = unpack_from(f"<{count}Q", view, at)
    else:
        ends = range(at, at + entry_length * count, entry_length)
        parents = tuple(PARENT.unpack_from(view, each)[0] for each in ends)
    check_set(stream_id, epoch, seq, trace_id, parents)
    return TraceLinkSet(stream_id, epoch, seq, trace_id, parents)


def tracelink_set_length(buffer: BytesLike) -> int | None:
    """How many bytes the set at the beginning of a buffer takes; None where it is another message.

    So several sets in one buffer can be told apart: nothing else of the set is looked at. Raises
    ValueError for bytes that are cut short.
    """
    found = _group(view_of(buffer))
    return None if found is None else found[0] + found[1] * found[2]


def check_parents(parents: Sequence[int]) -> None:
    """Raises ValueError where these cannot be the parents of anything; TypeError for no int."""
    if not parents:
        raise ValueError("a frame made from others has at least one parent")
    if len(parents) > LONGEST_GROUP:
        raise ValueError(f"a set holds {LONGEST_GROUP:,} parents at most, not {len(parents):,}")
    for parent in parents:
        if type(parent) is not int or not 0 < parent < NULL_U64:
            _check_number("a parent", parent, 1, NULL_U64 - 1)
    if len(set(parents)) != len(parents):
        raise ValueError("a parent is named twice")


def check_link(trace_id: int, parents: Sequence[int]) -> None:
    """Raises ValueError where a frame cannot have these parents, or its id is none."""
    check_parents(parents)
    check_child(trace_id, parents)


def check_child(trace_id: int, parents: Sequence[int]) -> None:
    """The same of parents that check_parents() has let pass."""
    if type(trace_id) is not int or not 0 < trace_id < NULL_U64:
        _check_number("trace_id", trace_id, 1, NULL_U64 - 1)
    if trace_id in parents:
        raise ValueError(f"frame {trace_id} is named as its own parent")


def check_set(stream_id: int, epoch: int, seq: int, trace_id: int, parents: Sequence[int]) -> None:
    """The one check of all that is sent, recorded or was decoded: ValueError, TypeError."""
    check_place(stream_id, epoch, seq)
    check_link(trace_id, parents)


def check_place(stream_id: int, epoch: int, seq: int) -> None:
    """Raises ValueError where no frame can be there; TypeError for no int."""
    sure = type(stream_id) is type(epoch) is type(seq) is int
    if not sure or not (
        0 <= stream_id < NULL_U32 and 0 <= epoch < NULL_U64 and 0 <= seq < NULL_U64
    ):
        _check_number("stream_id", stream_id, 0, NULL_U32 - 1)
        _check_number("epoch", epoch, 0, NULL_U64 - 1)
        _check_number("seq", seq, 0, NULL_U64 - 1)


def _group(view: memoryview) -> tuple[int, int, int] | None:
    """Where the parents lie, the length of each and their number, all of which are there."""
    at = block_of(TRACE_LINK_SET, view)
    if at is None:
        return None
    if len(view) < at + GROUP.size:
        raise ValueError("TraceLinkSet is cut short before its parents")
    entry_length, count = GROUP.unpack_from(view, at)
    at += GROUP.size
    if entry_length < PARENT.size:
        raise ValueError(f"a parent has {PARENT.size} bytes, not {entry_length}")
    if count > LONGEST_GROUP:
        raise ValueError("the number of parents is null")
    if len(view) < at + entry_length * count:
        raise ValueError(f"TraceLinkSet is cut short: {len(view) - at} bytes for {count} parents")
    return at, entry_length, count


def _check_number(name: str, value: int, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be int, not {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least} to {most}, not {value}")
