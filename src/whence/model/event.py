"""One recorded event as a value: typed, complete, immutable."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from operator import attrgetter

from whence.model.errors import IncompleteEvent
from whence.model.ids import ModelID
from whence.model.option import Option
from whence.model.read_only import ReadOnlyDict
from whence.model.severity import Severity
from whence.model.span import SpanLink, is_trace_id
from whence.model.time import Duration, Timestamp

__all__ = ["AttributeValue", "Option", "SpanLink", "TraceEvent", "checked_event"]

AttributeValue = int | float | bool | str

_INSTANT = Duration(0)
_NO_ATTRIBUTES: ReadOnlyDict[AttributeValue] = ReadOnlyDict()


class _ModelName:
    """Tells type checkers that the field takes a ModelID, too, and reads as a str.

    Only its default is used at run time: the slot takes the field's place.
    """

    def __get__(self, event: object, owner: type) -> str:
        return ""

    def __set__(self, event: object, name: str | ModelID) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceEvent:
    """What one component did or decided at one moment.

    Arguments are keywords; construction raises IncompleteEvent for an empty `event_type` or
    `component`, TypeError for a field of the wrong type and ValueError for one out of range.
    `model_id` also takes a ModelID and keeps its text. An option may be given as its name alone or
    as a plain tuple of Option's four members, as to a kind. `decision_chain_id` is the request's id
    unless another one is given. `attributes` keep their types and are read-only, as are scores.
    `duration` of 0 means instantaneous. `weight` is how many events this one stands for when
    others of its kind were sampled out. `text_lost` says that long text was overwritten before
    it was read, `truncated` that it was cut when it was written. `session`, `ring` and `ticket`
    are the place it was read from (-1 and "" for events that were built, not read).
    A `span` is an event that lasted: `timestamp` is its start, `span_id` its own id,
    `parent_span_id` that of the span around it, `status` "ok", "error" or "", `links` what else it
    belongs to. Of any other event `span_id` is the span it happened in, 0 if in none. `trace_id` is
    32 hexadecimal digits, or "" outside of any request and trace.
    Threads may share events freely.
    """

    event_id: str = ""
    event_type: str
    component: str
    timestamp: Timestamp
    duration: Duration = _INSTANT
    model_id: _ModelName = _ModelName()
    request_id: str = ""
    rationale: str = ""
    severity: Severity = Severity.Info
    attributes: Mapping[str, AttributeValue] = _NO_ATTRIBUTES
    decision_chain_id: str = ""
    options: tuple[Option, ...] = ()
    caused_by: str = ""
    lineage_id: int = 0
    decision: bool = False
    weight: float = 1.0
    text_lost: bool = False
    truncated: bool = False
    session: str = ""
    ring: int = -1
    ticket: int = -1
    trace_id: str = ""
    span_id: int = 0
    parent_span_id: int = 0
    span: bool = False
    status: str = ""
    status_message: str = ""
    links: tuple[SpanLink, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.model_id, ModelID):
            _set(self, "model_id", self.model_id.value)
        if not self.decision_chain_id:
            _set(self, "decision_chain_id", self.request_id)
        _check_types(self)
        if self.attributes is not _NO_ATTRIBUTES:
            _set(self, "attributes", _checked_attributes(self.attributes))
        if self.options != ():
            _set(self, "options", tuple(_checked_option(option) for option in self.options))
        _check_ranges(self)

    @property
    def order_key(self) -> tuple[int, str, int, int]:
        """What events are sorted by: time, then session, ring and ticket, so no tie is left."""
        return self.timestamp.value_ns, self.session, self.ring, self.ticket

    @property
    def lacks_rationale(self) -> bool:
        """Whether this is a decision that does not say why; such an event breaks the contract."""
        return self.decision and not self.rationale.strip()


def checked_event(values: Iterable[object]) -> TraceEvent:
    """An event of the values of all fields, in their order, each of its type and range already.

    For readers, which make sure of that by themselves: nothing is looked at again, so it costs a
    third of the constructor. Attributes and scores must be ReadOnlyDicts, the decision chain named.
    """
    event = object.__new__(TraceEvent)
    for put, value in zip(_puts, values, strict=True):
        put(event, value)
    return event


# How each field is set on an event that is frozen to all others.
_puts = tuple(TraceEvent.__dict__[field.name].__set__ for field in fields(TraceEvent))
_set = object.__setattr__
_FIELD_TYPES: dict[str, type] = {
    "event_id": str,
    "event_type": str,
    "component": str,
    "timestamp": Timestamp,
    "duration": Duration,
    "model_id": str,
    "request_id": str,
    "rationale": str,
    "severity": Severity,
    "decision_chain_id": str,
    "options": tuple,
    "caused_by": str,
    "lineage_id": int,
    "decision": bool,
    "text_lost": bool,
    "truncated": bool,
    "session": str,
    "ring": int,
    "ticket": int,
    "trace_id": str,
    "span_id": int,
    "parent_span_id": int,
    "span": bool,
    "status": str,
    "status_message": str,
    "links": tuple,
}
_typed_fields = attrgetter(*_FIELD_TYPES)
_EXACT_TYPES = tuple(_FIELD_TYPES.values())


def _check_types(event: TraceEvent) -> None:
    values = _typed_fields(event)
    if tuple(map(type, values)) == _EXACT_TYPES:
        return
    for (name, wanted), value in zip(_FIELD_TYPES.items(), values, strict=True):
        if not isinstance(value, wanted):
            raise TypeError(f"{name} must be {wanted.__name__}, not {type(value).__name__}")


def _check_ranges(event: TraceEvent) -> None:
    if not event.event_type:
        raise IncompleteEvent("an event needs an event_type, for example 'scheduling_decision'")
    if not event.component:
        raise IncompleteEvent("an event needs a component, for example 'Scheduler'")
    for name in ("lineage_id", "span_id", "parent_span_id"):
        if not 0 <= getattr(event, name) < 2**64:
            raise ValueError(f"{name} {getattr(event, name)} does not fit 64 unsigned bits")
    if event.status not in ("", "ok", "error"):
        raise ValueError(f"status is 'ok', 'error' or empty, not {event.status!r}")
    if event.trace_id and not is_trace_id(event.trace_id):
        raise ValueError(f"trace_id is 32 hexadecimal digits, not all 0, not {event.trace_id!r}")
    if not (event.weight > 0 and math.isfinite(event.weight)):
        raise ValueError(f"weight must be a positive number, not {event.weight!r}")


def _checked_attributes(
    attributes: Mapping[str, AttributeValue],
) -> ReadOnlyDict[AttributeValue]:
    if not isinstance(attributes, Mapping):
        raise TypeError(f"attributes must be a mapping, not {type(attributes).__name__}")
    for name, value in attributes.items():
        if not isinstance(name, str):
            raise TypeError(f"an attribute's name must be str, not {type(name).__name__}")
        if not isinstance(value, int | float | str):
            raise TypeError(
                f"attribute {name!r} must be int, float, bool or str, not {type(value).__name__}"
            )
    return ReadOnlyDict(attributes)


def _checked_option(option: object) -> Option:
    if isinstance(option, str):
        return Option(option)
    if not isinstance(option, tuple) or len(option) != 4:
        raise TypeError(f"options holds whence.Option values, not {type(option).__name__}")
    name, scores, chosen, reason = option
    return Option(name, ReadOnlyDict(scores), chosen, reason)
