"""Reads the events of an export quickly; whatever is unusual or wrong is the strict reader's."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from operator import itemgetter
from typing import Any

from whence.model.event import AttributeValue, Option, TraceEvent, checked_event
from whence.model.read_only import ReadOnlyDict
from whence.model.severity import Severity
from whence.model.span import is_trace_id
from whence.model.time import Duration, Timestamp

__all__ = ["quick_event"]


def quick_event(found: object) -> TraceEvent | None:
    """The event that a JSON object describes: a quarter of the strict reader's cost.

    None where anything in it is unusual. It may be right nevertheless: the strict reader finds out,
    and names what is wrong.
    """
    if type(found) is not dict:
        return None
    try:
        base = _base_of(found)
        if tuple(map(type, base)) != _BASE_TYPES:
            return None
        name, kind, component, at_ns, took_ns, model, request, rationale, severity, texts = base
        if not kind or not component:
            return None
        values = _DEFAULTS.copy()
        values[:_HEAD] = (
            name,
            kind,
            component,
            Timestamp(at_ns),
            Duration(took_ns) if took_ns else _AT_ONCE,
            model,
            request,
            rationale,
            _SEVERITIES[severity],
            _attributes(texts, found.get("attribute_types", _NO_TYPES)),
            request,
        )
        for field in found.keys() - _READ_ALREADY:
            at, read = _MORE[field]
            values[at] = read(found[field])
        values[_CHAIN] = _text(found.get("decision_chain_id", "")) or request
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        return None
    return checked_event(values)


def _attributes(texts: Any, types: Any) -> ReadOnlyDict[AttributeValue]:
    for text in texts.values():
        if type(text) is not str:
            raise TypeError
    if types is _NO_TYPES:
        return ReadOnlyDict(texts)
    values: dict[str, AttributeValue] = dict(texts)
    for name, known in types.items():
        values[name] = _READ_AS[known](texts[name])
    return ReadOnlyDict(values)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError
    return value


def _wide(text: Any) -> int:
    if type(text) is not str or not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise TypeError
    return int(text)


def _ring(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise TypeError
    return value


def _weight(value: Any) -> float:
    if type(value) is not float or not 0 < value < math.inf:
        raise TypeError
    return value


def _trace(value: Any) -> str:
    if not is_trace_id(value):
        raise TypeError
    return _text(value)


def _span(text: Any) -> int:
    if not _SPAN_ID.fullmatch(text):
        raise TypeError
    return int(text, 16)


def _status(value: Any) -> str:
    if value not in ("ok", "error"):
        raise TypeError
    return _text(value)


def _options(values: Any) -> tuple[Option, ...]:
    if type(values) is not list:
        raise TypeError
    return tuple(map(_option, values))


def _option(value: Any) -> Option:
    if len(value) != len(_OPTION_NAMES):
        raise KeyError
    name, scores, chosen, reason = _option_of(value)
    for score in scores.values():
        if type(score) is not float:
            raise TypeError
    return Option(_text(name), ReadOnlyDict(scores), _flag(chosen), _text(reason))


_BASE = (
    "event_id",
    "event_type",
    "component",
    "timestamp_ns",
    "duration_ns",
    "model_id",
    "request_id",
    "rationale",
    "severity",
    "attributes",
)
_BASE_TYPES = (str, str, str, int, int, str, str, str, str, dict)
_base_of = itemgetter(*_BASE)
_OPTION_NAMES = ("name", "scores", "chosen", "reason")
_option_of = itemgetter(*_OPTION_NAMES)
_READ_ALREADY = frozenset({*_BASE, "attribute_types", "decision_chain_id", "wall_ns"})
_SPAN_ID = re.compile("[0-9a-f]{16}")
_AT_ONCE = Duration(0)
_NO_TYPES: dict[str, str] = {}
_SEVERITIES: Mapping[str, Severity] = {member.name: member for member in Severity}
_READ_AS: Mapping[str, Callable[[str], AttributeValue]] = {
    "int": int,
    "float": float,
    "bool": {"true": True, "false": False}.__getitem__,
}

_ORDER = [field.name for field in fields(TraceEvent)]
_HEAD = 11  # the base fields, and the decision chain after them
_CHAIN = _ORDER.index("decision_chain_id")
_DEFAULTS: list[object] = [
    "" if field.default is MISSING else field.default for field in fields(TraceEvent)
]
_MORE: Mapping[str, tuple[int, Callable[[Any], Any]]] = {
    name: (_ORDER.index(name), read)
    for name, read in (
        ("options", _options),
        ("caused_by", _text),
        ("lineage_id", _wide),
        ("decision", _flag),
        ("weight", _weight),
        ("text_lost", _flag),
        ("truncated", _flag),
        ("session", _text),
        ("ring", _ring),
        ("ticket", _wide),
        ("trace_id", _trace),
        ("span_id", _span),
        ("parent_span_id", _span),
        ("span", _flag),
        ("status", _status),
        ("status_message", _text),
    )
}
