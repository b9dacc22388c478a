"""For bridges between hosts: forwarded sets keep their ids, and so do the chunks of a frame."""

from __future__ import annotations

from typing import NamedTuple

from whence.lineage.codec import decode_tracelink_set
from whence.lineage.wire import FRAME_CHUNK, HEADER, NULL_U32, BytesLike, block_of, view_of

__all__ = ["ChunkIds", "ChunkedFrames", "decode_chunk_ids", "forward_tracelink_set"]


class ChunkIds(NamedTuple):
    """Which frame a chunk is of, and the frame's lineage id; 0: it is not traced."""

    stream_id: int
    epoch: int
    seq: int
    trace_id: int


def forward_tracelink_set(message: BytesLike, stream_id: int) -> bytes | None:
    """A copy of a set for the stream that its frame has on the other side; all ids stay.

    None for another message; what a later version added stays, too. Raises ValueError for a set
    that may not be, and for a stream id that does not fit.
    """
    if not 0 <= stream_id < NULL_U32:
        raise ValueError(f"stream_id must be from 0 to {NULL_U32 - 1}, not {stream_id}")
    if decode_tracelink_set(message) is None:
        return None
    copy = bytearray(view_of(message))
    copy[HEADER.size : HEADER.size + 4] = stream_id.to_bytes(4, "little")
    return bytes(copy)


def decode_chunk_ids(message: BytesLike) -> ChunkIds | None:
    """The ids at the beginning of a BridgeFrameChunk (schema 902, template 1); None for others.

    Raises ValueError for bytes that are cut short.
    """
    view = view_of(message)
    if block_of(FRAME_CHUNK, view) is None:
        return None
    return ChunkIds(*FRAME_CHUNK.block.unpack_from(view, HEADER.size))


class ChunkedFrames:
    """Sees to it that all chunks of a frame have one lineage id; for one thread at a time.

    It knows the newest `most` frames that were begun. `dropped` counts frames whose chunks
    disagreed: a frame is counted once, and none of its chunks is agreed to afterwards.
    """

    __slots__ = ("_known", "_most", "dropped")

    def __init__(self, most: int = 1024) -> None:
        if most < 1:
            raise ValueError(f"most must be at least 1, not {most}")
        self._known: dict[tuple[int, int, int], int | None] = {}  # None: its chunks disagreed
        self._most = most
        self.dropped = 0

    def agrees(self, chunk: ChunkIds) -> bool:
        """Whether the chunk's id is that of the frame's first. False: drop the frame."""
        frame = chunk[:3]
        if frame not in self._known:
            while len(self._known) >= self._most:
                del self._known[next(iter(self._known))]
            self._known[frame] = chunk.trace_id
            return True
        known = self._known[frame]
        if known == chunk.trace_id:
            return True
        if known is not None:
            self._known[frame] = None
            self.dropped += 1
        return False

    def finish(self, chunk: ChunkIds) -> None:
        """The frame is whole, or given up: its chunks need no room any more."""
        self._known.pop(chunk[:3], None)
