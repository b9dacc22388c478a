"""Which events are asked for: filters that must all hold, and the one predicate that decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from whence.model.condition import parse_condition
from whence.model.errors import BadCondition
from whence.model.event import TraceEvent
from whence.model.ids import ModelID
from whence.model.names import spellings
from whence.model.severity import Severity
from whence.model.span import is_trace_id
from whence.model.time import Timestamp

__all__ = ["TraceQuery", "is_error"]


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """Filters on events; those left at None are not applied, all others must hold together.

    `start` and `end` both belong to the interval. `min_severity` is the least severity wanted.
    Texts are compared exactly, but a type goes by all of its spellings; `model_id=""` asks for
    events that concern no model. Of several types, components or trace ids, given as a tuple or
    list, any will do. `model_id` also takes a ModelID.
    `session` is a session's name. `has_errors` asks for events with a severity of Error or more or
    the status "error", or, if False, for all others. `text` is looked for in the rationale, upper
    and lower case told apart. `where` is a condition such as "admitted = false and wcrt_ns > 5ms":
    events of which it cannot be told do not match. `from_wall_ns` belongs to the interval of wall
    time, `until_wall_ns` does not; nothing without a known wall time lies in one.
    Raises TypeError for a filter of another type, ValueError for an empty list or what is no trace
    id or lineage id, BadCondition. Immutable and hashable. `is_basic` says that none of the filters
    behind `request_id` is given. `spelled_types` are the types asked for under all of their
    spellings, as `whence.model.names` has them: an event of any is wanted; None for all types.
    """

    start: Timestamp | None = None
    end: Timestamp | None = None
    event_type: str | Sequence[str] | None = None
    model_id: str | ModelID | None = None
    component: str | Sequence[str] | None = None
    min_severity: Severity | None = None
    request_id: str | None = None
    decision_chain_id: str | None = None
    trace_id: str | Sequence[str] | None = None
    session: str | None = None
    status: str | None = None
    has_errors: bool | None = None
    text: str | None = None
    where: str | None = None
    from_wall_ns: int | None = None
    until_wall_ns: int | None = None
    lineage_id: int | None = None
    is_basic: bool = field(init=False, repr=False, compare=False)
    spelled_types: tuple[str, ...] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.model_id, ModelID):
            object.__setattr__(self, "model_id", self.model_id.value)
        for name in ("event_type", "component", "trace_id"):
            if isinstance(texts := getattr(self, name), list | tuple):
                if not all(isinstance(text, str) for text in texts):
                    raise TypeError(f"{name} must be str or several of them")
                if not texts:
                    raise ValueError(f"{name}: name at least one, or leave it out for all")
                object.__setattr__(self, name, tuple(texts))
        for name, wanted in _WANTED.items():
            value = getattr(self, name)
            if value is not None and not _is_of(value, wanted):
                raise TypeError(f"{name} must be {_in_words(wanted)}, not {type(value).__name__}")
        for text in self.trace_ids or ():
            if not is_trace_id(text):
                raise ValueError(f"trace_id is 32 hexadecimal digits, not all 0, not {text!r}")
        if self.lineage_id is not None and not 0 < self.lineage_id < 2**64:
            raise ValueError(f"lineage_id is from 1 to 2^64 - 1, not {self.lineage_id}")
        if self.where is not None:
            _check_condition(self.where)
        basic = all(getattr(self, name) is None for name in _FURTHER)
        object.__setattr__(self, "is_basic", basic)
        types = self.event_types
        if types is not None:
            types = tuple(dict.fromkeys(each for name in types for each in spellings(name)))
        object.__setattr__(self, "spelled_types", types)

    def matches(self, event: TraceEvent, wall_ns: int | None = None) -> bool:
        """Whether the event, which happened at that wall time, passes every filter."""
        return (
            (self.start is None or self.start <= event.timestamp)
            and (self.end is None or event.timestamp <= self.end)
            and (self.spelled_types is None or event.event_type in self.spelled_types)
            and (self.model_id is None or self.model_id == event.model_id)
            and _is_wanted(event.component, self.component)
            and (self.min_severity is None or self.min_severity <= event.severity)
            and (self.request_id is None or self.request_id == event.request_id)
            and (self.is_basic or self._matches_more(event, wall_ns))
        )

    def _matches_more(self, event: TraceEvent, wall_ns: int | None) -> bool:
        return (
            self._is_in_time(wall_ns)
            and (self.decision_chain_id in (None, event.decision_chain_id))
            and _is_wanted(event.trace_id, self.trace_id)
            and (self.lineage_id in (None, event.lineage_id))
            and (self.session in (None, event.session))
            and (self.status in (None, event.status))
            and (self.has_errors is None or self.has_errors == is_error(event))
            and (self.text is None or self.text in event.rationale)
            and (self.where is None or parse_condition(self.where).holds(event) is True)
        )

    def _is_in_time(self, wall_ns: int | None) -> bool:
        if not self.asks_wall_time:
            return True
        return (
            wall_ns is not None
            and (self.from_wall_ns is None or self.from_wall_ns <= wall_ns)
            and (self.until_wall_ns is None or wall_ns < self.until_wall_ns)
        )

    @property
    def asks_wall_time(self) -> bool:
        """Whether wall time is one of the filters."""
        return self.from_wall_ns is not None or self.until_wall_ns is not None

    @property
    def event_types(self) -> tuple[str, ...] | None:
        """The types of which any will do; None for all."""
        return _as_tuple(self.event_type)

    @property
    def components(self) -> tuple[str, ...] | None:
        """The components of which any will do; None for all."""
        return _as_tuple(self.component)

    @property
    def trace_ids(self) -> tuple[str, ...] | None:
        """The traces of which any will do; None for all."""
        return _as_tuple(self.trace_id)


def _is_wanted(text: str, wanted: str | Sequence[str] | None) -> bool:
    if wanted is None or isinstance(wanted, str):
        return wanted is None or text == wanted
    return text in wanted


def _as_tuple(wanted: str | Sequence[str] | None) -> tuple[str, ...] | None:
    return (wanted,) if isinstance(wanted, str) else None if wanted is None else tuple(wanted)


def is_error(event: TraceEvent) -> bool:
    """Whether the event counts as an error: its severity is Error or more, or its status error."""
    return event.severity >= Severity.Error or event.status == "error"


def _check_condition(text: str) -> None:
    if parse_condition(text).types:
        raise BadCondition(
            f"{text!r}: 'has' and 'no' look at whole chains; events are asked for by their fields"
        )


_WANTED: dict[str, type | tuple[type, ...]] = {
    "start": Timestamp,
    "end": Timestamp,
    "event_type": (str, tuple),
    "model_id": str,
    "component": (str, tuple),
    "min_severity": Severity,
    "request_id": str,
    "decision_chain_id": str,
    "trace_id": (str, tuple),
    "session": str,
    "status": str,
    "has_errors": bool,
    "text": str,
    "where": str,
    "from_wall_ns": int,
    "until_wall_ns": int,
    "lineage_id": int,
}
_FURTHER = tuple(_WANTED)[7:]


def _is_of(value: object, wanted: type | tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return wanted is bool
    return isinstance(value, wanted)


def _in_words(wanted: type | tuple[type, ...]) -> str:
    if wanted is str or isinstance(wanted, tuple):
        return "str"
    return wanted.__name__ if wanted in (bool, int) else f"a whence.{wanted.__name__}"
