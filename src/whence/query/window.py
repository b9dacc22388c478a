"""Asks any source of events for those of some types within a stretch of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

from whence.model.event import TraceEvent
from whence.model.ids import ModelID
from whence.model.names import spellings
from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.model.time import Duration, Timestamp
from whence.query.engines.shapes import Order, Page
from whence.query.index import Index, as_index
from whence.query.select import select

__all__ = ["Answering", "Found", "Holding", "Source", "Window", "events_within", "length_ns"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# The newest so long; or from one moment to another, both included, on the clock of the recording
# processes or, as datetimes with a zone, on the wall; or all there is.
Window = Duration | tuple[Timestamp, Timestamp] | tuple[datetime, datetime] | None


class Holding(Protocol):
    """What holds events and shows all of them: a TraceCollector, or whence.collector()."""

    def recording(self) -> Recording:
        """Everything held now."""


@runtime_checkable
class Answering(Protocol):
    """What looks events up, as every query.engine.Engine does."""

    def recording(self, query: TraceQuery, /) -> Recording:
        """The events that the query matches, with their sessions."""

    def select(self, query: TraceQuery, /, *, order: Order, limit: int) -> Page:
        """Some of them, in that order."""


Source = Recording | Index | Holding | Answering


@dataclass(frozen=True, slots=True)
class Found:
    """The events asked for, in order, and the index over what the source gave."""

    index: Index
    events: tuple[TraceEvent, ...]


def events_within(
    source: Source,
    types: Sequence[str],
    window: Window = None,
    model_id: str | ModelID | None = None,
) -> Found:
    """The source's events of these types, under any of their spellings, within the window.

    The source is asked anew each time. A window of a Duration ends with the newest moment that the
    source knows of. Raises TypeError for what is no source or no window, ValueError for a datetime
    without a zone.
    """
    every = tuple(spelling for name in types for spelling in spellings(name))
    query = TraceQuery(event_type=every, model_id=model_id)
    if isinstance(source, Answering):
        narrowed = _narrowed(query, window, source)
        index = Index(source.recording(narrowed or query))
        window = None if narrowed else window
    else:
        index = _index(source)
    within = _within(index, window)
    found = [event for event in select(index, query) if within(event)]
    return Found(index, tuple(sorted(found, key=index.time_ns)))


def length_ns(window: Window) -> int:
    """How long the window is; ValueError for one without bounds, TypeError as events_within."""
    if window is None:
        raise ValueError("name a window: a share of all time says nothing")
    if isinstance(window, Duration):
        return window.nanos
    begin_ns, end_ns, _ = _bounds(window)
    return end_ns - begin_ns


def _narrowed(query: TraceQuery, window: Window, source: Answering) -> TraceQuery | None:
    """The query within the window, so that a store reads no more; None if it must look itself."""
    if window is None:
        return query
    if isinstance(window, Duration):
        newest = source.select(TraceQuery(), order="newest", limit=1).wall_ns
        if not newest or newest[0] is None:  # nothing there, or by no known clock
            return None
        return replace(query, from_wall_ns=newest[0] - window.nanos)
    begin_ns, end_ns, on_wall = _bounds(window)
    if on_wall:
        return replace(query, from_wall_ns=begin_ns, until_wall_ns=end_ns + 1)
    return replace(query, start=Timestamp(begin_ns), end=Timestamp(end_ns))


def _index(source: Recording | Index | Holding) -> Index:
    if isinstance(source, Recording | Index):
        return as_index(source)
    if not callable(getattr(source, "recording", None)):
        raise TypeError(
            "a source is a TraceCollector, whence.collector(), a Recording, an Index or a store's"
            f" engine, not {type(source).__name__}"
        )
    return Index(source.recording())


def _within(index: Index, window: Window) -> Callable[[TraceEvent], bool]:
    if window is None:
        return lambda event: True
    if isinstance(window, Duration):
        if index.newest_ns is None:
            return lambda event: False
        since_ns = index.newest_ns - window.nanos
        return lambda event: index.time_ns(event) >= since_ns
    begin_ns, end_ns, on_wall = _bounds(window)
    if not on_wall:
        return lambda event: begin_ns <= event.timestamp.value_ns <= end_ns
    wall_ns = index.recording.wall_ns
    return lambda event: (at := wall_ns(event)) is not None and begin_ns <= at <= end_ns


def _bounds(
    window: tuple[Timestamp, Timestamp] | tuple[datetime, datetime],
) -> tuple[int, int, bool]:
    """Both ends in nanoseconds, and whether they are on the wall clock."""
    if isinstance(window, tuple) and len(window) == 2:
        begin, end = window
        if isinstance(begin, Timestamp) and isinstance(end, Timestamp):
            return begin.value_ns, end.value_ns, False
        if isinstance(begin, datetime) and isinstance(end, datetime):
            return _wall_ns(begin), _wall_ns(end), True
    raise TypeError("a window is a Duration, two Timestamps, two datetimes, or None for everything")


def _wall_ns(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no zone: write datetime.now(timezone.utc), for example")
    return (moment - _EPOCH) // _MICROSECOND * 1_000
