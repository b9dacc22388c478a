"""Our own figures as metric families: events, losses, rings, sinks, and OpenTelemetry's names."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping

from whence.collect.counters import RingCounters, SessionCounters
from whence.collect.follower import Ended, Source, Step
from whence.collect.live import LiveSessions, Reading
from whence.collect.sink_ledger import SinkLedger
from whence.export.openmetrics import Family, Labels, Sample, labels_of, visible
from whence.model.recording import REMOVED_RINGS
from whence.query.activity import Activity, activity_of

__all__ = ["DrainTimes", "OwnMetrics", "TimedSource"]

MOST_SERIES = 2_000  # of one family; the rest is one series, as OpenTelemetry has it
_OVERFLOW: Labels = (("otel_metric_overflow", "true"),)
_OUTCOMES = ("sampled_out", "throttled", "below_minimum", "rejected", "nested")


class DrainTimes:
    """How often a collector drained and how long that took in all. One thread adds."""

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self.text_lost = 0  # events read whose text newer text had overwritten

    def add(self, seconds: float) -> None:
        """One more drain."""
        self.count += 1
        self.seconds += seconds


class TimedSource:
    """A source of a collector's events that notes what each drain takes."""

    def __init__(self, source: Source, drains: DrainTimes) -> None:
        self._source = source
        self._drains = drains

    def step(self, most_events: int, *, spare_dead: bool = False) -> Step:
        """Drains, and notes how long that took."""
        began = time.perf_counter()
        try:
            return self._source.step(most_events, spare_dead=spare_dead)
        finally:
            self._drains.add(time.perf_counter() - began)
            self._drains.text_lost = getattr(self._source, "text_lost", 0)

    def pressure(self) -> float:
        """As the source has it."""
        return self._source.pressure()

    def take_ended(self) -> list[Ended]:
        """As the source has it."""
        return self._source.take_ended()

    def take_removed(self) -> list[str]:
        """As the source has it."""
        return self._source.take_removed()


class OwnMetrics:
    """Makes the families of one moment. One thread at a time.

    Counters never fall while this object lives: what a removed session or ring had counted stays in
    the sums. No family grows beyond `most_series` series: what comes later is summed up in one that
    is labelled otel_metric_overflow="true".
    """

    def __init__(
        self,
        sessions: LiveSessions,
        ledgers: Callable[[], Mapping[str, SinkLedger]] = dict,
        drains: DrainTimes | None = None,
        *,
        most_series: int = MOST_SERIES,
    ) -> None:
        self._sessions = sessions
        self._ledgers = ledgers
        self._drains = drains
        self._most_series = most_series
        self._admitted: defaultdict[str, set[Labels]] = defaultdict(set)
        self._gone: defaultdict[str, Counter[Labels]] = defaultdict(Counter)
        self._told: defaultdict[str, Counter[Labels]] = defaultdict(Counter)
        self._last: dict[tuple[str, int], dict[str, Counter[Labels]]] = {}  # by session and ring

    def families(self) -> list[Family]:
        """All families, as of now."""
        began = time.perf_counter()
        reading = self._sessions.read()
        found = activity_of(reading)
        families = [
            *self._session_counters(reading),
            *_process_gauges(reading, found),
            *_sink_families(self._ledgers()),
            *self._otel_families(reading),
        ]
        if self._drains is not None:
            families += _drain_families(self._drains)
        seconds = Sample((), time.perf_counter() - began)
        help = "What reading these figures took."
        families.append(Family("whence_scrape_seconds", "gauge", help, (seconds,), "seconds"))
        return [self._capped(family) for family in families]

    def _session_counters(self, reading: Reading) -> Iterator[Family]:
        """Counters that are summed over sessions, and keep what sessions that went had counted."""
        now = {
            (each.info.uuid, ring.ring): _counters_of(each.info.service, ring)
            for each in reading.sessions
            for ring in each.rings
        }
        tickets = reading.collected.tickets if reading.collected else {}
        for each in reading.sessions:
            if each.removed_events:
                now[each.info.uuid, REMOVED_RINGS] = _removed_counters(each, tickets)
        for gone in self._last.keys() - now.keys():
            for name, counter in self._last[gone].items():
                if name != _LOST or (gone[0], REMOVED_RINGS) not in now:
                    self._gone[name] += counter  # else the removed rings' count has it
        self._last = now
        for name, help in _COUNTER_HELP.items():
            total: Counter[Labels] = Counter(self._gone[name])
            for counters in now.values():
                total += counters[name]
            total |= self._told[name]
            self._told[name] = total
            yield Family(name, "counter", help, _samples(total))

    def _otel_families(self, reading: Reading) -> Iterator[Family]:
        """The same under the names of OpenTelemetry's conventions for SDKs (in development)."""
        spans = {
            (visible(kind.name), visible(kind.component))
            for each in reading.sessions
            for kind in each.kinds
            if kind.span
        }
        logs = ended = 0
        for counters in [*self._last.values(), self._gone]:
            for labels, count in counters["whence_events_recorded"].items():
                named = dict(labels)
                if (named["event_type"], named["component"]) in spans:
                    ended += count
                else:
                    logs += count
        live = sum(_open_spans(each) for each in reading.sessions)
        yield _one("otel_sdk_log_created", "counter", "Log records created.", logs)
        yield _one("otel_sdk_span_started", "counter", "Spans started.", ended + live)
        yield _one("otel_sdk_span_live", "gauge", "Spans that have not ended.", live)
        exported, inflight = [], []
        for name, ledger in sorted(self._ledgers().items()):
            component = {"otel_component_name": name, "otel_component_type": _type_of(name)}
            exported += [
                Sample(labels_of(**component, error_type=error), count)
                for error, count in (
                    ("", ledger.delivered),
                    ("rejected", ledger.refused),
                    ("timeout", ledger.expired),
                )
            ]
            inflight.append(Sample(labels_of(**component), ledger.queued))
        help = "Log records for which the export has finished."
        yield Family("otel_sdk_exporter_log_exported", "counter", help, tuple(exported))
        help = "Log records passed to the exporter that it has not finished."
        yield Family("otel_sdk_exporter_log_inflight", "gauge", help, tuple(inflight))

    def _capped(self, family: Family) -> Family:
        admitted = self._admitted[family.name]
        kept, beyond = [], 0
        for sample in family.samples:
            if sample.labels in admitted or len(admitted) < self._most_series:
                admitted.add(sample.labels)
                kept.append(sample)
            else:
                beyond += sample.value  # type: ignore[assignment]
        if len(kept) == len(family.samples):
            return family
        samples = (*kept, Sample(_OVERFLOW, beyond))
        return Family(family.name, family.type, family.help, samples, family.unit)


_LOST = "whence_events_lost"
_COUNTER_HELP = {
    "whence_events_recorded": "Events recorded.",
    "whence_events_unrecorded": "Calls that recorded nothing while their kind was on, by reason.",
    _LOST: "Events that newer ones have overwritten, or that went unread with their ring.",
    "whence_events_truncated": "Events of whose text some was cut or left out.",
}


def _counters_of(service: str, ring: RingCounters) -> dict[str, Counter[Labels]]:
    found: dict[str, Counter[Labels]] = {name: Counter() for name in _COUNTER_HELP}
    found[_LOST][labels_of(service=service)] += ring.lost
    found["whence_events_truncated"][labels_of(service=service)] += ring.truncated
    for kind in ring.per_kind:
        named = labels_of(service=service, event_type=kind.kind, component=kind.component)
        found["whence_events_recorded"][named] += kind.recorded
        for outcome in _OUTCOMES:
            if count := getattr(kind, outcome):
                found["whence_events_unrecorded"][(*named, ("reason", outcome))] += count
    return found


def _removed_counters(
    each: SessionCounters, tickets: Mapping[str, Mapping[int, int]]
) -> dict[str, Counter[Labels]]:
    """What was recorded to rings that were removed, and which no collector had come to, is lost."""
    found: dict[str, Counter[Labels]] = {name: Counter() for name in _COUNTER_HELP}
    there = {ring.ring for ring in each.rings}
    reached = tickets.get(each.info.uuid, {})
    read = sum(ticket for ring, ticket in reached.items() if ring >= 0 and ring not in there)
    labels = labels_of(service=each.info.service)
    found[_LOST][labels] = max(0, each.removed_events - read)
    return found


def _process_gauges(reading: Reading, found: Activity) -> Iterator[Family]:
    states = Counter(each.state.partition(":")[0] for each in found.processes)
    samples = tuple(Sample(labels_of(state=state), n) for state, n in sorted(states.items()))
    yield Family("whence_sessions", "gauge", "Recorded processes by state.", samples)
    rings = Counter(
        labels_of(
            service=each.info.service,
            state="idle" if ring.idle else "shared" if ring.shared else "recording",
        )
        for each in reading.sessions
        for ring in each.rings
    )
    yield Family("whence_rings", "gauge", "Rings by state.", _samples(rings))
    fullest: dict[Labels, float] = {}
    for each in found.processes:
        labels = labels_of(service=each.service)
        fullest[labels] = max(fullest.get(labels, 0.0), each.ring_fill)
    help = "Share of slots that hold events, of the fullest ring."
    yield Family("whence_ring_fill_ratio", "gauge", help, _samples(fullest), "ratio")
    spans: Counter[Labels] = Counter()
    for session in reading.sessions:
        spans[labels_of(service=session.info.service)] += _open_spans(session)
    help = "Spans that have begun and not ended."
    yield Family("whence_open_spans", "gauge", help, _samples(spans))
    if found.behind is not None:
        help = "Recorded events that collectors have not delivered everywhere."
        yield _one("whence_collector_behind_events", "gauge", help, found.behind, "events")
    unnamed = sum(each.info.unnamed_kinds for each in reading.sessions)
    help = "Kinds that a dictionary had no room for: their events have no name."
    yield _one("whence_unnamed_kinds", "gauge", help, unnamed)
    in_memory = sum(each.info.memory_rings for each in reading.sessions)
    help = "Rings that no file could be had for: nobody else can read them."
    yield _one("whence_memory_rings", "gauge", help, in_memory)
    damaged = sum(len(each.damaged) for each in reading.sessions)
    yield _one("whence_damaged_files", "gauge", "Files that cannot be read.", damaged, "files")


def _sink_families(ledgers: Mapping[str, SinkLedger]) -> Iterator[Family]:
    outcomes = ("delivered", "filtered", "refused", "expired")
    named = sorted(ledgers.items())
    yield Family(
        "whence_exporter_events",
        "counter",
        "Events read for a sink, by what became of them.",
        tuple(
            Sample(labels_of(exporter=name, outcome=outcome), getattr(ledger, outcome))
            for name, ledger in named
            for outcome in outcomes
        ),
    )
    for field, kind, help in (
        ("read", "counter", "Events read for a sink."),
        ("lost", "counter", "Events overwritten before they could be read for a sink."),
        ("queued", "gauge", "Events waiting for a sink."),
    ):
        samples = tuple(
            Sample(labels_of(exporter=name), getattr(ledger, field)) for name, ledger in named
        )
        yield Family(f"whence_exporter_{field}", kind, help, samples)


def _drain_families(drains: DrainTimes) -> Iterator[Family]:
    yield _one("whence_drains", "counter", "How often the collector has drained.", drains.count)
    help = "What all drains took."
    yield _one("whence_drain_seconds", "counter", help, drains.seconds, "seconds")
    help = "Events read whose text newer text had overwritten."
    yield _one("whence_drain_text_lost", "counter", help, drains.text_lost)


def _one(name: str, kind: str, help: str, value: int | float, unit: str = "") -> Family:
    return Family(name, kind, help, (Sample((), value),), unit)


def _samples(counts: Mapping[Labels, int | float]) -> tuple[Sample, ...]:
    return tuple(Sample(labels, count) for labels, count in sorted(counts.items()))


def _open_spans(each: SessionCounters) -> int:
    return sum(ring.open_spans for ring in each.rings)


def _type_of(sink: str) -> str:
    return {"otlp": "otlp_grpc_log_exporter", "otlp+http": "otlp_http_log_exporter"}.get(
        sink.partition("://")[0], "whence_" + (sink.partition(":")[0] or "sink")
    )
