"""get_metrics(): series of stored metrics, and the application's figures, of a stretch of time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.query.build import WALL_NS
from tests.watch.growing import Program
from tests.watch.traced import MS, SECOND, trace
from whence.model.event import TraceEvent
from whence.model.nested import flat
from whence.query.engines.engine import Engine
from whence.query.engines.folder import FolderEngine
from whence.query.engines.memory_store import MemoryEngine
from whence.store.folder import FolderStore
from whence.store.memory import MemoryStore
from whence.watch.metrics.asked import get_metrics
from whence.watch.metrics.history import COMPONENT, METRIC, Point, Series


def kept(
    program: Program, at_s: int, name: str, value: float, kind: str = "system", **tags: str
) -> TraceEvent:
    """A metric as history keeps it."""
    attributes = {"metric_name": name, "metric_value": value, "metric_unit": "%"}
    if kind:
        attributes["metric_type"] = kind
    if tags:
        attributes["tags"] = tags
    component = COMPONENT if kind else "Profiler"
    return program.event(
        at_s * SECOND, event_type=METRIC, component=component, attributes=flat(attributes)
    )


@pytest.fixture(params=["memory", "folder"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Over a store with some metrics and a trace, of either sort."""
    store = MemoryStore() if request.param == "memory" else FolderStore(tmp_path, write=True)
    program = Program(store)
    events = [
        kept(program, 0, "cpu_usage", 10),
        kept(program, 30, "cpu_usage", 30),
        kept(program, 90, "cpu_usage", 70),
        kept(program, 5, "orders", 3, "custom", shop="a"),
        kept(program, 5, "orders", 4, "custom", shop="b"),
        kept(program, 6, "warmup", 12, ""),
        kept(program, 9_000, "cpu_usage", 99),
        *trace(program, 1, 10 * SECOND, lasts_ns=8 * MS),
    ]
    program.commit(events)
    store.close()
    of_memory = isinstance(store, MemoryStore)
    engine = MemoryEngine(store) if of_memory else FolderEngine(tmp_path)
    yield engine
    engine.close()


RANGE = (WALL_NS, WALL_NS + 120 * SECOND)


def test_series_are_those_that_were_kept(engine: Engine) -> None:
    """By bucket, with averages and percentiles, and the newest value; from either store. R4.8"""
    found = get_metrics(engine, RANGE, ["system"], bucket_ns=60 * SECOND)
    first = WALL_NS - WALL_NS % (60 * SECOND)
    (series,) = found.system
    assert (series.name, series.type, series.unit, series.tags, series.latest) == (
        "cpu_usage", "system", "%", {}, 70.0,
    )  # fmt: skip
    by_minute: dict[int, list[float]] = {}
    for at_s, value in ((0, 10.0), (30, 30.0), (90, 70.0)):
        at_ns = WALL_NS + at_s * SECOND
        by_minute.setdefault(at_ns - at_ns % (60 * SECOND), []).append(value)
    assert [(point.at_ns, point.count, point.value) for point in series.points] == [
        (at, len(values), sum(values) / len(values)) for at, values in sorted(by_minute.items())
    ]
    assert series.points[0].at_ns == first
    assert (found.application, found.custom, found.application_now) == ((), (), None)


def test_metrics_of_programs_are_custom_and_kept_apart_by_tags(engine: Engine) -> None:
    """The standard event that a program records itself is one of them. R4.38 R4.42 R4.8"""
    found = get_metrics(engine, RANGE, ["custom"])
    assert [(series.name, series.tags, series.latest) for series in found.custom] == [
        ("warmup", {}, 12.0),
        ("orders", {"shop": "a"}, 3.0),
        ("orders", {"shop": "b"}, 4.0),
    ]
    only = get_metrics(engine, RANGE, names=["warmup"], bucket_ns=SECOND)
    at_ns = WALL_NS + 6 * SECOND
    point = Point(at_ns - at_ns % SECOND, 1, 12.0, 12.0, 12.0, 12.0)
    assert only.custom == (Series("warmup", "custom", "%", {}, (point,), 12.0),)
    assert only.system == ()


def test_application_figures_are_worked_out_of_events(engine: Engine) -> None:
    """They need nothing that was collected. R4.8 R4.41"""
    now = get_metrics(engine, RANGE, ["application"]).application_now
    assert now is not None
    assert (now.request_count, now.response_time_avg, now.error_rate) == (1, 8.0, 0)


def test_buckets_are_bounded_and_wrong_questions_refused(engine: Engine) -> None:
    """A series has some hundred points, however long the time is. R4.8"""
    assert get_metrics(engine, RANGE).bucket_ns == SECOND
    week = get_metrics(engine, (WALL_NS, WALL_NS + 7 * 86_400 * SECOND))
    assert week.bucket_ns == 3_600 * SECOND
    assert len(week.system[0].points) <= 300
    decade = (WALL_NS, WALL_NS + 3_650 * 86_400 * SECOND)
    assert get_metrics(engine, decade).bucket_ns >= 12 * 86_400 * SECOND
    with pytest.raises(ValueError, match="no time"):
        get_metrics(engine, (5, 5))
    with pytest.raises(ValueError, match="no type of metric"):
        get_metrics(engine, RANGE, ["weather"])
    with pytest.raises(ValueError, match="make buckets longer"):
        get_metrics(engine, RANGE, bucket_ns=1)
