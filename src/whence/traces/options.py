"""What a trace service may be told when it is made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from whence.model.trace import EventLevel
from whence.watch.metrics.configuration import MetricsConfiguration

__all__ = ["EventConfiguration", "MetricsConfiguration", "TraceOptions"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EventConfiguration:
    """What is recorded of events, and how much of a trace is read at once.

    `min_level`: what is below is not recorded. `component` is that of events which name none.
    `max_data_bytes` bounds each value of their data. `buffer_size` is how many events the ring
    holds; half of it may wait to be stored. `max_events` is the most that get_trace_by_id() reads.
    Raises ValueError for what makes no sense.
    """

    min_level: EventLevel = EventLevel.DEBUG
    component: str = "application"
    max_data_bytes: int = 16 << 10
    buffer_size: int = 10_000
    max_events: int = 100_000

    def __post_init__(self) -> None:
        object.__setattr__(self, "min_level", EventLevel(self.min_level))
        if not self.component:
            raise ValueError("component: events are of some component")
        for name in ("max_data_bytes", "buffer_size", "max_events"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is a whole number of at least 1, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceOptions:
    """All options of a trace service; docs/traces.md says what each means."""

    enable_real_time_monitoring: bool = True
    enable_metrics_collection: bool = True
    enable_event_aggregation: bool = False
    retention_period_days: float | None = None
    metrics_config: MetricsConfiguration = field(default_factory=MetricsConfiguration)
    event_config: EventConfiguration = field(default_factory=EventConfiguration)
    trace_timeout_s: float | None = 86_400.0
    export_folder: str | os.PathLike[str] | None = None
    wait_s: float = 30.0

    @staticmethod
    def of(options: Mapping[str, Any]) -> TraceOptions:
        """The options by their names; configurations may be mappings.

        Raises TypeError for an option that there is not, ValueError for a value out of range.
        """
        known = {each.name for each in fields(TraceOptions)}
        if unknown := sorted(options.keys() - known):
            raise TypeError(f"{unknown[0]!r} is no option; {', '.join(sorted(known))} are")
        given = {name: value for name, value in options.items() if value is not None}
        if "trace_timeout_s" in options:
            given["trace_timeout_s"] = options["trace_timeout_s"]
        for name, kind in (
            ("metrics_config", MetricsConfiguration),
            ("event_config", EventConfiguration),
        ):
            if name in given:
                given[name] = _configuration(kind, given[name])
        made = TraceOptions(**given)
        for name in ("retention_period_days", "trace_timeout_s", "wait_s"):
            value = getattr(made, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is more than 0, not {value!r}")
        return made


def _configuration(kind: type[T], given: object) -> T:
    if isinstance(given, kind):
        return given
    if not isinstance(given, Mapping):
        raise TypeError(f"a {kind.__name__} or a mapping is wanted, not {type(given).__name__}")
    return kind(**given)
