"""The columns of an event at rest, and the events that a table of them holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

import pyarrow as pa

from whence.model.event import AttributeValue, Option, SpanLink, TraceEvent, checked_event
from whence.model.read_only import ReadOnlyDict
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp

__all__ = ["SCHEMA", "events_of"]


def _schema() -> pa.Schema:
    """All is signed: ids of 64 bits are two's complement, for engines that lack unsigned ones."""
    name = pa.dictionary(pa.int32(), pa.string())
    types: dict[str, pa.DataType] = {
        "ts_ns": pa.int64(),  # wall time, since 1970; rows are sorted by it first
        "offset_ns": pa.int64(),  # ts_ns - offset_ns is the event's own, monotonic time
        "session": pa.int64(),  # its key
        "ring": pa.int32(),
        "ticket": pa.int64(),
        "event_type": name,
        "component": name,
        "model_id": name,  # "": none
        "request_id": pa.string(),  # "": none
        "decision_chain_id": pa.string(),  # null: the request's
        "trace_hi": pa.int64(),  # both 0: none
        "trace_lo": pa.int64(),
        "span_id": pa.int64(),  # 0: none
        "parent_span_id": pa.int64(),
        "span": pa.bool_(),
        "lineage_id": pa.int64(),
        "severity": pa.int32(),  # 0 Debug to 4 Critical
        "status": name,  # "", ok, error
        "status_message": pa.string(),
        "duration_ns": pa.int64(),
        "decision": pa.bool_(),
        "rationale": pa.string(),
        "weight": pa.float64(),
        "event_id": pa.string(),  # null: made from session, ring and ticket
        "caused_by": pa.string(),
        "options": pa.string(),  # a JSON list, as exports have it
        "links": pa.string(),
        "text_lost": pa.bool_(),
        "truncated": pa.bool_(),
        "attr_int": pa.map_(pa.string(), pa.int64()),
        "attr_num": pa.map_(pa.string(), pa.float64()),
        "attr_str": pa.map_(pa.string(), pa.string()),
        "attr_bool": pa.map_(pa.string(), pa.bool_()),
        "attr_uint": pa.map_(pa.string(), pa.int64()),  # unsigned ones from 2**63 on
    }
    nullable = {
        "decision_chain_id", "status_message", "event_id", "caused_by", "options", "links"
    }  # fmt: skip
    return pa.schema(pa.field(name, kind, name in nullable) for name, kind in types.items())


SCHEMA = _schema()
"""What Batch.arrow() gives and segments hold."""


def events_of(table: pa.Table, names: Mapping[int, str]) -> list[TraceEvent]:
    """The events of a table that has the columns of SCHEMA, in the order of its rows.

    Equal to those that collect.events.to_events() made of the same rows. `names` is the name of
    each session by its key; KeyError for one that is not there, and for a column that is missing.
    Text may be of any Arrow type that holds text: engines give back what they like.
    """
    columns = {name: table.column(name) for name in SCHEMA.names}
    read = {name: _values(column) for name, column in columns.items() if not _is_map(column)}
    sessions, rings, tickets = read["session"], read["ring"], read["ticket"]
    requests = read["request_id"]
    columns_of_events = (
        map(_event_id, read["event_id"], sessions, rings, tickets),
        read["event_type"],
        read["component"],
        map(_timestamp, read["ts_ns"], read["offset_ns"]),
        map(_duration, read["duration_ns"]),
        read["model_id"],
        requests,
        read["rationale"],
        map(_SEVERITIES.__getitem__, read["severity"]),
        _attributes(columns),
        [
            chain or request
            for chain, request in zip(read["decision_chain_id"], requests, strict=True)
        ],
        map(_options, read["options"]),
        map(_text, read["caused_by"]),
        map(_unsigned, read["lineage_id"]),
        read["decision"],
        read["weight"],
        read["text_lost"],
        read["truncated"],
        [names[key & _MOST] for key in sessions],
        [ring & 0xFFFF_FFFF for ring in rings],
        map(_unsigned, tickets),
        map(_trace_id, read["trace_hi"], read["trace_lo"]),
        map(_unsigned, read["span_id"]),
        map(_unsigned, read["parent_span_id"]),
        read["span"],
        read["status"],
        map(_text, read["status_message"]),
        map(_links, read["links"]),
    )
    return [checked_event(values) for values in zip(*columns_of_events, strict=True)]


_MOST = 2**64 - 1
_SEVERITIES = tuple(Severity)
_AT_ONCE = Duration(0)
_NO_ATTRIBUTES: ReadOnlyDict[AttributeValue] = ReadOnlyDict()


def _is_map(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_map(column.type))


def _values(column: pa.ChunkedArray) -> list[Any]:
    """The values of a column; each text of a dictionary is made once."""
    found: list[Any] = []
    if not pa.types.is_dictionary(column.type):
        found = column.to_pylist()
        return found
    for chunk in column.chunks:
        texts = chunk.dictionary.to_pylist()
        found += [None if at is None else texts[at] for at in chunk.indices.to_pylist()]
    return found


def _unsigned(value: int) -> int:
    return value & _MOST


def _text(value: str | None) -> str:
    return value or ""


def _timestamp(ts_ns: int, offset_ns: int) -> Timestamp:
    return Timestamp(ts_ns - offset_ns)


def _duration(value_ns: int) -> Duration:
    return Duration(value_ns) if value_ns else _AT_ONCE


def _trace_id(high: int, low: int) -> str:
    return f"{high & _MOST:016x}{low & _MOST:016x}" if high or low else ""


def _event_id(given: str | None, session: int, ring: int, ticket: int) -> str:
    """As native/whence/event_id.hpp makes it: parts that are too wide lose their upper bits."""
    if given is not None:
        return given
    number = (session & 0xFFFF_FFFF_FFFF) << 80 | 8 << 76 | (ring >> 6 & 0xFFF) << 64
    text = f"{number | 2 << 62 | (ring & 63) << 56 | ticket & 0xFF_FFFF_FFFF_FFFF:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _attributes(columns: Mapping[str, pa.ChunkedArray]) -> list[ReadOnlyDict[AttributeValue]]:
    found: list[dict[str, AttributeValue] | None] = [None] * len(columns["ts_ns"])
    for name in ("attr_int", "attr_num", "attr_str", "attr_bool", "attr_uint"):
        change = _unsigned if name == "attr_uint" else None
        at = 0
        for chunk in columns[name].chunks:
            _take_map(chunk, found, at, change)
            at += len(chunk)
    return [_NO_ATTRIBUTES if values is None else ReadOnlyDict(values) for values in found]


def _take_map(
    chunk: pa.MapArray,
    found: list[dict[str, AttributeValue] | None],
    first: int,
    change: Callable[[int], int] | None,
) -> None:
    """Adds the pairs of a map to the rows from `first` on; a null map has none."""
    if chunk.null_count:
        chunk = chunk.fill_null([])
    ends = chunk.offsets.to_pylist()
    start, end = ends[0], ends[-1]
    if start == end:
        return
    keys = chunk.keys.slice(start, end - start).to_pylist()
    items: Iterable[Any] = chunk.items.slice(start, end - start).to_pylist()
    values = list(map(change, items)) if change else list(items)
    for row, (at, until) in enumerate(pairwise(ends), first):
        if at == until:
            continue
        pairs = zip(
            keys[at - start : until - start], values[at - start : until - start], strict=True
        )
        known = found[row]
        if known is None:
            found[row] = dict(pairs)
        else:
            known.update(pairs)


def _options(text: str | None) -> tuple[Option, ...]:
    if text is None:
        return ()
    return tuple(
        Option(each["name"], _scores(each["scores"]), each["chosen"], each["reason"])
        for each in json.loads(text)
    )


def _scores(scores: dict[str, Any]) -> ReadOnlyDict[float]:
    """JSON has the names of NaN and the infinities as texts."""
    return ReadOnlyDict({name: float(score) for name, score in scores.items()})


def _links(text: str | None) -> tuple[SpanLink, ...]:
    if text is None:
        return ()
    return tuple(
        SpanLink(each["trace_id"], int(each["span_id"], 16), _link_attributes(each))
        for each in json.loads(text)
    )


def _link_attributes(link: dict[str, Any]) -> dict[str, AttributeValue]:
    types = link.get("attribute_types", {})
    return {
        name: _READ_AS[types.get(name, "str")](text) for name, text in link["attributes"].items()
    }


_READ_AS: Mapping[str, Callable[[str], AttributeValue]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": {"true": True, "false": False}.__getitem__,
}
