"""Cognitive events as flat records, and what they add up to: counts, histograms, windows missed."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from whence.model.cognitive import COGNITIVE_TYPES, InterferenceType, code_name
from whence.model.event import TraceEvent
from whence.query.plain import plain_number

__all__ = ["BUCKETS", "CognitiveSummary", "Histogram", "cognitive_record", "summarise"]

BUCKETS = 10  # of equal width from 0 to 1; what lies outside is counted apart

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "priming": ("priming_type", "strength", "source_node", "target_node"),
    "interference": (
        "interference_type",
        "magnitude",
        "target_episode_id",
        "competing_episode_count",
    ),
    "reconsolidation": (
        "episode_id",
        "window_position",
        "plasticity_factor",
        "modification_count",
    ),
    "false_memory": ("critical_lure_hash", "source_list_size", "reconstruction_confidence"),
}
_IDS = frozenset({"source_node", "target_node", "target_episode_id", "episode_id"})


@dataclass(slots=True)
class Histogram:
    """How values from 0 to 1 are spread, each event counted by its weight.

    `counts` has BUCKETS numbers, the last of which takes 1 as well; `below`, `above` and `nan` are
    what no bucket takes. `recorded` is how many events these are.
    """

    counts: list[float] = field(default_factory=lambda: [0.0] * BUCKETS)
    below: float = 0.0
    above: float = 0.0
    nan: float = 0.0
    recorded: int = 0

    def add(self, value: float, weight: float) -> None:
        """Counts one event."""
        self.recorded += 1
        if math.isnan(value):
            self.nan += weight
        elif value < 0:
            self.below += weight
        elif value > 1:
            self.above += weight
        else:
            self.counts[min(int(value * BUCKETS), BUCKETS - 1)] += weight


@dataclass(slots=True, kw_only=True)
class CognitiveSummary:
    """What cognitive events add up to. Everything but `recorded` is weighted: it stands for what
    was sampled out, too.

    `by_type` is by type, `by_value` by type and name of the enum's value. A fan effect is the
    magnitude of an interference of that type. `windows_hit` and `windows_missed` are
    reconsolidations within and outside of their window, a NaN being a miss.
    """

    recorded: dict[str, int]
    by_type: dict[str, float]
    by_value: dict[str, dict[str, float]]
    strength: Histogram
    magnitude: Histogram
    fan_effect: Histogram
    windows_hit: float
    windows_missed: float
    false_memories: float


def summarise(events: Iterable[TraceEvent]) -> CognitiveSummary:
    """The summary of those events that are of the four cognitive types. One pass."""
    recorded: Counter[str] = Counter()
    by_type: defaultdict[str, float] = defaultdict(float)
    by_value: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    strength, magnitude, fan_effect = Histogram(), Histogram(), Histogram()
    hit = missed = 0.0
    for event in events:
        name, weight, values = event.event_type, event.weight, event.attributes
        if name not in _FIELDS:
            continue
        recorded[name] += 1
        by_type[name] += weight
        kind = values.get(f"{name}_type")
        if isinstance(kind, int):
            by_value[name][code_name(name, f"{name}_type", kind) or str(kind)] += weight
        if name == "priming" and (value := _number(values, "strength")) is not None:
            strength.add(value, weight)
        if name == "interference" and (value := _number(values, "magnitude")) is not None:
            magnitude.add(value, weight)
            if kind == InterferenceType.Fan:
                fan_effect.add(value, weight)
        if name == "reconsolidation" and (value := _number(values, "window_position")) is not None:
            if 0 <= value <= 1:
                hit += weight
            else:
                missed += weight
    return CognitiveSummary(
        recorded={name: recorded[name] for name in COGNITIVE_TYPES},
        by_type={name: by_type[name] for name in COGNITIVE_TYPES},
        by_value={name: dict(values) for name, values in by_value.items()},
        strength=strength,
        magnitude=magnitude,
        fan_effect=fan_effect,
        windows_hit=hit,
        windows_missed=missed,
        false_memories=by_type["false_memory"],
    )


def cognitive_record(event: TraceEvent) -> dict[str, Any]:
    """The event as one flat object, for programs that read cognitive events alone.

    `timestamp_ns` is monotonic, enums are their names in small letters, 64-bit ids decimal text,
    the lure's hash hexadecimal. Content beside the fields comes last, under its own names. Raises
    ValueError for an event of another type.
    """
    if event.event_type not in _FIELDS:
        raise ValueError(f"{event.event_type!r} is no cognitive event")
    found: dict[str, Any] = {
        "timestamp_ns": event.timestamp.value_ns,
        "event_type": event.event_type,
    }
    fields = _FIELDS[event.event_type]
    for name in (*fields, *(other for other in event.attributes if other not in fields)):
        if name in event.attributes:
            value = event.attributes[name]
            code = code_name(event.event_type, name, value)
            found[name] = _plain(name, value) if code is None else code
    return found


def _plain(name: str, value: float | str) -> Any:
    if isinstance(value, int) and name in _IDS:
        return str(value)
    if isinstance(value, int) and name == "critical_lure_hash":
        return f"0x{value:016x}"
    return plain_number(value) if isinstance(value, float) else value


def _number(values: Mapping[str, float | str], name: str) -> float | None:
    value = values.get(name)
    return float(value) if isinstance(value, int | float) else None
