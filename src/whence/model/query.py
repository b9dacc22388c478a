"""Which events are asked for: filters that must all hold, and the one predicate that decides."""

from __future__ import annotations

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
    Texts are compared exactly: `model_id=""` asks for events that concern no model.
    `model_id` also takes a ModelID. Raises TypeError for a filter of another type. Immutable and
    hashable.
    """

    start: Timestamp | None = None
    end: Timestamp | None = None
    event_type: str | None = None
    model_id: str | ModelID | None = None
    component: str | None = None
    min_severity: Severity | None = None
    request_id: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.model_id, ModelID):
            object.__setattr__(self, "model_id", self.model_id.value)
        for name, wanted in _WANTED.items():
            value = getattr(self, name)
            if value is not None and not isinstance(value, wanted):
                raise TypeError(f"{name} must be {_in_words(wanted)}, not {type(value).__name__}")

    def matches(self, event: TraceEvent) -> bool:
        """Whether the event passes every filter."""
        return (
            (self.start is None or self.start <= event.timestamp)
            and (self.end is None or event.timestamp <= self.end)
            and (self.event_type is None or self.event_type == event.event_type)
            and (self.model_id is None or self.model_id == event.model_id)
            and (self.component is None or self.component == event.component)
            and (self.min_severity is None or self.min_severity <= event.severity)
            and (self.request_id is None or self.request_id == event.request_id)
        )


_WANTED: dict[str, type] = {
    "start": Timestamp,
    "end": Timestamp,
    "event_type": str,
    "model_id": str,
    "component": str,
    "min_severity": Severity,
    "request_id": str,
}


def _in_words(wanted: type) -> str:
    return "str" if wanted is str else f"a whence.{wanted.__name__}"
