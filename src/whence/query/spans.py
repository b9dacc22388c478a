"""Puts a chain's spans in their places: who is inside whom, what is open, what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from whence.model.event import TraceEvent
from whence.model.recording import OpenSpan, Recording, SessionInfo

if TYPE_CHECKING:
    from whence.query.index import Index

__all__ = ["SpanTree", "in_span_order", "open_spans", "open_state", "parent_of"]


def parent_of(event: TraceEvent) -> int:
    """The span that the event lies in, 0 for none: a span's parent, or where another happened."""
    return event.parent_span_id if event.span else event.span_id


def in_span_order(
    events: Sequence[TraceEvent], time_ns: Callable[[TraceEvent], int]
) -> Sequence[TraceEvent]:
    """The events by time, but none before the span that it lies in; else as they were.

    Clocks of two threads or hosts may differ by more than lies between a span's start and its
    first child; who is inside whom is sure.
    """
    spans = {event.span_id: event for event in events if event.span}
    if not spans:
        return events
    known: dict[int, tuple[int, int]] = {0: (0, 0)}

    def key(event: TraceEvent) -> tuple[int, int]:
        start_ns, depth = place(parent_of(event))
        return max(time_ns(event), start_ns), depth

    def place(span_id: int) -> tuple[int, int]:
        """When the span begins at the earliest, and how deep its children are."""
        path = []
        while span_id not in known:
            span = spans.get(span_id)
            known[span_id] = (0, 0)  # ends a circle, which only a damaged file has
            if span is None:
                break
            path.append(span)
            span_id = span.parent_span_id
        start_ns, depth = known[span_id]
        for span in reversed(path):
            start_ns, depth = max(time_ns(span), start_ns), depth + 1
            known[span.span_id] = start_ns, depth
        return known[path[0].span_id] if path else known[span_id]

    return sorted(events, key=key)


def open_spans(recording: Recording) -> dict[int, OpenSpan]:
    """The spans by id that had begun and not ended when the recording was read."""
    found = {span.span_id: span for ring in recording.rings for span in ring.open_spans}
    if found:
        for event in recording.events:
            known = found.get(event.span_id) if event.span else None
            if known is not None and known.session == event.session:  # not a forked child's copy
                del found[event.span_id]
    return found


_OPEN = {"recording": "still open", "stored": "open when last collected"}


def open_state(session: SessionInfo | None) -> str:
    """In words, what it means that a span of the session is open."""
    if session is not None and session.live:
        return _OPEN.get(session.state, "open when this was exported")
    process = f"pid {session.pid}" if session is not None and session.pid else "the process"
    return f"open when {process} ended"


class SpanTree:
    """The spans of one chain, ended and open. Cost: the chain, and the open spans of all."""

    def __init__(self, index: Index, events: Sequence[TraceEvent]) -> None:
        self._index = index
        self._spans = {event.span_id: event for event in events if event.span}
        self.open = self._open_here(events)
        self._parents = {span_id: span.parent_span_id for span_id, span in self._spans.items()}
        self._parents |= {span.span_id: span.parent_span_id for span in self.open}

    def depth(self, span_id: int) -> int:
        """How many spans of the chain lie around what has that parent, itself included."""
        depth, seen = 0, {0}
        while span_id not in seen and span_id in self._parents:
            seen.add(span_id)
            span_id = self._parents[span_id]
            depth += 1
        return depth

    def missing(self, events: Sequence[TraceEvent]) -> Mapping[int, Sequence[TraceEvent]]:
        """By id the spans that events lie in and that are nowhere, and those events.

        Where no span was open in the sender, its request itself is the parent of what it sent.
        """
        found: dict[int, list[TraceEvent]] = {}
        for event in events:
            parent = parent_of(event)
            if parent and parent not in self._parents and not _is_request(parent, event.trace_id):
                found.setdefault(parent, []).append(event)
        return {
            span_id: inside
            for span_id, inside in found.items()
            if span_id not in self._index.span_ids
        }

    def _open_here(self, events: Sequence[TraceEvent]) -> tuple[OpenSpan, ...]:
        every = self._index.open_spans
        if not every:
            return ()
        requests = {event.request_id for event in events} - {""}
        traces = {event.trace_id for event in events} - {""}
        found = {
            span.span_id: span
            for span in every.values()
            if span.request_id in requests or (not span.request_id and span.trace_id in traces)
        }
        for event in events:
            for span in self._around(parent_of(event), every):
                found[span.span_id] = span
        return tuple(sorted(found.values(), key=lambda span: (span.start_ns, span.span_id)))

    def _around(self, span_id: int, every: Mapping[int, OpenSpan]) -> Iterator[OpenSpan]:
        seen: set[int] = set()
        while span_id in every and span_id not in seen:
            seen.add(span_id)
            yield every[span_id]
            span_id = every[span_id].parent_span_id


def _is_request(span_id: int, trace_id: str) -> bool:
    return bool(trace_id) and span_id == (int(trace_id[16:], 16) or 1)
