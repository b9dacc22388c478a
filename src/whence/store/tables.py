"""Events in Python become the table of a store: for what was imported, and for tests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from whence.model.event import AttributeValue, Option, SpanLink, TraceEvent
from whence.model.ids import event_id
from whence.model.plain_parts import plain_number
from whence.model.recording import SessionInfo
from whence.store.columns import SCHEMA

__all__ = ["offset_of", "table_of"]

_BEYOND = 1 << 63
_NOWHERE = SessionInfo("")


def table_of(events: Sequence[TraceEvent], sessions: Iterable[SessionInfo]) -> pa.Table:
    """A table with the columns of SCHEMA, a row an event, in their order: about 20 us each.

    Events of a session that is not among them get the key 0, and wall times equal to their own.
    """
    known = {session.name: session for session in sessions}
    newest: dict[str, int] = {}
    for event in events:
        newest[event.session] = max(newest.get(event.session, 0), event.timestamp.value_ns)
    offsets = {name: offset_of(known.get(name, _NOWHERE), at) for name, at in newest.items()}
    rows = [
        _row(event, known.get(event.session, _NOWHERE).key, offsets[event.session])
        for event in events
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def offset_of(session: SessionInfo, newest_ns: int) -> int:
    """Wall minus monotonic time, by the anchor nearest to that moment; 0 without any anchor."""
    wall_ns = session.wall_ns(newest_ns)
    return 0 if wall_ns is None else wall_ns - newest_ns


def _row(event: TraceEvent, key: int, offset_ns: int) -> dict[str, Any]:
    trace = int(event.trace_id or "0", 16)
    ring, ticket = max(event.ring, 0), max(event.ticket, 0)
    chain = event.decision_chain_id
    return {
        "ts_ns": event.timestamp.value_ns + offset_ns,
        "offset_ns": offset_ns,
        "session": _signed(key),
        "ring": ring,
        "ticket": ticket,
        "event_type": event.event_type,
        "component": event.component,
        "model_id": str(event.model_id),
        "request_id": event.request_id,
        "decision_chain_id": None if chain == event.request_id else chain,
        "trace_hi": _signed(trace >> 64),
        "trace_lo": _signed(trace & 2**64 - 1),
        "span_id": _signed(event.span_id),
        "parent_span_id": _signed(event.parent_span_id),
        "span": event.span,
        "lineage_id": _signed(event.lineage_id),
        "severity": int(event.severity),
        "status": event.status,
        "status_message": event.status_message or None,
        "duration_ns": event.duration.nanos,
        "decision": event.decision,
        "rationale": event.rationale,
        "weight": float(event.weight),
        "event_id": _told_id(event, key, ring, ticket),
        "caused_by": event.caused_by or None,
        "options": json.dumps([_option(each) for each in event.options]) if event.options else None,
        "links": json.dumps([_link(each) for each in event.links]) if event.links else None,
        "text_lost": event.text_lost,
        "truncated": event.truncated,
        **_maps(event.attributes),
    }


def _told_id(event: TraceEvent, key: int, ring: int, ticket: int) -> str | None:
    """None for the id that is made from the event's place."""
    made = event_id(key & 2**48 - 1, ring & 2**18 - 1, ticket & 2**56 - 1)
    return None if event.event_id == made else event.event_id


def _maps(attributes: Mapping[str, AttributeValue]) -> dict[str, list[tuple[str, Any]]]:
    found: dict[str, list[tuple[str, Any]]] = {
        name: [] for name in ("attr_int", "attr_num", "attr_str", "attr_bool", "attr_uint")
    }
    for name, value in attributes.items():
        if isinstance(value, bool):
            found["attr_bool"].append((name, value))
        elif isinstance(value, int):
            wide = value >= _BEYOND
            found["attr_uint" if wide else "attr_int"].append((name, _signed(value)))
        elif isinstance(value, float):
            found["attr_num"].append((name, float(value)))
        else:
            found["attr_str"].append((name, str(value)))
    return found


def _signed(number: int) -> int:
    return number - 2**64 if number >= _BEYOND else number


def _option(option: Option) -> dict[str, Any]:
    scores = {name: plain_number(score) for name, score in option.scores.items()}
    return {"name": option.name, "scores": scores, "chosen": option.chosen, "reason": option.reason}


def _link(link: SpanLink) -> dict[str, Any]:
    types = {
        name: type(value).__name__
        for name, value in link.attributes.items()
        if not isinstance(value, str)
    }
    texts = {name: _text(value) for name, value in link.attributes.items()}
    found = {"trace_id": link.trace_id, "span_id": f"{link.span_id:016x}", "attributes": texts}
    return found | {"attribute_types": types} if types else found


def _text(value: AttributeValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)
