"""Lineage for a program: root, reuse and join, over one node's generator and one publication."""

from __future__ import annotations

from collections.abc import Sequence

from whence.lineage.ids import (
    Mint,
    TraceIdGenerator,
    new_trace_id_from_parents,
    next_trace_id,
    reuse_trace_id,
)
from whence.lineage.node_ids import Attached, resolve_node_id
from whence.lineage.publish import Counted, Publication, emit_tracelink

__all__ = ["Lineage"]


class Lineage:
    """The lineage ids of what one process makes.

        line = whence.Lineage(node_id=7, publication=channel)
        page = line.root()
        boxes = line.reuse(page)
        document = line.join([page, other], stream_id=3, epoch=1, seq=9)

    The node id is given, or comes with the answer to attaching; no two processes of a deployment
    may have the same. `generator` takes the place of both. A join tells the publication what the
    frame was made from, once and without waiting; `sent` and `dropped` count how that went.
    Without a publication ids are minted and nothing is told. Any number of threads may share it;
    a forked child makes its own. Raises NodeIdMissing where no node id is to be had.
    """

    __slots__ = ("_counted", "_generator", "_publication")

    def __init__(
        self,
        node_id: int | None = None,
        *,
        attach: Attached | None = None,
        generator: Mint | None = None,
        publication: Publication | None = None,
    ) -> None:
        self._generator = generator or TraceIdGenerator(resolve_node_id(node_id, attach))
        self._publication = publication
        self._counted = Counted()

    def root(self) -> int:
        """The id of something that begins a lineage: a new one."""
        return next_trace_id(self._generator)

    def reuse(self, parent: int) -> int:
        """The id of what was made from one thing: the same. Raises ValueError for 0."""
        return reuse_trace_id(parent)

    def join(self, parents: Sequence[int], *, stream_id: int, epoch: int, seq: int) -> int:
        """The id of a frame made from several: a new one, and its parents are sent.

        One parent is sent, too: the frame is meant to get an id of its own. Raises ValueError,
        before anything is minted or sent, for parents that are none, 0 or named twice.
        """
        trace_id = new_trace_id_from_parents(self._generator, parents)
        self.emit(stream_id, epoch, seq, trace_id, parents)
        return trace_id

    def output(self, parents: Sequence[int], *, stream_id: int, epoch: int, seq: int) -> int:
        """The id of a frame by the number of its inputs: none, root; one, reuse; more, join."""
        if not parents:
            return self.root()
        if len(parents) == 1:
            return self.reuse(parents[0])
        return self.join(parents, stream_id=stream_id, epoch=epoch, seq=seq)

    def emit(
        self, stream_id: int, epoch: int, seq: int, trace_id: int, parents: Sequence[int]
    ) -> bool:
        """Sends the parents of a frame that has its id already; whether they were taken."""
        if self._publication is None:
            return False
        return emit_tracelink(
            self._publication, stream_id, epoch, seq, trace_id, parents, self._counted
        )

    @property
    def sent(self) -> int:
        """How many sets the publication took."""
        return self._counted.sent

    @property
    def dropped(self) -> int:
        """How many sets it did not take."""
        return self._counted.dropped
