"""Lineage for a program: root, reuse, join and window over one node's generator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from whence.lineage.codec import check_child, check_place
from whence.lineage.ids import (
    Mint,
    generator_of,
    new_trace_id_from_parents,
    next_trace_id,
    reuse_trace_id,
)
from whence.lineage.node_ids import Attached, resolve_node_id
from whence.lineage.publish import Outlets, Publications
from whence.model.lineage_events import LineageFrame, LineageWindow, check_window

__all__ = ["Lineage"]


class Lineage:
    """The lineage ids of what one process makes.

        line = whence.Lineage(node_id=7, publication=channel)
        page = line.root()
        boxes = line.reuse(page)
        document = line.join([page, other], stream_id=3, epoch=1, seq=9)

    The node id is given, or comes with the answer to attaching; no two processes of a deployment
    may have the same. `generator` takes the place of both. What a frame was made from is recorded
    into the session's rings, as an event of the type `lineage_link`, unless `recorded` is False,
    and offered to each `publication`: none, one or several. Both once and without waiting; `sent`,
    `dropped`, `recorded` and `unrecorded` count how that went, `reasons` why not. Any number of
    threads may share it; a forked child makes its own. Raises NodeIdMissing where no node id is to
    be had.
    """

    __slots__ = ("_generator", "_outlets")

    def __init__(
        self,
        node_id: int | None = None,
        *,
        attach: Attached | None = None,
        generator: Mint | None = None,
        publication: Publications = None,
        recorded: bool = True,
    ) -> None:
        self._generator = generator or generator_of(resolve_node_id(node_id, attach))
        self._outlets = Outlets(publication, recorded)

    def root(self) -> int:
        """The id of something that begins a lineage: a new one."""
        return next_trace_id(self._generator)

    def reuse(self, parent: int) -> int:
        """The id of what was made from one thing: the same. Raises ValueError for 0."""
        return reuse_trace_id(parent)

    def join(self, parents: Sequence[int], *, stream_id: int, epoch: int, seq: int) -> int:
        """The id of a frame made from several: a new one, and its parents are told.

        One parent is told, too: the frame is meant to get an id of its own. Raises ValueError,
        before anything is minted or told, for parents that are none, 0 or named twice, and for a
        place that no frame can have.
        """
        check_place(stream_id, epoch, seq)
        trace_id = new_trace_id_from_parents(self._generator, parents)
        check_child(trace_id, parents)
        self._outlets.tell_checked(stream_id, epoch, seq, trace_id, parents)
        return trace_id

    def output(self, parents: Sequence[int], *, stream_id: int, epoch: int, seq: int) -> int:
        """The id of a frame by the number of its inputs: none, root; one, reuse; more, join."""
        if not parents:
            return self.root()
        if len(parents) == 1:
            return self.reuse(parents[0])
        return self.join(parents, stream_id=stream_id, epoch=epoch, seq=seq)

    def window(
        self,
        in_stream_id: int,
        epoch: int,
        seq_start: int | None = None,
        seq_end: int | None = None,
        *,
        t_start_ns: int | None = None,
        t_end_ns: int | None = None,
    ) -> int:
        """The id of what was made from a whole window of frames: a new one, and the window is
        recorded instead of a parent for each frame.

        Bounds are the numbers of the first and the last frame, or wall times in nanoseconds since
        1970; both belong to the window. Raises ValueError, before anything is minted, for others.
        """
        bounds = in_stream_id, epoch, seq_start, seq_end, t_start_ns, t_end_ns
        check_window(LineageWindow(1, *bounds))
        lineage_id = self._generator.next()
        if self._outlets.session is not None:
            self._outlets.session.window(LineageWindow(lineage_id, *bounds))
        return lineage_id

    def frame(
        self,
        lineage_id: int,
        *,
        stream_id: int,
        epoch: int,
        seq: int,
        stage: str = "",
        status: str = "",
    ) -> bool:
        """Records a frame: which stage made it and what became of it; whether it was recorded.

        Windows are made of the frames that are known so. Raises ValueError for one that cannot be.
        """
        if self._outlets.session is None:
            return False
        return self._outlets.session.frame(
            LineageFrame(lineage_id, stream_id, epoch, seq, stage, status)
        )

    def emit(
        self, stream_id: int, epoch: int, seq: int, trace_id: int, parents: Sequence[int]
    ) -> bool:
        """Tells the parents of a frame that has its id already; whether all there is took them."""
        return self._outlets.tell(stream_id, epoch, seq, trace_id, parents)

    def flush(self) -> bool:
        """Sends what publications have gathered into one message; whether they were taken."""
        return self._outlets.flush()

    @property
    def sent(self) -> int:
        """How many sets publications took; each publication counts."""
        return self._outlets.counted.sent

    @property
    def dropped(self) -> int:
        """How many sets they did not take."""
        return self._outlets.counted.dropped

    @property
    def recorded(self) -> int:
        """How many links, windows and frames were recorded."""
        return self._outlets.session.counted.sent if self._outlets.session else 0

    @property
    def unrecorded(self) -> int:
        """How many were not, though they should have been."""
        return self._outlets.session.counted.dropped if self._outlets.session else 0

    @property
    def reasons(self) -> Mapping[str, int]:
        """Why sets were dropped or went unrecorded, and how many for each reason."""
        reasons = Counter(self._outlets.counted.reasons)
        if self._outlets.session is not None:
            reasons.update(self._outlets.session.counted.reasons)
        return dict(reasons)
