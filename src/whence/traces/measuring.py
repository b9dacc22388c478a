"""Metrics of a trace service: collected while it is there, kept as events, asked for by time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from whence.query.engines.engine import Engine
from whence.traces.rooms import Room
from whence.traces.stirring import Mark, Stirring
from whence.watch.metrics.application import ApplicationMetrics, ApplicationReading
from whence.watch.metrics.asked import Metrics, get_metrics
from whence.watch.metrics.collecting import Collected, MetricsCollection
from whence.watch.metrics.configuration import MetricsConfiguration
from whence.watch.metrics.history import MetricHistory
from whence.watch.metrics.instruments import Reading
from whence.watch.metrics.system import SystemMetrics

__all__ = ["MetricsAnswer", "collection_of", "metrics_of"]

AGAIN_NS = 3_600_000_000_000
_NONE = ApplicationReading(
    since_ns=0, until_ns=0, request_count=0.0, active_traces=0.0, events_per_second=0.0
)


@dataclass(frozen=True, slots=True)
class MetricsAnswer:
    """What was collected in some time, and the newest readings of this service, by sort."""

    history: Metrics
    latest: Collected


class _Application:
    """The figures of what a room holds, with an engine of the room's, where there is a question.

    In a store that gains nothing there was nothing in the window once there was nothing in it: only
    what may be active is then asked for again, every hour.
    """

    def __init__(
        self, room: Room, stirring: Stirring, window_s: float, clock: Callable[[], int]
    ) -> None:
        self._room = room
        self._stirring = stirring
        self._window_s = window_s
        self._clock = clock
        self._mark: Mark | None = None
        self._reading = ApplicationReading(since_ns=0, until_ns=0)

    def read(self) -> ApplicationReading:
        """The figures up to now, of what is stored by now."""
        mark, now_ns = self._stirring.mark(), self._clock()
        since_ns = now_ns - int(self._window_s * 1e9)
        if mark is not None and mark.rows == 0:
            return replace(_NONE, since_ns=since_ns, until_ns=now_ns)
        before = self._reading
        fresh = 0 <= now_ns - before.until_ns < AGAIN_NS
        if mark is not None and mark == self._mark and fresh and _is_still(before):
            return replace(before, since_ns=since_ns, until_ns=now_ns)
        with self._room.asking() as engine:
            metrics = ApplicationMetrics(engine, self._window_s, wall_clock_ns=self._clock)
            found = metrics.read()
        self._mark, self._reading = mark, found
        return found


def _is_still(reading: ApplicationReading) -> bool:
    """Whether nothing happened in its window, as far as is known."""
    return reading.request_count == reading.events_per_second == 0 and not reading.missing


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
    history = _NoHistory() if folder is None else MetricHistory()
    stirring = Stirring(room, lambda: history.ring)
    return MetricsCollection(
        configuration,
        system=SystemMetrics("." if folder is None else folder),
        application=_Application(room, stirring, configuration.window_s, clock),
        history=history,
        wall_clock_ns=clock,
    )


def metrics_of(engine: Engine, interval_ns: tuple[int, int], types: Sequence[str]) -> Metrics:
    """What was measured in that wall time. Raises ValueError for sorts that there are not."""
    return get_metrics(engine, interval_ns, types)
