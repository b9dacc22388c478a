"""Picks the events that pass a query's filters, by the narrowest of the index's tables."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

from whence.model.event import TraceEvent
from whence.model.ids import ModelID
from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.query.index import Index, as_index

__all__ = ["select"]


def select(
    source: Recording | Index, query: TraceQuery | None = None, **filters: Any
) -> tuple[TraceEvent, ...]:
    """The events that the query matches, in order of time, session, ring and ticket.

    Filters may be given by the names of TraceQuery's fields instead of a query (TypeError for
    both, or for an unknown name). Costs O(log n) and the events of the most selective filter.
    """
    if query is None:
        query = TraceQuery(**filters)
    elif filters:
        raise TypeError("give a TraceQuery or its fields, not both")
    index = as_index(source)
    matches = query.matches
    events = index.events
    wall_ns = index.recording.wall_ns if query.asks_wall_time else _unknown
    return tuple(
        event for at in _candidates(index, query) if matches(event := events[at], wall_ns(event))
    )


def _unknown(event: TraceEvent) -> None:
    return None


def _candidates(index: Index, query: TraceQuery) -> Sequence[int]:
    """Positions that hold every match, and as few others as one table can leave."""
    first, behind = 0, len(index.events)
    if query.start is not None:
        first = bisect_left(index.times_ns, query.start.value_ns)
    if query.end is not None:
        behind = bisect_right(index.times_ns, query.end.value_ns)
    narrowest: Sequence[int] = range(first, max(first, behind))
    model = query.model_id.value if isinstance(query.model_id, ModelID) else query.model_id
    for column, values in (
        ("request_id", None if query.request_id is None else (query.request_id,)),
        ("event_type", query.spelled_types),
        ("model_id", None if model is None else (model,)),
        ("component", query.components),
    ):
        if values is None:
            continue
        every = [index.positions(column, value) for value in dict.fromkeys(values)]
        within = [f[bisect_left(f, first) : bisect_left(f, behind)] for f in every]
        if sum(map(len, within)) < len(narrowest):
            narrowest = within[0] if len(within) == 1 else sorted(itertools.chain(*within))
    return narrowest
