"""The session's rings as a carrier: what is offered there becomes events of this process."""

from __future__ import annotations

from collections.abc import Sequence

from whence.lineage.codec import TraceLinkSet, check_set, decode_tracelink_set, tracelink_set_length
from whence.lineage.counted import Counted
from whence.lineage.recorder import recorder
from whence.lineage.wire import BytesLike, view_of
from whence.model.lineage_events import LineageFrame, LineageWindow, check_frame, check_window

__all__ = ["SessionPublication"]


class SessionPublication:
    """Records sets as `lineage_link` events into the calling thread's ring, and never waits.

    It stands wherever a publication does, and takes what others told, too: a process that listens
    keeps what it hears by `TraceLinkPoller(SessionPublication().record)`. Any thread. `counted`
    says how many were recorded (`sent`), and how many were not and why: "off" (the kind is), "too
    large" (more text than the text ring holds), "no set", "failed". What a gate samples out counts
    as recorded here and as sampled out in the ring's ledger.
    """

    __slots__ = ("counted",)

    def __init__(self) -> None:
        self.counted = Counted()

    def offer(self, buffer: BytesLike, /) -> bool:
        """Records the set in a message, or all of several that lie one behind the other.

        False: one was not recorded, or there is none. Raises nothing.
        """
        rest = view_of(buffer)
        recorded = True
        while recorded:
            try:
                found = decode_tracelink_set(rest)
                length = tracelink_set_length(rest)
            except ValueError:
                found = length = None
            if found is None:
                return self.counted.count("no set")
            recorded = self.link(*found)
            rest = rest[length:]
            if not rest:
                break
        return recorded

    def record(self, links: TraceLinkSet, /) -> bool:
        """Records a set; whether it was recorded. Raises ValueError for one that may not be."""
        check_set(*links)
        return self.link(*links)

    def link(
        self, stream_id: int, epoch: int, seq: int, trace_id: int, parents: Sequence[int]
    ) -> bool:
        """As record(), of values that check_set() has let pass."""
        return self.counted.count(recorder().record_link(trace_id, stream_id, epoch, seq, parents))

    def window(self, window: LineageWindow, /) -> bool:
        """Records a window; whether it was recorded. Raises ValueError for one that cannot be."""
        check_window(window)
        return self.counted.count(recorder().record_window(window))

    def frame(self, frame: LineageFrame, /) -> bool:
        """Records a frame; whether it was recorded. Raises ValueError for one that cannot be."""
        check_frame(frame)
        return self.counted.count(recorder().record_frame(frame))
