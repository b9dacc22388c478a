"""Metrics of a trace service: collected while it is there, kept as events, asked for by time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from whence.query.engines.engine import Engine
from whence.traces.rooms import Room
from whence.watch.metrics.application import ApplicationMetrics, ApplicationReading
from whence.watch.metrics.asked import Metrics, get_metrics
from whence.watch.metrics.collecting import Collected, MetricsCollection
from whence.watch.metrics.configuration import MetricsConfiguration
from whence.watch.metrics.history import MetricHistory
from whence.watch.metrics.instruments import Reading
from whence.watch.metrics.system import SystemMetrics

__all__ = ["MetricsAnswer", "collection_of", "metrics_of"]


@dataclass(frozen=True, slots=True)
class MetricsAnswer:
    """What was collected in some time, and the newest readings of this service, by sort."""

    history: Metrics
    latest: Collected


class _Application:
    """The figures of what a room holds, with an engine of the room's."""

    def __init__(self, room: Room, window_s: float, clock: Callable[[], int]) -> None:
        self._room = room
        self._window_s = window_s
        self._clock = clock

    def read(self) -> ApplicationReading:
        """The figures up to now, of what is stored by now."""
        with self._room.asking() as engine:
            metrics = ApplicationMetrics(engine, self._window_s, wall_clock_ns=self._clock)
            return metrics.read()


class _NoHistory(MetricHistory):
    """Of a room that keeps its own events alone: the newest readings are there, no older ones."""

    def record(self, metric_type: str, readings: Iterable[Reading]) -> int:
        """Records nothing."""
        return 0


def collection_of(
    room: Room, configuration: MetricsConfiguration, clock: Callable[[], int]
) -> MetricsCollection:
    """What collects for a service; its thread is yet to be started."""
    folder = room.folder
    return MetricsCollection(
        configuration,
        system=SystemMetrics("." if folder is None else folder),
        application=_Application(room, configuration.window_s, clock),
        history=_NoHistory() if folder is None else MetricHistory(),
        wall_clock_ns=clock,
    )


def metrics_of(engine: Engine, interval_ns: tuple[int, int], types: Sequence[str]) -> Metrics:
    """What was measured in that wall time. Raises ValueError for sorts that there are not."""
    return get_metrics(engine, interval_ns, types)
