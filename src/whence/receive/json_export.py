"""Reads a JSON export back into the recording it was written from, and refuses anything else."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from whence.model.errors import CorruptFile, UnsupportedFormat
from whence.model.event import AttributeValue, Option, SpanLink, TraceEvent
from whence.model.json_fields import Fields
from whence.model.parsed_parts import (
    parsed_damage,
    parsed_gate,
    parsed_kind,
    parsed_ring,
    parsed_session,
)
from whence.model.recording import Anchor, Recording, SessionInfo
from whence.model.severity import Severity
from whence.model.span import is_trace_id
from whence.model.time import Duration, Timestamp
from whence.receive.compressed import unpacked
from whence.receive.quick_event import quick_event

__all__ = ["FORMAT", "VERSION", "parse_json_export", "read_json_export"]

FORMAT = "whence-json"
VERSION = 1

_LINE_OF_EVENT = re.compile(rb'\s*\{"event_id":[^\n]*\}\r?\n')


def read_json_export(path: str | PathLike[str]) -> Recording:
    """The recording in an export file of ours, or in a file that holds only {"events": [...]}.

    Raises OSError, UnsupportedFormat if the file is no such export or of a newer version, and
    CorruptFile, naming the place, if its content contradicts the format. Reads the whole file
    into memory.
    """
    return parse_json_export(Path(path).read_bytes(), str(path))


def parse_json_export(content: bytes, name: str = "this file") -> Recording:
    """The recording in the bytes of an export, or of events one a line; `name` is what error
    messages call them. Either may be compressed with gzip or zstd."""
    content = unpacked(content, name)
    try:
        root = json.loads(content)
    except (ValueError, RecursionError) as error:  # bad JSON, bad UTF-8, endless nesting
        if _LINE_OF_EVENT.match(content):
            return _read_lines(content, name)
        raise CorruptFile(f"{name} is not JSON: {error}") from None
    if isinstance(root, dict) and "event_type" in root:
        return _read_lines(content, name)
    if not isinstance(root, dict) or not isinstance(root.get("events"), list):
        raise UnsupportedFormat(f'{name} is no export: it has no list of "events"')
    if "format" not in root:
        return _read_plain(root, name)
    if root["format"] != FORMAT or root.get("version") != VERSION:
        found = f"{root['format']!r} version {root.get('version')!r}"
        raise UnsupportedFormat(f"{name} is {found}; this whence reads {FORMAT} version {VERSION}")
    return _read_own(Fields(root, name))


def _read_lines(content: bytes, name: str) -> Recording:
    """Events alone, one a line, as whence streams and collects them: their wall times are anchors.

    Nobody knows what is not among them, so the sessions count as filtered.
    """
    events: list[TraceEvent] = []
    anchors: defaultdict[str, dict[int, Anchor]] = defaultdict(dict)
    for number, text in enumerate(content.splitlines(), 1):
        if not text.strip():
            continue
        try:
            fields = Fields(json.loads(text), f"{name}, line {number}")
        except (ValueError, RecursionError) as error:
            raise CorruptFile(f"{name}, line {number} is not JSON: {error}") from None
        wall_ns = fields.moment("wall_ns") if fields.has("wall_ns") else None
        event = fields.made(_event)
        events.append(event)
        known = anchors[event.session]
        if wall_ns is not None:
            at_ns = event.timestamp.value_ns
            known.setdefault(wall_ns - at_ns, Anchor(at_ns, wall_ns))
    sessions = (
        SessionInfo(session, anchors=tuple(found.values()), state="filtered")
        for session, found in anchors.items()
        if session
    )
    return Recording(events=tuple(events), sessions=tuple(sessions))


def _read_plain(root: dict[str, Any], name: str) -> Recording:
    """A file of others: events alone, with the ten fields that every export has."""
    fields = Fields(root, name)
    fields.skip("exported_at")
    events = fields.each("events", _event, quick=quick_event)
    fields.done()
    return Recording(events=events)


def _read_own(fields: Fields) -> Recording:
    for known in ("format", "version", "exported_at", "exported_at_ns"):
        fields.skip(known)
    state = "filtered" if fields.text("filtered", "") else "exported"
    recording = Recording(
        sessions=fields.each("sessions", lambda part: parsed_session(part, state)),
        kinds=fields.each("kinds", parsed_kind),
        rings=fields.each("rings", parsed_ring),
        gate_changes=fields.each("gates", parsed_gate, []),
        damage=fields.each("damage", parsed_damage, []),
        events=fields.each("events", _event, quick=quick_event),
    )
    fields.done()
    return recording


def _event(fields: Fields) -> TraceEvent:
    fields.skip("wall_ns")  # the sessions' anchors say it
    return TraceEvent(
        event_id=fields.text("event_id"),
        event_type=fields.text("event_type"),
        component=fields.text("component"),
        timestamp=Timestamp(fields.integer("timestamp_ns")),
        duration=Duration(fields.integer("duration_ns")),
        model_id=fields.text("model_id"),
        request_id=fields.text("request_id"),
        rationale=fields.text("rationale"),
        severity=Severity.from_name(fields.text("severity")),
        attributes=_attributes(fields),
        decision_chain_id=fields.text("decision_chain_id", ""),
        options=fields.each("options", _option, []),
        caused_by=fields.text("caused_by", ""),
        lineage_id=fields.wide("lineage_id", "0"),
        decision=fields.flag("decision", False),
        weight=fields.number("weight", 1.0),
        text_lost=fields.flag("text_lost", False),
        truncated=fields.flag("truncated", False),
        session=fields.text("session", ""),
        ring=fields.integer("ring", -1),
        ticket=fields.wide("ticket", "0") if fields.has("ticket") else -1,
        trace_id=fields.text("trace_id", ""),
        span_id=fields.hexadecimal("span_id", "0"),
        parent_span_id=fields.hexadecimal("parent_span_id", "0"),
        span=fields.flag("span", False),
        status=fields.text("status", ""),
        status_message=fields.text("status_message", ""),
        links=fields.each("links", _link, []),
    )


def _attributes(fields: Fields) -> dict[str, AttributeValue]:
    texts = fields.part("attributes")
    types = fields.part("attribute_types", {})
    found: dict[str, AttributeValue] = {name: texts.text(name) for name in texts.names()}
    for name in types.names():
        read = _READ_AS.get(types.text(name))
        if read is None or name not in found:
            raise ValueError(f"attribute_types says what {name!r} is, but nothing is that")
        found[name] = read(texts.text(name))
    return found


def _read_flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"an attribute of type bool is true or false, not {text[:40]!r}")
    return text == "true"


_READ_AS: Mapping[str, Callable[[str], AttributeValue]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": _read_flag,
}


def _link(fields: Fields) -> SpanLink:
    trace_id = fields.text("trace_id")
    if trace_id and not is_trace_id(trace_id):
        raise ValueError(f"a trace id is 32 hexadecimal digits, not {trace_id[:40]!r}")
    return SpanLink(trace_id, fields.hexadecimal("span_id"), _attributes(fields))


def _option(fields: Fields) -> Option:
    scores = fields.part("scores", {})
    return Option(
        name=fields.text("name"),
        scores={name: scores.number(name) for name in scores.names()},
        chosen=fields.flag("chosen", False),
        reason=fields.text("reason", ""),
    )
