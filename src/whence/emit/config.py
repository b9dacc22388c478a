"""TracingConfig: which event types are recorded, how many of each, and how they are exported."""

from __future__ import annotations

import math
import os
import random
import tomllib
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Self

from whence import _native
from whence.emit.kind import declared_kinds
from whence.emit.recorder import MAX_RING_SLOTS
from whence.model.cognitive import COGNITIVE_TYPES, CognitiveEvent, event_name
from whence.model.names import DECISION_TYPES
from whence.model.read_only import ReadOnlyDict

__all__ = ["ExportFormat", "TracingConfig"]

PRESETS = ("disabled", "development", "production")
MOST_STRENGTH = (2 - 2**-23) * 2.0**127  # the largest number of 32 bits


class ExportFormat(StrEnum):
    """What a collector that asks for nothing else exports this process's events as."""

    Json = "json"
    OtlpGrpc = "otlp_grpc"
    Loki = "loki"


@dataclass(frozen=True, kw_only=True)
class TracingConfig:
    """Which events a process records and how it wants them exported. Immutable.

    It governs the types it names, and the four cognitive types always: of those, what it does not
    enable is off. All other kinds stay as they are, which is on. A type is recorded if it is in
    `enabled_events` and its rate in `sample_rates` is above 0; a missing rate is 0. Decisions are
    recorded all or not at all. `min_strengths` holds the least strength per type.

    `ring_buffer_size` is the events that a thread's ring holds (0: the default of start()),
    `export_batch_size` and `export_interval_ms` what a collector takes at once and how often (0:
    its own defaults), `export_format` what it makes of them.

    Raises ValueError for a rate or size out of range, a strength that is NaN, or a sampled
    decision; TypeError for values of another type and for options that there are not.
    """

    enabled_events: Set[str | CognitiveEvent] = frozenset()
    sample_rates: Mapping[str, float] = field(default_factory=dict)
    min_strengths: Mapping[str, float] = field(default_factory=dict)
    ring_buffer_size: int = 0
    export_batch_size: int = 0
    export_interval_ms: int = 0
    export_format: ExportFormat = ExportFormat.Json

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "enabled_events", _names(self.enabled_events))
        put(self, "sample_rates", _numbers("sample_rates", self.sample_rates))
        put(self, "min_strengths", _numbers("min_strengths", self.min_strengths))
        put(self, "export_format", ExportFormat(self.export_format))
        for name, rate in self.sample_rates.items():
            if not 0 <= rate <= 1:
                raise ValueError(f"sample_rates[{name!r}] must be from 0 to 1, not {rate}")
            if name in DECISION_TYPES and 0 < rate < 1:
                raise ValueError(f"{name} is a decision: decisions are recorded all, or off")
        for name, least in self.min_strengths.items():
            if math.isnan(least):
                raise ValueError(f"min_strengths[{name!r}] must be a number, not nan")
            if abs(least) > MOST_STRENGTH:
                raise ValueError(f"min_strengths[{name!r}] must be kept as 32 bits: not {least!r}")
        for name, most in (
            ("ring_buffer_size", MAX_RING_SLOTS),
            ("export_batch_size", 2**31 - 1),
            ("export_interval_ms", 2**31 - 1),
        ):
            _check_size(name, getattr(self, name), most)

    @classmethod
    def disabled(cls) -> Self:
        """Nothing is recorded of the cognitive types; the default."""
        return cls()

    @classmethod
    def development(cls) -> Self:
        """All four cognitive types, every event, exported every five seconds."""
        return cls(
            enabled_events=frozenset(COGNITIVE_TYPES),
            sample_rates=dict.fromkeys(COGNITIVE_TYPES, 1.0),
            ring_buffer_size=10_000,
            export_batch_size=1_000,
            export_interval_ms=5_000,
        )

    @classmethod
    def production(cls) -> Self:
        """Priming and interference of one request in a hundred, exported every half minute."""
        return cls(
            enabled_events=frozenset({"priming", "interference"}),
            sample_rates={"priming": 0.01, "interference": 0.01},
            ring_buffer_size=10_000,
            export_batch_size=5_000,
            export_interval_ms=30_000,
        )

    @classmethod
    def preset(cls, name: str) -> Self:
        """disabled, development or production; ValueError for any other name."""
        if name not in PRESETS:
            raise ValueError(f"no preset {name!r}; there are {', '.join(PRESETS)}")
        made: Self = getattr(cls, name)()
        return made

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any]) -> Self:
        """The fields by name; "preset" says what those have that are left out, else disabled.

        Raises TypeError for an unknown name, and as the constructor does.
        """
        options = dict(options)
        base = cls.preset(options.pop("preset", "disabled"))
        known = [each.name for each in fields(cls)]
        if unknown := sorted(set(options) - set(known)):
            raise TypeError(f"no option {', '.join(unknown)}; there are {', '.join(known)}, preset")
        return replace(base, **options)

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Self:
        """The same from a TOML file. Raises OSError and ValueError, naming the file."""
        with open(path, "rb") as file:
            try:
                return cls.from_mapping(tomllib.load(file))
            except (ValueError, TypeError) as error:
                raise ValueError(f"{os.fspath(path)}: {error}") from None

    @classmethod
    def from_environment(cls) -> Self | None:
        """$WHENCE_CONFIG: a preset's name, or the path of a TOML file; None if it is not set."""
        given = os.environ.get("WHENCE_CONFIG")
        if not given:
            return None
        return cls.preset(given) if given in PRESETS else cls.from_toml(given)

    def is_enabled(self, event_type: str | CognitiveEvent) -> bool:
        """Whether the type is switched on here."""
        return event_name(event_type) in self.enabled_events

    def should_sample(
        self, event_type: str | CognitiveEvent, rng: random.Random | None = None
    ) -> bool:
        """Draws whether one event is kept: always at a rate of 1, never at 0 or without one.

        For programs that sample on their own; recording does not draw, it keeps whole requests.
        """
        rate = self.sample_rates.get(event_name(event_type), 0.0)
        if rate >= 1:
            return True
        return rate > 0 and (rng or random).random() < rate

    def gates(self) -> dict[str, int]:
        """The gate word of every type that this governs, for `whence._native.set_rule`."""
        enabled = _names(self.enabled_events)
        named = {*COGNITIVE_TYPES, *enabled, *self.sample_rates, *self.min_strengths}
        return {name: self._gate(name) for name in sorted(named)}

    def apply(self) -> None:
        """Switches and samples the kinds of this process, declared now or later, at once.

        Sizes and what concerns exports are settled when a session starts: see whence.start().
        Raises ValueError, having changed nothing, where a declared decision would be sampled, and
        if there are more names than a session keeps.
        """
        for kind in declared_kinds():
            if kind.decision and 0 < self._rate(kind.name) < 1:
                raise ValueError(f"{kind.name} is a decision: decisions are recorded all, or off")
        for name, word in self.gates().items():
            if not _native.set_rule(name, word):
                raise ValueError(f"no room for a rule for {name!r}, or its name is too long")

    def _rate(self, name: str) -> float:
        return self.sample_rates.get(name, 0.0) if name in self.enabled_events else 0.0

    def _gate(self, name: str) -> int:
        rate = self._rate(name)
        return _native.gate_word(rate, self.min_strengths.get(name)) if rate else 0


def _names(events: Iterable[str | CognitiveEvent]) -> frozenset[str]:
    if isinstance(events, str):
        raise TypeError("enabled_events is a set of event types, not a str")
    return frozenset(event_name(each) for each in events)


def _numbers(option: str, values: Mapping[str, float]) -> ReadOnlyDict[float]:
    if not isinstance(values, Mapping):
        raise TypeError(f"{option} maps event types to numbers")
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{option}[{name!r}] must be a number, not {type(value).__name__}")
    return ReadOnlyDict({event_name(name): float(value) for name, value in values.items()})


def _check_size(name: str, value: object, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be int, not {type(value).__name__}")
    if not 0 <= value <= most:
        raise ValueError(f"{name} must be from 0 to {most:,}, not {value}")
