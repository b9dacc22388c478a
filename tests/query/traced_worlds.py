"""Random traces of every sort, questions about them, and the plainest answers to these."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from tests.query.build import WALL_NS
from tests.query.worlds import events_in, wall_ns
from whence.model.event import TraceEvent
from whence.model.severity import Severity
from whence.query.engines.shapes import Aggregate
from whence.query.engines.traces import TRACE_GROUPS, TraceFilter, TraceRow

__all__ = ["asked_traces", "expected_traces", "group_traces", "plain_trace", "traced_events"]

IDS = ("0" * 31 + "1", "f" * 32, "00000000000000018000000000000000", "1" * 32)
NAMES = ("", "a", "b", "Ä'\"%_\\")
STATUSES = ("completed", "failed", "cancelled", "expired")
TAGS = ("", "[]", '["a"]', '["b", "Ä\'\\"%_\\\\", 7]', "[", '{"a": 1}', '"a"', "null", '[["a"]]')


@st.composite
def traced_events(draw: st.DrawFn, most: int = 25) -> tuple[TraceEvent, ...]:
    """Some events, nearly all of few traces: beginnings, ends, spans, and what lies in none."""
    return tuple(draw(_traced(event)) for event in draw(events_in(most)))


@st.composite
def _traced(draw: st.DrawFn, event: TraceEvent) -> TraceEvent:
    more: dict[str, Any] = {"trace_id": draw(st.sampled_from([*IDS, *IDS, ""]))}
    if draw(st.integers(0, 3)):  # most of them belong to a trace of one sort
        more |= {"span": False, "status": ""}
    sort = draw(st.sampled_from(["start", "end", "span", "root", "plain", "plain", "odd"]))
    if sort == "start":
        fields = ("trace_name", "trace_type", "context_id", "execution_id", "description")
        attributes: dict[str, Any] = {
            name: draw(st.sampled_from([*NAMES, 7]))
            for name in draw(st.sets(st.sampled_from(fields)))
        }
        attributes["tags"] = draw(st.sampled_from(TAGS))
        more |= {"event_type": "trace_started", "attributes": attributes}
    elif sort == "end":
        said = {"trace_status": draw(st.sampled_from([*STATUSES, "odd", True]))}
        more |= {"event_type": "trace_ended", "attributes": draw(st.sampled_from([{}, said, said]))}
    elif sort in ("span", "root"):
        more |= {"span": True, "span_id": 7, "parent_span_id": 2**63 if sort == "span" else 0}
        more["status"] = draw(st.sampled_from(["", "ok", "error"]))
    elif sort == "plain":
        more |= {"span": False, "span_id": draw(st.sampled_from([0, 0, 7])), "status": ""}
    return replace(event, **more)


@st.composite
def asked_traces(draw: st.DrawFn) -> TraceFilter:
    """A filter of a few parts."""
    wall = st.integers(-1, 9).map(lambda n: WALL_NS + n * 500_000)

    def some(values: Sequence[str]) -> st.SearchStrategy[list[str]]:
        return st.lists(st.sampled_from(values), min_size=1, max_size=2)

    every: dict[str, st.SearchStrategy[Any]] = {
        "trace_ids": some(IDS),
        "context_ids": some(NAMES),
        "execution_ids": some(NAMES),
        "trace_types": some(NAMES),
        "statuses": some([*STATUSES, "active", "odd"]),
        "started_after_ns": wall,
        "started_before_ns": wall,
        "has_errors": st.booleans(),
        "event_type": st.sampled_from(["tick", "trace_ended", ("free", "tick")]),
        "component": st.sampled_from(["Pool", ("Clock", "Pool")]),
        "model_id": st.sampled_from(["", "a", "Ä'\"%_"]),
        "request_id": st.sampled_from(["", "a"]),
        "min_severity": st.sampled_from(Severity),
        "tag": st.sampled_from(["a", "b", "Ä'\"%_\\", "7", "", "\ud800"]),
        "text": st.sampled_from(["", "dmitted", "a", "'\"%", "tick", "\0", "\ud800"]),
    }
    names = draw(st.lists(st.sampled_from(sorted(every)), max_size=3, unique=True))
    return TraceFilter(**{name: draw(every[name]) for name in names})


# --- the plainest answers ---------------------------------------------------------------------


def expected_traces(
    events: Sequence[TraceEvent], asked: TraceFilter, keys: dict[str, int]
) -> list[dict[str, Any]]:
    """The matching traces, as plain_trace() makes them, by when they started and their id."""
    found = []
    for trace_id in {event.trace_id for event in events} - {""}:
        own = [event for event in events if event.trace_id == trace_id]
        own.sort(key=lambda e: (wall_ns(e), keys[e.session], e.ring, e.ticket))
        row = _row(trace_id, own)
        if _passes(row, own, asked):
            found.append(row)
    return sorted(found, key=lambda row: (row["started_wall_ns"], _signed(row["trace_id"])))


def group_traces(rows: Sequence[dict[str, Any]], question: Aggregate) -> dict[Any, Any]:
    """Rows, count, share of errors, average, sum, least, largest and last value of each group."""
    members: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        at, length = row["started_wall_ns"], question.bucket_ns
        bucket = None if length is None else at - at % length
        wrong = "true" if row["errors"] or row["status"] == "failed" else "false"
        known = row | {"has_errors": wrong}
        keys = tuple(known[TRACE_GROUPS[name]] for name in question.group_by)
        members.setdefault((bucket, keys), []).append(row)
    found = {}
    for key, own in members.items():
        count = sum(row["weight"] for row in own)
        wrong = sum(row["weight"] for row in own if row["errors"] or row["status"] == "failed")
        values = [(row[question.of], row["weight"]) for row in own if row[question.of] is not None]
        total = sum(value * weight for value, weight in values)
        only = [value for value, _ in values]
        figures: tuple[Any, ...] = (None,) * 5
        if values:
            average = total / sum(weight for _, weight in values)
            figures = (average, total, min(only), max(only), only[-1])
        found[key] = (len(own), count, wrong / count, *figures)
    return found


def plain_trace(row: TraceRow) -> dict[str, Any]:
    """A row's fields."""
    found = {name: getattr(row, name) for name in TraceRow.__slots__}
    return found | {"by_level": dict(row.by_level)}


def _signed(trace_id: str) -> tuple[int, int]:
    numbers = bytes.fromhex(trace_id)
    return int.from_bytes(numbers[:8], signed=True), int.from_bytes(numbers[8:], signed=True)


def _row(trace_id: str, own: list[TraceEvent]) -> dict[str, Any]:
    starts = [each for each in own if each.event_type == "trace_started"]
    ends = [each for each in own if each.event_type == "trace_ended"]
    roots = [each for each in own if each.span and each.parent_span_id == 0]
    rest = [each for each in own if each not in starts and each not in ends]
    told: Mapping[str, Any] = starts[0].attributes if starts else {}
    said = {name: value for name, value in told.items() if isinstance(value, str)}
    started_ns = min(wall_ns(each) for each in starts or own)
    wrong = [e for e in rest if e.severity.name in ("Error", "Critical") or e.status == "error"]
    last_ns = max(wall_ns(e) + (e.duration.nanos if e.span else 0) for e in own)
    ended_ns = wall_ns(ends[0]) if ends else last_ns
    duration_ns = (ends[0].duration.nanos if ends else 0) or max(0, ended_ns - started_ns)
    status = _status(own, starts, ends, roots)
    names = ("debug", "info", "warn", "error", "critical")
    return {
        "trace_id": trace_id,
        "name": said.get("trace_name", "") if starts else roots[0].event_type if roots else "",
        "trace_type": said.get("trace_type", ""),
        "status": status,
        "context_id": said.get("context_id", ""),
        "execution_id": said.get("execution_id", ""),
        "description": said.get("description", ""),
        "tags": _tags(said.get("tags", "")),
        "started_wall_ns": started_ns,
        "ended_wall_ns": None if status == "active" else ended_ns,
        "duration_ns": None if status == "active" else duration_ns,
        "events": len(rest),
        "errors": len(wrong),
        "warnings": sum(e.severity is Severity.Warning for e in rest),
        "by_level": {n: sum(e.severity == at for e in rest) for at, n in enumerate(names)},
        "sessions": tuple(sorted({each.session for each in own})),
        "weight": min(each.weight for each in own),
    }


def _status(
    own: list[TraceEvent], starts: list[TraceEvent], ends: list[TraceEvent], roots: list[TraceEvent]
) -> str:
    if ends:
        said = ends[0].attributes.get("trace_status")
        return str(said) if said in STATUSES else "completed"
    if starts:
        return "active"
    if roots:
        return "failed" if roots[0].status == "error" else "completed"
    failed = any(each.status == "error" for each in own)
    if any(each.span or each.span_id for each in own):
        return "failed" if failed else "active"
    return "failed" if failed or any(e.severity >= Severity.Error for e in own) else "completed"


def _tags(text: str) -> tuple[str, ...]:
    try:
        found = json.loads(text)
    except ValueError:
        return ()
    return tuple(x for x in found if isinstance(x, str)) if isinstance(found, list) else ()


def _passes(row: dict[str, Any], own: list[TraceEvent], asked: TraceFilter) -> bool:
    for wanted, name in (
        (asked.trace_ids, "trace_id"), (asked.context_ids, "context_id"),
        (asked.execution_ids, "execution_id"), (asked.trace_types, "trace_type"),
        (asked.statuses, "status"),
    ):  # fmt: skip
        if wanted and row[name] not in wanted:
            return False
    if asked.started_after_ns and row["started_wall_ns"] < asked.started_after_ns:
        return False
    if asked.started_before_ns and row["started_wall_ns"] >= asked.started_before_ns:
        return False
    wrong = row["errors"] > 0 or row["status"] == "failed"
    if asked.has_errors is not None and wrong != asked.has_errors:
        return False
    if asked.tag is not None and asked.tag not in row["tags"]:
        return False
    if asked.text is not None:
        texts = [row["name"], row["description"], *(each.rationale for each in own)]
        if not any(asked.text in text for text in texts):
            return False
    return any(_is_wanted(each, asked) for each in own)


def _is_wanted(event: TraceEvent, asked: TraceFilter) -> bool:
    for wanted, value in (
        (asked.event_type, event.event_type), (asked.component, event.component),
        (asked.model_id, event.model_id), (asked.request_id, event.request_id),
    ):  # fmt: skip
        if wanted is not None and value not in ((wanted,) if isinstance(wanted, str) else wanted):
            return False
    return asked.min_severity is None or event.severity >= asked.min_severity
