"""Collecting metrics: what a configuration wants, at its interval, kept as events of the store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.own_events import OwnEvents
from whence.export.openmetrics import render
from whence.model.nested import whole
from whence.watch.metrics.collecting import MetricsCollection
from whence.watch.metrics.configuration import METRIC_TYPES, MetricsConfiguration
from whence.watch.metrics.history import COMPONENT, METRIC, MetricHistory
from whence.watch.metrics.instruments import Reading

SOON_S = 30.0


class Source:
    """Gives the same figure at every reading, and counts these."""

    def __init__(self, name: str, value: float = 1.0) -> None:
        self.name, self.value, self.reads = name, value, 0

    def read(self) -> Source:
        """Itself."""
        self.reads += 1
        return self

    def readings(self) -> list[Reading]:
        """Its one figure."""
        return [Reading(self.name, "gauge", "%", (), self.value)]


class Broken(Source):
    """Cannot be read."""

    def read(self) -> Source:
        """Raises."""
        raise PermissionError("not yours")


class Time:
    """A clock that moves when it is waited on, for so many rounds."""

    def __init__(self, rounds: int, takes_s: float = 0.0) -> None:
        self.now_s, self.waited, self.rounds, self.takes_s = 100.0, list[float](), rounds, takes_s

    def clock(self) -> float:
        """What it shows; looking takes as long as a round is said to."""
        return self.now_s

    def wait(self, seconds: float) -> bool:
        """Passes that time; True after the last round."""
        self.waited.append(seconds)
        self.now_s += seconds
        return len(self.waited) >= self.rounds


def collection(
    configuration: MetricsConfiguration | None = None, **more: Any
) -> tuple[MetricsCollection, Source, Source]:
    """One over two made-up sources."""
    system, application = Source("cpu_usage", 12.5), Source("request_count", 7)
    made = MetricsCollection(configuration, system=system, application=application, **more)
    return made, system, application


@pytest.mark.parametrize("kind", METRIC_TYPES[:3])
def test_metric_types_say_what_is_collected(kind: str) -> None:
    """Only the sorts that are named are read, and shown. R4.35 R4.30"""
    made, system, application = collection(MetricsConfiguration(metric_types=(kind,)))
    made.registry.gauge("workflow_success_rate").set(95.5)
    assert set(made.collect().readings) == {kind}
    assert (system.reads, application.reads) == (kind == "system", kind == "application")
    names = {family.name for family in made.families()}
    expected = {
        "system": "system_cpu_usage",
        "application": "application_request_count",
        "custom": "workflow_success_rate",
    }
    assert names == {expected[kind]}


def test_custom_metrics_can_be_left_out() -> None:
    """With enable_custom_metrics off they are neither collected nor shown. R4.35"""
    made, _, _ = collection(MetricsConfiguration(enable_custom_metrics=False))
    made.registry.gauge("workflow_success_rate").set(95.5)
    assert set(made.collect().readings) == {"system", "application"}
    assert "workflow_success_rate" not in {family.name for family in made.families()}


def test_the_window_is_how_far_back_custom_metrics_look() -> None:
    """aggregation_window bounds rates and quantiles. R4.35"""
    time = Time(1)
    made, _, _ = collection(MetricsConfiguration(aggregation_window=10_000), clock=time.clock)
    summary = made.registry.summary("latency")
    summary.observe(100)
    time.now_s += 5
    assert made.collect().readings["custom"][0].value == 100
    time.now_s += 6
    assert made.collect().readings["custom"][0].value is None


def test_a_round_is_done_every_interval() -> None:
    """collection_interval is kept by the monotonic clock, without drift. R4.35"""
    time = Time(rounds=4)
    made, system, _ = collection(
        MetricsConfiguration(collection_interval=2_500), clock=time.clock, wait=time.wait
    )
    made.run()
    assert system.reads == made.rounds == 4
    assert time.waited == [2.5] * 4
    assert made.missed == 0


def test_rounds_that_take_too_long_are_left_out_and_counted() -> None:
    """After a slow round the next one comes at its own time. R4.35"""
    time = Time(rounds=3)
    slow = Source("cpu_usage")
    made = MetricsCollection(
        MetricsConfiguration(collection_interval=1_000),
        system=slow,
        clock=time.clock,
        wait=time.wait,
    )
    whole_read = slow.read

    def read() -> Source:
        time.now_s += 2.25
        return whole_read()

    slow.read = read  # type: ignore[method-assign]
    made.run()
    assert time.waited == [0.75] * 3
    assert made.missed == 6


def test_a_source_that_fails_is_named_and_hinders_no_other() -> None:
    """What could not be read is told; there is no thread unless it is started."""
    threads = threading.active_count()
    made = MetricsCollection(system=Broken("cpu_usage"), application=Source("request_count"))
    found = made.collect()
    assert found.trouble == {"system": "PermissionError: not yours"}
    assert [each.name for each in found.readings["application"]] == ["request_count"]
    made.stop()
    assert threading.active_count() == threads


def test_a_thread_collects_until_it_is_stopped() -> None:
    """start() begins with a round at once; it cannot begin twice."""
    collected = threading.Event()
    source = Source("cpu_usage")
    before = source.read

    def read() -> Source:
        collected.set()
        return before()

    source.read = read  # type: ignore[method-assign]
    made = MetricsCollection(system=source).start()
    assert collected.wait(SOON_S)
    with pytest.raises(RuntimeError, match="already"):
        made.start()
    made.stop(SOON_S)
    assert [t.name for t in threading.enumerate() if t.name == "whence-metrics"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"collection_interval": 0},
        {"aggregation_window": -1},
        {"collection_interval": True},
        {"metric_types": ("system", "weather")},
        {"metric_types": "system"},
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    """Times are at least a millisecond, and there are four sorts of metrics. R4.35"""
    with pytest.raises(ValueError, match=r"."):
        MetricsConfiguration(**wrong)


def test_what_is_collected_is_kept_as_events(recorded: Callable[[], OwnEvents]) -> None:
    """Each reading is a `performance_metric` event with its name, value, unit and tags. R4.38"""
    made, _, _ = collection(history=MetricHistory())
    made.registry.counter("orders", unit="orders", labels=["shop"]).add(3, shop="a")
    histogram = made.registry.histogram("average_execution_time", unit="ms")
    histogram.observe(320)
    made.registry.summary("empty")
    made.collect()
    events = [event for event in recorded() if event.component == COMPONENT]  # type: ignore[attr-defined]
    assert {event.event_type for event in events} == {METRIC}
    found = {event.attributes["metric_name"]: whole(event.attributes) for event in events}
    assert set(found) == {"cpu_usage", "request_count", "orders", "average_execution_time"}
    assert found["cpu_usage"] == {
        "metric_name": "cpu_usage",
        "metric_value": 12.5,
        "metric_unit": "%",
        "metric_type": "system",
    }
    assert found["orders"]["tags"] == {"shop": "a"}
    assert found["average_execution_time"]["metric_p95"] == 320
    assert {event.rationale for event in events} >= {
        "cpu_usage: 12.5%",
        "orders (shop=a): 3 orders",
    }


def test_all_of_it_is_openmetrics() -> None:
    """A strict parser reads the text of system, application and custom metrics. R5.18"""
    made, _, _ = collection()
    made.registry.histogram("average_execution_time", "h", buckets=[100, 500]).observe(7)
    made.collect()
    names = {each.name for each in text_string_to_metric_families(render(made.families()))}
    assert names == {"system_cpu_usage", "application_request_count", "average_execution_time"}
    for taken in ("system_cpu_usage", "whence_events", "average_execution_time_count"):
        with pytest.raises(ValueError, match=r"ours|sample"):
            made.registry.gauge(taken)
