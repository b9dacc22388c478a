"""A registry of metrics: what instruments count, their bounds, and their OpenMetrics text."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as plain_families

from whence.export.openmetrics import PLAIN_TEXT, render
from whence.watch.metrics.exponential import Figures
from whence.watch.metrics.instruments import Reading
from whence.watch.metrics.registry import Registry


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """At 0."""
    return Clock()


@pytest.fixture
def registry(clock: Clock) -> Registry:
    """With a window of 100 s."""
    return Registry(window_s=100.0, clock=clock, wall_clock=lambda: 1_700_000_000.25)


def samples(registry: Registry) -> dict[str, float]:
    """What a scraper reads out of the OpenMetrics text, by name and labels."""
    found = {}
    for family in text_string_to_metric_families(render(registry.families())):
        for each in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(each.labels.items()))
            found[f"{each.name}{{{labels}}}" if labels else each.name] = each.value
    return found


def test_a_gauge_says_how_it_stands(registry: Registry) -> None:
    """The gauge of the example: help and a value. R4.42"""
    gauge = registry.gauge("workflow_success_rate", "Workflows that succeeded, of 100.")
    gauge.set(95.5)
    assert samples(registry) == {"workflow_success_rate": 95.5}
    gauge.add(-0.5)
    assert registry.read() == [Reading("workflow_success_rate", "gauge", "", (), 95.0)]


def test_a_histogram_counts_up_to_its_edges(registry: Registry) -> None:
    """The histogram of the example, and its figures. R4.42"""
    edges = [100, 500, 1000, 5000, 10000]
    histogram = registry.histogram("average_execution_time", "In ms.", buckets=edges, unit="ms")
    for value in (100, 101, 700, 20_000):
        histogram.observe(value)
    assert samples(registry) == {
        "average_execution_time_bucket{le=100.0}": 1,
        "average_execution_time_bucket{le=500.0}": 2,
        "average_execution_time_bucket{le=1000.0}": 3,
        "average_execution_time_bucket{le=5000.0}": 3,
        "average_execution_time_bucket{le=10000.0}": 3,
        "average_execution_time_bucket{le=+Inf}": 4,
        "average_execution_time_count": 4,
        "average_execution_time_sum": 20_901,
    }
    (reading,) = registry.read()
    assert (reading.unit, reading.value) == ("ms", 20_901 / 4)
    assert reading.figures is not None
    assert reading.figures.p50 == pytest.approx(400.5, rel=0.022)


def test_a_counter_grows_and_has_a_rate(registry: Registry, clock: Clock) -> None:
    """Of the window, by the monotonic clock; it never falls. R4.42"""
    counter = registry.counter("orders_total", "Orders.", labels=["shop"])
    counter.add(30, shop="a")
    clock.now_s = 50
    counter.add(20, shop="a")
    assert samples(registry) == {"orders_total{shop=a}": 50}
    (reading,) = registry.read()
    assert (reading.value, reading.rate) == (50, 1.0)
    clock.now_s = 120
    (reading,) = registry.read()
    assert (reading.value, reading.rate) == (50, 20 / 90)
    clock.now_s = 1_000
    assert registry.read()[0].rate == 0
    with pytest.raises(ValueError, match="grows"):
        counter.add(-1, shop="a")


def test_a_summary_tells_quantiles_of_its_window(registry: Registry, clock: Clock) -> None:
    """Old values leave the quantiles, not the count and the sum. R4.42"""
    summary = registry.summary("latency_ms", "Latency.", quantiles=[0.5])
    for value in (10, 20, 30):
        summary.observe(value)
    found = samples(registry)
    assert found["latency_ms{quantile=0.5}"] == pytest.approx(20, rel=0.006)
    clock.now_s = 1_000
    assert registry.read()[0].figures == Figures(0, 0.0)
    assert registry.read()[0].value is None
    found = samples(registry)
    assert math.isnan(found["latency_ms{quantile=0.5}"])
    assert (found["latency_ms_count"], found["latency_ms_sum"]) == (3, 60)


def test_a_histogram_without_edges_is_exponential(registry: Registry) -> None:
    """Its text has an edge at each power of 2; the window tells quantiles of any size."""
    histogram = registry.histogram("sizes", "Bytes.")
    for value in (0, 1, 1.5, 2, 3, 1e9, math.nan):
        histogram.observe(value)
    found = samples(registry)
    assert [found[f"sizes_bucket{{le={edge}}}"] for edge in (0.0, 1.0, 2.0, 4.0, "+Inf")] == [
        1,
        2,
        4,
        5,
        6,
    ]
    assert histogram.refused == 1
    assert histogram.exponential().count == 6


def test_a_measurement_is_an_example_of_its_bucket(registry: Registry) -> None:
    """The trace that it belongs to, in OpenMetrics text alone. R5.18"""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    for name, edges in (("edged", [1, 10]), ("free", None)):
        histogram = registry.histogram(name, "h", buckets=edges)
        histogram.observe(7, trace_id=trace)
        histogram.observe(70, trace_id=trace)
        histogram.observe(0.5)
    families = text_string_to_metric_families(render(registry.families()))
    found = {
        (s.name, s.labels["le"]): s.exemplar
        for family in families
        for s in family.samples
        if s.exemplar
    }
    assert set(found) == {
        ("edged_bucket", "10.0"),
        ("edged_bucket", "+Inf"),
        ("free_bucket", "8.0"),
        ("free_bucket", "128.0"),
    }
    example = found["edged_bucket", "10.0"]
    assert (example.labels, example.value, float(example.timestamp)) == (
        {"trace_id": trace}, 7, 1_700_000_000.25,
    )  # fmt: skip
    assert "trace_id" not in render(registry.families(), PLAIN_TEXT)


def test_no_metric_grows_beyond_its_bound(clock: Clock) -> None:
    """The 2,001st set of labels falls into one series, and is counted. R4.42"""
    registry = Registry(clock=clock)
    counter = registry.counter("calls", labels=["user"])
    for number in range(2_500):
        counter.add(user=f"user-{number}")
    counter.add(user="user-7")
    found = samples(registry)
    assert counter.series == 2_001
    assert found["calls_total{otel_metric_overflow=true}"] == 500
    assert found["calls_total{user=user-7}"] == 2
    assert found["whence_metric_overflow_total{metric=calls}"] == counter.overflowed == 500
    counter.remove(user="user-7")
    counter.add(user="another")
    assert counter.overflowed == 500


def test_a_name_means_one_metric(registry: Registry) -> None:
    """The same one when asked again; another one under its name is refused."""
    counter = registry.counter("calls", labels=["user"])
    assert registry.counter("calls", labels=["user"]) is counter
    registry.histogram("sizes", buckets=[1, 2])
    for wrong in (
        lambda: registry.gauge("calls"),
        lambda: registry.counter("calls", labels=["tenant"]),
        lambda: registry.histogram("sizes", buckets=[1, 3]),
        lambda: registry.gauge("no good"),
        lambda: registry.gauge("a", labels=["__name__"]),
        lambda: registry.histogram("b", labels=["le"]),
        lambda: registry.histogram("c", buckets=[2, 1]),
        lambda: registry.summary("d", quantiles=[2]),
        lambda: counter.add(tenant="x"),
    ):
        with pytest.raises(ValueError, match=r"."):
            wrong()
    registry.remove("calls")
    assert registry.names == ("sizes",)
    few = Registry(most_metrics=1)
    few.gauge("one")
    with pytest.raises(ValueError, match="remove one first"):
        few.gauge("two")


values = st.floats(-1e6, 1e6) | st.sampled_from([0.0, 0.25, 1.0, 2.0, -4.0])


@given(
    st.lists(st.tuples(st.text(max_size=5), values), max_size=30),
    st.sampled_from([None, [0.5], [-2, 0, 2, 1e5]]),
)
def test_whatever_is_measured_is_openmetrics(
    measured: list[tuple[str, float]], edges: list[float] | None
) -> None:
    """A strict parser reads all of it, labels of any text included. R4.42 R5.18"""
    registry = Registry(most_series=5)
    histogram = registry.histogram("h", 'a "help"\n\\', buckets=edges, labels=["l"])
    for label, value in measured:
        registry.counter("c_seconds", unit="seconds", labels=["l"]).add(abs(value), l=label)
        registry.gauge("g", labels=["l"]).set(value, l=label)
        registry.summary("s", labels=["l"]).observe(value, l=label)
        histogram.observe(value, l=label)
    text = render(registry.families())
    found = list(text_string_to_metric_families(text))
    assert len(found) >= (4 if measured else 0)
    assert list(plain_families(render(registry.families(), PLAIN_TEXT))) != [] or not measured
