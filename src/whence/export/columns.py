"""Events as the columns of a store, for those that are held as values."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from whence.model.event import TraceEvent
from whence.model.ids import event_id
from whence.model.recording import Recording
from whence.query.plain import plain_event
from whence.store.columns import SCHEMA

__all__ = ["table_of"]

_INT64 = range(-(2**63), 2**63)
_UINT64 = range(2**63, 2**64)


def table_of(recording: Recording, events: Sequence[TraceEvent] | None = None) -> pa.Table:
    """The recording's events, or those given of it, in their order, in the columns of a store.

    An event whose wall time is not known, or is none that 64 bits hold, has its own time in that
    place. Integers that 64 bits do not hold become their digits, half a surrogate pair a question
    mark.
    """
    events = recording.events if events is None else events
    keys = {info.name: info.key for info in recording.sessions}
    walls = [_held(recording.wall_ns(event), event) for event in events]
    columns: dict[str, list[Any]] = {
        "ts_ns": [
            event.timestamp.value_ns if wall is None else wall
            for event, wall in zip(events, walls, strict=True)
        ],
        "offset_ns": [
            0 if wall is None else wall - event.timestamp.value_ns
            for event, wall in zip(events, walls, strict=True)
        ],
        "session": [_signed(keys.get(event.session, 0)) for event in events],
        "event_id": [_own_id(event, keys) for event in events],
        **{name: [read(event) for event in events] for name, read in _READ.items()},
        **_attributes(events),
    }
    return pa.table(
        {name: _array(columns[name], SCHEMA.field(name)) for name in SCHEMA.names}, SCHEMA
    )


def _held(wall_ns: int | None, event: TraceEvent) -> int | None:
    if wall_ns is None or wall_ns not in _INT64:
        return None
    return wall_ns if wall_ns - event.timestamp.value_ns in _INT64 else None


def _array(values: Iterable[Any], field: pa.Field) -> pa.Array:
    if pa.types.is_dictionary(field.type):
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, field.type)


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number


def _own_id(event: TraceEvent, keys: Mapping[str, int]) -> str | None:
    if event.ring >= 0 and event.session in keys:
        with contextlib.suppress(OverflowError):  # a place that no id has room for
            if event_id(keys[event.session], event.ring, event.ticket) == event.event_id:
                return None
    return _text(event.event_id)


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _or_null(text: str) -> str | None:
    return _text(text) if text else None


def _chain(event: TraceEvent) -> str | None:
    chain = event.decision_chain_id
    return None if chain == event.request_id else _or_null(chain)


def _json(name: str) -> Callable[[TraceEvent], str | None]:
    def written(event: TraceEvent) -> str | None:
        if not getattr(event, name):
            return None
        return json.dumps(plain_event(event)[name], separators=(",", ":"))

    return written


def _half_trace(first: int) -> Callable[[TraceEvent], int]:
    return lambda event: _signed(int(event.trace_id[first : first + 16] or "0", 16))


_READ: Mapping[str, Callable[[TraceEvent], Any]] = {
    "ring": lambda event: event.ring,
    "ticket": lambda event: _signed(event.ticket),
    "event_type": lambda event: _text(event.event_type),
    "component": lambda event: _text(event.component),
    "model_id": lambda event: _text(str(event.model_id)),
    "request_id": lambda event: _text(event.request_id),
    "decision_chain_id": _chain,
    "trace_hi": _half_trace(0),
    "trace_lo": _half_trace(16),
    "span_id": lambda event: _signed(event.span_id),
    "parent_span_id": lambda event: _signed(event.parent_span_id),
    "span": lambda event: event.span,
    "lineage_id": lambda event: _signed(event.lineage_id),
    "severity": lambda event: int(event.severity),
    "status": lambda event: event.status,
    "status_message": lambda event: _or_null(event.status_message),
    "duration_ns": lambda event: event.duration.nanos,
    "decision": lambda event: event.decision,
    "rationale": lambda event: _text(event.rationale),
    "weight": lambda event: float(event.weight),
    "caused_by": lambda event: _or_null(event.caused_by),
    "options": _json("options"),
    "links": _json("links"),
    "text_lost": lambda event: event.text_lost,
    "truncated": lambda event: event.truncated,
}


def _attributes(events: Sequence[TraceEvent]) -> dict[str, list[list[tuple[str, Any]]]]:
    """By map, the pairs of each event."""
    found: dict[str, list[list[tuple[str, Any]]]] = {
        name: [[] for _ in events]
        for name in ("attr_int", "attr_num", "attr_str", "attr_bool", "attr_uint")
    }
    for at, event in enumerate(events):
        for name, value in event.attributes.items():
            column, kept = _placed(value)
            found[column][at].append((_text(name), kept))
    return found


def _placed(value: int | float | bool | str) -> tuple[str, Any]:
    if isinstance(value, bool):
        return "attr_bool", value
    if isinstance(value, float):
        return "attr_num", float(value)
    if isinstance(value, str):
        return "attr_str", _text(value)
    number = int(value)
    if number in _INT64:
        return "attr_int", number
    return ("attr_uint", _signed(number)) if number in _UINT64 else ("attr_str", str(number))
