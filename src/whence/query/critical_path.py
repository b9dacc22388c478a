"""Which spans a chain's length rests on: the path that must get shorter for it to end sooner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from whence.model.event import TraceEvent
from whence.query.index import Index

__all__ = ["PathPart", "critical_path", "time_by_span"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PathPart:
    """A stretch of time that was this span's own: none of its children was what it waited for.

    `offset_ns` counts from the chain's first span. Time between spans that have no parent here is
    nobody's: `name` is "" and `span_id` 0.
    """

    name: str
    component: str
    span_id: int
    offset_ns: int
    duration_ns: int


def critical_path(index: Index, events: Sequence[TraceEvent]) -> tuple[PathPart, ...]:
    """The parts in order of time; together they are as long as the spans, first to last.

    Backwards from the end, each moment belongs to the child that ended last before it, and to its
    parent where there was none. Empty for a chain without ended spans. Costs O(n log n).
    """
    spans = {event.span_id: event for event in events if event.span}
    if not spans:
        return ()
    starts = {span_id: index.time_ns(span) for span_id, span in spans.items()}
    ends = {span_id: starts[span_id] + span.duration.nanos for span_id, span in spans.items()}
    children: defaultdict[int, list[int]] = defaultdict(list)
    for span_id in sorted(spans, key=lambda each: (ends[each], starts[each])):
        parent = spans[span_id].parent_span_id
        children[parent if parent in spans and parent != span_id else 0].append(span_id)
    roots = children.pop(0, [])
    if not roots:  # a circle of parents, which only a damaged file has
        return ()
    begun_ns = min(starts[root] for root in roots)
    found: list[tuple[int, int, int]] = []  # owner, from, to; the latest first
    open_stretches = [(0, begun_ns, ends[roots[-1]], roots)]
    while open_stretches:
        owner, start_ns, at_ns, inside = open_stretches.pop()
        child = _last_before(inside, starts, at_ns)
        if child is None or ends[child] <= start_ns:
            found.append((owner, start_ns, at_ns))
            continue
        child_end_ns = min(ends[child], at_ns)
        child_start_ns = max(starts[child], start_ns)
        found.append((owner, child_end_ns, at_ns))
        open_stretches.append((owner, start_ns, child_start_ns, inside))
        open_stretches.append((child, child_start_ns, child_end_ns, children.pop(child, [])))
    return tuple(
        PathPart(
            name=spans[owner].event_type if owner else "",
            component=spans[owner].component if owner else "",
            span_id=owner,
            offset_ns=from_ns - begun_ns,
            duration_ns=to_ns - from_ns,
        )
        for owner, from_ns, to_ns in reversed(found)
        if to_ns > from_ns
    )


def time_by_span(path: Sequence[PathPart]) -> dict[str, int]:
    """How long the path is in the spans of each name, in order of first appearance."""
    found: dict[str, int] = {}
    for part in path:
        name = part.name or "between spans"
        found[name] = found.get(name, 0) + part.duration_ns
    return found


def _last_before(inside: list[int], starts: dict[int, int], at_ns: int) -> int | None:
    """Takes away the span that ended last of those that began before a moment."""
    while inside:
        span_id = inside.pop()
        if starts[span_id] < at_ns:
            return span_id
    return None
