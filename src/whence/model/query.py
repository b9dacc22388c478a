"""Which events are asked for: filters that must all hold, and the one predicate that decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from whence.model.event import TraceEvent
from whence.model.ids import ModelID
from whence.model.severity import Severity
from whence.model.time import Timestamp

__all__ = ["TraceQuery"]


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """Filters on events; those left at None are not applied, all others must hold together.

    `start` and `end` both belong to the interval. `min_severity` is the least severity wanted.
    Texts are compared exactly: `model_id=""` asks for events that concern no model. Of several
    types or components, given as a tuple or list, any will do. `model_id` also takes a ModelID.
    Raises TypeError for a filter of another type, ValueError for an empty list. Immutable and
    hashable.
    """

    start: Timestamp | None = None
    end: Timestamp | None = None
    event_type: str | Sequence[str] | None = None
    model_id: str | ModelID | None = None
    component: str | Sequence[str] | None = None
    min_severity: Severity | None = None
    request_id: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.model_id, ModelID):
            object.__setattr__(self, "model_id", self.model_id.value)
        for name in ("event_type", "component"):
            if isinstance(texts := getattr(self, name), list | tuple):
                if not all(isinstance(text, str) for text in texts):
                    raise TypeError(f"{name} must be str or several of them")
                if not texts:
                    raise ValueError(f"{name}: name at least one, or leave it out for all")
                object.__setattr__(self, name, tuple(texts))
        for name, wanted in _WANTED.items():
            value = getattr(self, name)
            if value is not None and not isinstance(value, wanted):
                raise TypeError(f"{name} must be {_in_words(wanted)}, not {type(value).__name__}")

    def matches(self, event: TraceEvent) -> bool:
        """Whether the event passes every filter."""
        return (
            (self.start is None or self.start <= event.timestamp)
            and (self.end is None or event.timestamp <= self.end)
            and _is_wanted(event.event_type, self.event_type)
            and (self.model_id is None or self.model_id == event.model_id)
            and _is_wanted(event.component, self.component)
            and (self.min_severity is None or self.min_severity <= event.severity)
            and (self.request_id is None or self.request_id == event.request_id)
        )

    @property
    def event_types(self) -> tuple[str, ...] | None:
        """The types of which any will do; None for all."""
        return _as_tuple(self.event_type)

    @property
    def components(self) -> tuple[str, ...] | None:
        """The components of which any will do; None for all."""
        return _as_tuple(self.component)


def _is_wanted(text: str, wanted: str | Sequence[str] | None) -> bool:
    if wanted is None or isinstance(wanted, str):
        return wanted is None or text == wanted
    return text in wanted


def _as_tuple(wanted: str | Sequence[str] | None) -> tuple[str, ...] | None:
    return (wanted,) if isinstance(wanted, str) else None if wanted is None else tuple(wanted)


_WANTED: dict[str, type | tuple[type, ...]] = {
    "start": Timestamp,
    "end": Timestamp,
    "event_type": (str, tuple),
    "model_id": str,
    "component": (str, tuple),
    "min_severity": Severity,
    "request_id": str,
}


def _in_words(wanted: type | tuple[type, ...]) -> str:
    if wanted is str or isinstance(wanted, tuple):
        return "str"
    return f"a whence.{wanted.__name__}"
