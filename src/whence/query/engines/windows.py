"""Windows as links: each is made from all frames of its stream and epoch within its bounds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from whence.model.event import TraceEvent
from whence.model.lineage_events import LineageFrame, LineageWindow, lineage_of
from whence.model.names import LINEAGE_FRAME, LINEAGE_WINDOW
from whence.model.query import TraceQuery
from whence.query.lineage import Way

__all__ = ["Placed", "WindowEdges", "holds", "placed"]

Timed = tuple[TraceEvent, int | None]


class Placed(NamedTuple):
    """A frame, and the wall time of the event that told of it; None where it is not known."""

    frame: LineageFrame
    wall_ns: int | None


def holds(window: LineageWindow, placed: Placed) -> bool:
    """Whether a frame lies in the window."""
    frame = placed.frame
    if (frame.stream_id, frame.epoch) != (window.stream_id, window.epoch):
        return False
    if window.seq_start is not None and window.seq_end is not None:
        return window.seq_start <= frame.seq <= window.seq_end
    if window.t_start_ns is None or window.t_end_ns is None or placed.wall_ns is None:
        return False
    return window.t_start_ns <= placed.wall_ns <= window.t_end_ns


def placed(events: Iterable[Timed]) -> Iterator[LineageWindow | Placed]:
    """The windows and frames that events tell of; what cannot be one is left out."""
    for event, wall_ns in events:
        try:
            value = lineage_of(event)
        except (ValueError, TypeError):
            continue
        if isinstance(value, LineageWindow):
            yield value
        elif isinstance(value, LineageFrame):
            yield Placed(value, wall_ns)


class WindowEdges:
    """The links between windows and frames, found by questions: one and more for each step.

    `of_ids` has the events of a type with one of these lineage ids, `of` those of a query.
    """

    def __init__(
        self,
        of_ids: Callable[[str, Sequence[int]], Iterable[Timed]],
        of: Callable[[TraceQuery], Iterable[Timed]],
    ) -> None:
        self._of_ids = of_ids
        self._of = of

    def step(self, ids: Sequence[int], way: Way) -> Iterator[tuple[int, int]]:
        """The links, as child and parent, that lead up or down."""
        return self._up(ids) if way == "up" else self._down(ids)

    def _up(self, ids: Sequence[int]) -> Iterator[tuple[int, int]]:
        for window in placed(self._of_ids(LINEAGE_WINDOW, ids)):
            if not isinstance(window, LineageWindow):
                continue
            where = f"stream_id = {window.stream_id} and epoch = {window.epoch}"
            since_ns = until_ns = None
            if window.seq_start is not None:
                where += f" and seq >= {window.seq_start} and seq <= {window.seq_end}"
            elif window.t_end_ns is not None:
                since_ns, until_ns = window.t_start_ns, window.t_end_ns + 1
            query = TraceQuery(
                event_type=LINEAGE_FRAME,
                where=where,
                from_wall_ns=since_ns,
                until_wall_ns=until_ns,
            )
            for each in placed(self._of(query)):
                if isinstance(each, Placed) and holds(window, each):
                    yield window.lineage_id, each.frame.lineage_id

    def _down(self, ids: Sequence[int]) -> Iterator[tuple[int, int]]:
        streams: defaultdict[tuple[int, int], list[Placed]] = defaultdict(list)
        for each in placed(self._of_ids(LINEAGE_FRAME, ids)):
            if isinstance(each, Placed):
                streams[each.frame.stream_id, each.frame.epoch].append(each)
        for (stream_id, epoch), frames in streams.items():
            where = f"stream_id = {stream_id} and epoch = {epoch}"
            least = min(each.frame.seq for each in frames)
            most = max(each.frame.seq for each in frames)
            ways = [f"{where} and seq_start <= {most} and seq_end >= {least}"]
            if walls := [each.wall_ns for each in frames if each.wall_ns is not None]:
                ways.append(f"{where} and t_start_ns <= {max(walls)} and t_end_ns >= {min(walls)}")
            for way in ways:
                query = TraceQuery(event_type=LINEAGE_WINDOW, where=way)
                for window in placed(self._of(query)):
                    if isinstance(window, LineageWindow):
                        yield from (
                            (window.lineage_id, each.frame.lineage_id)
                            for each in frames
                            if holds(window, each)
                        )
