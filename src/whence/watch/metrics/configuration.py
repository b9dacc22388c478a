"""MetricsConfiguration: which metrics are collected, how often, and over how long a window."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["METRIC_TYPES", "MetricsConfiguration"]

METRIC_TYPES = ("system", "application", "custom", "own")


@dataclass(frozen=True, slots=True)
class MetricsConfiguration:
    """How metrics are collected; times in milliseconds.

    `collection_interval` is how often all of them are read and kept in the store.
    `aggregation_window` is how far back rates, averages and quantiles look. Without
    `enable_custom_metrics` those that the program registered are neither shown nor kept.
    `metric_types` are the sorts wanted: "system", "application", "custom" and "own". Raises
    ValueError for a time below 1 and for a sort that there is not.
    """

    collection_interval: float = 60_000
    aggregation_window: float = 300_000
    enable_custom_metrics: bool = True
    metric_types: tuple[str, ...] = METRIC_TYPES

    def __post_init__(self) -> None:
        for name in ("collection_interval", "aggregation_window"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 1:
                raise ValueError(f"{name} is at least 1 millisecond, not {value!r}")
        if isinstance(self.metric_types, str):
            raise ValueError(f"metric_types are several of {', '.join(METRIC_TYPES)}, not a text")
        object.__setattr__(self, "metric_types", tuple(self.metric_types))
        for each in self.metric_types:
            if each not in METRIC_TYPES:
                raise ValueError(f"{each!r} is no type of metric; {', '.join(METRIC_TYPES)} are")

    @property
    def interval_s(self) -> float:
        """The collection interval in seconds."""
        return self.collection_interval / 1_000

    @property
    def window_s(self) -> float:
        """The aggregation window in seconds."""
        return self.aggregation_window / 1_000

    def wants(self, metric_type: str) -> bool:
        """Whether metrics of that sort are collected."""
        return metric_type in self.metric_types and (
            metric_type != "custom" or self.enable_custom_metrics
        )
