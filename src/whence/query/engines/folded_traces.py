"""Traces out of their events: one row for each trace id, and the predicate that picks them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from whence.model.event import TraceEvent
from whence.model.names import TRACE_ENDED, TRACE_STARTED
from whence.model.query import is_error
from whence.model.severity import Severity
from whence.query.engines.traces import LEVELS, TraceFilter, TraceKey, TraceRow, TraceSort

__all__ = ["ENDINGS", "folded", "over", "paged", "picked", "tags_in", "traces_of"]

ENDINGS = ("completed", "failed", "cancelled", "expired")
_LATEST = 2**63 - 1
Moment = Callable[[TraceEvent], int]


def traces_of(
    events: Iterable[TraceEvent], wall_ns: Moment, place: Callable[[TraceEvent], Any]
) -> Iterator[tuple[TraceRow, list[TraceEvent]]]:
    """Each trace of the events with its own ones, these in order of their place."""
    members: defaultdict[str, list[TraceEvent]] = defaultdict(list)
    for event in events:
        if event.trace_id:
            members[event.trace_id].append(event)
    for own in members.values():
        own.sort(key=place)
        yield folded(own, wall_ns), own


def folded(events: Sequence[TraceEvent], wall_ns: Moment) -> TraceRow:
    """What the events of one trace, in order, say of it: see TraceRow."""
    started = next((each for each in events if each.event_type == TRACE_STARTED), None)
    ended = next((each for each in events if each.event_type == TRACE_ENDED), None)
    root = next((each for each in events if each.span and not each.parent_span_id), None)
    own = [each for each in events if each.event_type not in (TRACE_STARTED, TRACE_ENDED)]
    row = _counted(events, own)
    started_ns = min(map(wall_ns, events)) if started is None else wall_ns(started)
    row = replace(row, started_wall_ns=started_ns, name=root.event_type if root else "")
    if started is not None:
        row = _described(row, started)
    if ended is not None:
        said = ended.attributes.get("trace_status")
        row = replace(row, status=said if said in ENDINGS else "completed")
        return over(row, wall_ns(ended), max(ended.duration.nanos, 0))
    row = replace(row, status="active" if started else _status(events, root))
    if row.status == "active":
        return row
    return over(row, max(_end_ns(each, wall_ns) for each in events), 0)


def picked(asked: TraceFilter, row: TraceRow, events: Iterable[TraceEvent]) -> bool:
    """Whether the trace with these events passes every filter."""
    for wanted, value in (
        (asked.trace_ids, row.trace_id),
        (asked.context_ids, row.context_id),
        (asked.execution_ids, row.execution_id),
        (asked.trace_types, row.trace_type),
        (asked.statuses, row.status),
    ):
        if wanted is not None and value not in wanted:
            return False
    since, until, matching, text = (
        asked.started_after_ns, asked.started_before_ns, asked.event, asked.text
    )  # fmt: skip
    return (
        (since is None or row.started_wall_ns >= since)
        and (until is None or row.started_wall_ns < until)
        and (asked.has_errors is None or asked.has_errors == row.has_errors)
        and (asked.tag is None or asked.tag in row.tags)
        and (matching is None or any(map(matching.matches, events)))
        and (
            text is None
            or text in row.name
            or text in row.description
            or any(text in each.rationale for each in events)
        )
    )


def paged(
    rows: Iterable[TraceRow],
    sort: TraceSort,
    limit: int,
    page: int | None,
    after: TraceKey | None,
) -> tuple[tuple[TraceRow, ...], TraceKey | None]:
    """The rows of that page, and the key of its end if more follow."""
    keyed = [(TraceKey.of(row, sort), row) for row in rows]
    forwards = sort == "oldest"
    if after is not None:
        keyed = [pair for pair in keyed if pair[0] != after and (pair[0] > after) == forwards]
    keyed.sort(key=lambda pair: pair[0][1:], reverse=not forwards)
    first = 0 if page is None else (page - 1) * limit
    shown = keyed[first : first + limit]
    more = bool(shown) and len(keyed) > first + limit
    return tuple(row for _, row in shown), shown[-1][0] if more else None


def tags_in(text: object) -> tuple[str, ...]:
    """The texts of a JSON list; none of what is no such list."""
    try:
        found = json.loads(text) if isinstance(text, str) else ()
    except ValueError:
        return ()
    return tuple(each for each in found if isinstance(each, str)) if type(found) is list else ()


def over(row: TraceRow, ended_ns: int, measured_ns: int) -> TraceRow:
    """With its end; a duration that was measured counts before the difference of wall times."""
    length_ns = measured_ns or max(ended_ns - row.started_wall_ns, 0)
    return replace(row, ended_wall_ns=ended_ns, duration_ns=length_ns)


def _counted(events: Sequence[TraceEvent], own: Sequence[TraceEvent]) -> TraceRow:
    by_level = dict.fromkeys(LEVELS, 0)
    for each in own:
        by_level[each.severity.level_name()] += 1
    return TraceRow(
        trace_id=events[0].trace_id,
        events=len(own),
        errors=sum(map(is_error, own)),
        warnings=by_level[Severity.Warning.level_name()],
        by_level=by_level,
        sessions=tuple(sorted({each.session for each in events})),
        weight=min(each.weight for each in events),
    )


def _described(row: TraceRow, started: TraceEvent) -> TraceRow:
    """With what its beginning says; of texts alone, as other types are none of these."""

    def text(name: str) -> str:
        value = started.attributes.get(name, "")
        return value if isinstance(value, str) else ""

    return replace(
        row,
        name=text("trace_name"),
        trace_type=text("trace_type"),
        context_id=text("context_id"),
        execution_id=text("execution_id"),
        description=text("description"),
        tags=tags_in(started.attributes.get("tags")),
    )


def _status(events: Sequence[TraceEvent], root: TraceEvent | None) -> str:
    """Of a trace that nobody began or ended."""
    if root is not None:
        return "failed" if root.status == "error" else "completed"
    if any(each.span or each.span_id for each in events):  # of a root that is still to come
        return "failed" if any(each.status == "error" for each in events) else "active"
    return "failed" if any(map(is_error, events)) else "completed"


def _end_ns(event: TraceEvent, wall_ns: Moment) -> int:
    """Spans are dated by their beginning, and end within 64 bits."""
    lasted = max(event.duration.nanos, 0) if event.span else 0
    return min(wall_ns(event) + lasted, max(_LATEST, wall_ns(event)))
