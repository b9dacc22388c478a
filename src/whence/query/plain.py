"""Turns answers and events into what JSON holds: integer times, 64-bit ids as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from whence.model.event import AttributeValue, Option, SpanLink, TraceEvent
from whence.model.plain_parts import plain_number, plain_span_id
from whence.model.recording import GateChange, KindCounts, KindInfo, OpenSpan
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp

__all__ = ["attribute_text", "plain", "plain_event", "plain_number", "plain_span_id"]

_HEX_IDS = frozenset({"span_id", "parent_span_id"})
_WIDE_IDS = frozenset({"key", "lineage_id", "ticket"})  # JavaScript would round them
# Exports and answers name what is the same alike.
_RENAMED: Mapping[type, Mapping[str, str]] = {
    KindCounts: {"kind": "event_type"},
    KindInfo: {"name": "event_type"},
    GateChange: {"kind": "event_type"},
    OpenSpan: {"name": "event_type"},
}
_SAYS_NOTHING: tuple[object, ...] = (None, "", {}, [])


def plain(value: object) -> Any:
    """The value in dicts, lists and scalars; events as exports write them.

    Dataclasses become objects of their fields, times integers of nanoseconds, severities their
    names, numbers that JSON lacks the texts NaN, Infinity and -Infinity. Raises TypeError for
    what is none of these.
    """
    if isinstance(value, TraceEvent):
        return plain_event(value)
    if isinstance(value, Severity):
        return value.name
    if isinstance(value, float):
        return plain_number(value)
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Timestamp):
        return value.value_ns
    if isinstance(value, Duration):
        return value.nanos
    if isinstance(value, Option):
        return _plain_option(value)
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    if isinstance(value, frozenset):
        return [plain(part) for part in sorted(value)]
    if is_dataclass(value) and not isinstance(value, type):
        renamed = _RENAMED.get(type(value), {})
        names = ((field.name, renamed.get(field.name, field.name)) for field in fields(value))
        parts = {shown: getattr(value, name) for name, shown in names}
        return {name: _plain_field(name, part) for name, part in parts.items()}
    raise TypeError(f"{type(value).__name__} has no plain form")


def plain_event(event: TraceEvent) -> dict[str, Any]:
    """The event as our JSON export writes it: the base fields, others only where they say more."""
    found: dict[str, Any] = {
        "event_id": event.event_id,
        "event_type": event.event_type,
        "component": event.component,
        "timestamp_ns": event.timestamp.value_ns,
        "duration_ns": event.duration.nanos,
        "model_id": event.model_id,
        "request_id": event.request_id,
        "rationale": event.rationale,
        "severity": event.severity.name,
        "attributes": {name: attribute_text(value) for name, value in event.attributes.items()},
        "decision_chain_id": event.decision_chain_id,
    }
    more: dict[str, Any] = {
        "attribute_types": _attribute_types(event.attributes),
        "decision": event.decision,
        "options": [_plain_option(option) for option in event.options],
        "caused_by": event.caused_by,
        "lineage_id": str(event.lineage_id) if event.lineage_id else "",
        "weight": None if event.weight == 1 else event.weight,
        "text_lost": event.text_lost,
        "truncated": event.truncated,
        "session": event.session,
        "ring": None if event.ring < 0 else event.ring,
        "ticket": None if event.ticket < 0 else str(event.ticket),
        "trace_id": event.trace_id,
        "span_id": plain_span_id(event.span_id),
        "parent_span_id": plain_span_id(event.parent_span_id),
        "span": event.span,
        "status": event.status,
        "status_message": event.status_message,
        "links": [_plain_link(link) for link in event.links],
    }
    said = {name: value for name, value in more.items() if value not in _SAYS_NOTHING}
    return found | {name: value for name, value in said.items() if value is not False}


def attribute_text(value: AttributeValue) -> str:
    """An attribute as text that reads back exactly, given its type."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(float(value))
    return str(int(value)) if isinstance(value, int) else str(value)


def _attribute_types(attributes: Mapping[str, AttributeValue]) -> dict[str, str]:
    types = {name: _type_name(value) for name, value in attributes.items()}
    return {name: known for name, known in types.items() if known != "str"}


def _plain_link(link: SpanLink) -> dict[str, Any]:
    found: dict[str, Any] = {
        "trace_id": link.trace_id,
        "span_id": f"{link.span_id:016x}",
        "attributes": {name: attribute_text(value) for name, value in link.attributes.items()},
    }
    types = _attribute_types(link.attributes)
    return found | {"attribute_types": types} if types else found


def _type_name(value: AttributeValue) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    return "float" if isinstance(value, float) else "str"


def _plain_option(option: Option) -> dict[str, Any]:
    return {
        "name": option.name,
        "scores": {name: plain(score) for name, score in option.scores.items()},
        "chosen": option.chosen,
        "reason": option.reason,
    }


def _plain_field(name: str, value: object) -> Any:
    if name in _WIDE_IDS and isinstance(value, int):
        return str(value)
    if name in _HEX_IDS and isinstance(value, int):
        return plain_span_id(value)
    return plain(value)
