"""Lineage of events held in memory: tables of links, windows and frames, made when first asked."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property

from whence.model.event import TraceEvent
from whence.model.lineage_events import LineageWindow, LinkPart, lineage_of
from whence.model.names import LINEAGE_TYPES
from whence.model.recording import Recording
from whence.query.engines.asked_lineage import nearest
from whence.query.engines.windows import Placed, holds, placed
from whence.query.lineage import Way

__all__ = ["RecordedLineage"]

_TYPES = frozenset(LINEAGE_TYPES)


class RecordedLineage:
    """What a recording tells of lineage; `place` is what events are ordered by. O(n) once."""

    def __init__(
        self, recording: Recording, place: Callable[[TraceEvent], tuple[int, ...]]
    ) -> None:
        self._recording = recording
        self._place = place

    def edges(self) -> Sequence[RecordedLineage]:
        """Itself."""
        return (self,)

    def step(self, ids: Sequence[int], way: Way) -> Iterator[tuple[int, int]]:
        """The links, as child and parent, that lead up or down."""
        links = self._parents if way == "up" else self._children
        for each in ids:
            for far in links.get(each, ()):
                yield (each, far) if way == "up" else (far, each)
        if self._windows:
            yield from self._from_windows(ids) if way == "up" else self._from_frames(ids)

    def events(self, ids: Sequence[int], limit: int) -> Recording:
        """The oldest events with these ids, and what is known of sessions."""
        found = [event for each in dict.fromkeys(ids) for event in self._events.get(each, ())]
        found.sort(key=self._place)
        return replace(self._recording, events=tuple(found[:limit]))

    def knows(self, lineage_id: int) -> bool:
        """Whether an event has that id, or a link names it."""
        return lineage_id in self._events or lineage_id in self._children

    def ending(self, digits: str, limit: int) -> list[int]:
        """Ids whose digits end so, the least first."""
        return [each for each in self._ids if str(each).endswith(digits)][:limit]

    def near(self, lineage_id: int, limit: int) -> list[int]:
        """Ids that are nearest to that number."""
        at = bisect_left(self._ids, lineage_id)
        return nearest(self._ids[max(at - limit, 0) : at + limit], lineage_id, limit)

    def _from_windows(self, ids: Sequence[int]) -> Iterator[tuple[int, int]]:
        for each in ids:
            for window in self._windows.get(each, ()):
                frames = self._frames[window.stream_id, window.epoch]
                if window.seq_start is not None and window.seq_end is not None:
                    low = bisect_left(frames, window.seq_start, key=_seq)
                    frames = frames[low : bisect_right(frames, window.seq_end, key=_seq)]
                yield from ((each, p.frame.lineage_id) for p in frames if holds(window, p))

    def _from_frames(self, ids: Sequence[int]) -> Iterator[tuple[int, int]]:
        for each in ids:
            for known in self._placed.get(each, ()):
                for window in self._streams[known.frame.stream_id, known.frame.epoch]:
                    if holds(window, known):
                        yield window.lineage_id, each

    @cached_property
    def _events(self) -> dict[int, list[TraceEvent]]:
        found: defaultdict[int, list[TraceEvent]] = defaultdict(list)
        for event in self._recording.events:
            if event.lineage_id:
                found[event.lineage_id].append(event)
        return dict(found)

    @cached_property
    def _ids(self) -> list[int]:
        return sorted({*self._events, *self._children})

    @cached_property
    def _parents(self) -> dict[int, list[int]]:
        found: defaultdict[int, list[int]] = defaultdict(list)
        for event in self._recording.events:
            if event.event_type in _TYPES:
                try:
                    value = lineage_of(event)
                except (ValueError, TypeError):
                    continue
                if isinstance(value, LinkPart):
                    found[value.lineage_id] += value.parents
        return dict(found)

    @cached_property
    def _children(self) -> dict[int, list[int]]:
        found: defaultdict[int, list[int]] = defaultdict(list)
        for child, parents in self._parents.items():
            for parent in parents:
                found[parent].append(child)
        return dict(found)

    @cached_property
    def _values(self) -> list[LineageWindow | Placed]:
        events = self._recording.events
        wall_ns = self._recording.wall_ns
        return list(placed((e, wall_ns(e)) for e in events if e.event_type in _TYPES))

    @cached_property
    def _windows(self) -> dict[int, list[LineageWindow]]:
        found: defaultdict[int, list[LineageWindow]] = defaultdict(list)
        for value in self._values:
            if isinstance(value, LineageWindow):
                found[value.lineage_id].append(value)
        return dict(found)

    @cached_property
    def _streams(self) -> defaultdict[tuple[int, int], list[LineageWindow]]:
        found: defaultdict[tuple[int, int], list[LineageWindow]] = defaultdict(list)
        for windows in self._windows.values():
            for window in windows:
                found[window.stream_id, window.epoch].append(window)
        return found

    @cached_property
    def _placed(self) -> dict[int, list[Placed]]:
        found: defaultdict[int, list[Placed]] = defaultdict(list)
        for value in self._values:
            if isinstance(value, Placed):
                found[value.frame.lineage_id].append(value)
        return dict(found)

    @cached_property
    def _frames(self) -> defaultdict[tuple[int, int], list[Placed]]:
        found: defaultdict[tuple[int, int], list[Placed]] = defaultdict(list)
        for value in self._values:
            if isinstance(value, Placed):
                found[value.frame.stream_id, value.frame.epoch].append(value)
        for frames in found.values():
            frames.sort(key=_seq)
        return found


def _seq(placed: Placed) -> int:
    return placed.frame.seq
