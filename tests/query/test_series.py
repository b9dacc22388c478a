"""Metrics over time are those of the plainest reading of their events."""

from __future__ import annotations

from dataclasses import replace
from math import isclose, isfinite
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.query.build import WALL_NS, event, recording
from tests.query.worlds import SESSIONS, events_in, wall_ns
from whence.model.errors import BudgetExceeded
from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.query.engines.memory import InMemory
from whence.query.engines.shapes import Budget
from whence.query.series import STATISTICS, SeriesQuestion, series

NAMES = ("cpu", "wait", "", "a\"b'c\\")
KEYS = {info.name: info.key for info in SESSIONS}


@st.composite
def metric_events(draw: st.DrawFn) -> tuple[TraceEvent, ...]:
    """Events of which most are measurements."""
    found = []
    for each in draw(events_in()):
        attributes: dict[str, Any] = {"metric_name": draw(st.sampled_from(NAMES))}
        attributes["metric_value"] = draw(st.sampled_from([0, 1, -2, 0.5, 7.25, "3", "no"]))
        attributes["host"] = draw(st.sampled_from(["h1", "h2"]))
        if draw(st.booleans()):
            attributes["metric_unit"] = "ms"
        kind = draw(st.sampled_from(["performance_metric"] * 4 + ["tick"]))
        found.append(replace(each, event_type=kind, attributes=attributes))
    return tuple(found)


def value_of(each: TraceEvent) -> float | None:
    """What was measured, if that is a number."""
    value = each.attributes["metric_value"]
    return None if value == "no" else float(value)


@settings(max_examples=60, deadline=None)
@given(
    metric_events(),
    st.lists(st.sampled_from(NAMES), max_size=2, unique=True).map(tuple),
    st.sampled_from([1, 500_000, 1_000_003]),
    st.sampled_from([(), ("host",), ("session",)]),
)
def test_series_are_those_of_a_plain_reading(
    events: tuple[TraceEvent, ...], metrics: tuple[str, ...], bucket_ns: int, by: tuple[str, ...]
) -> None:
    """R4.8 R4.44 R4.68 Each metric by its name, unit and tags; each figure of each bucket."""
    engine = InMemory(Recording(events, sessions=SESSIONS))
    question = SeriesQuestion(metrics, bucket_ns, by, STATISTICS)
    found = {
        (each.name, each.unit, *each.keys, point.bucket_ns): point
        for each in series(engine, question)
        for point in each.points
    }
    right: dict[Any, list[TraceEvent]] = {}
    ordered = sorted(events, key=lambda e: (wall_ns(e), KEYS[e.session], e.ring, e.ticket))
    for each in ordered:
        name = str(each.attributes["metric_name"])
        if each.event_type == "performance_metric" and name in (metrics or NAMES):
            key = each.session if by == ("session",) else each.attributes["host"]
            at = wall_ns(each) - wall_ns(each) % bucket_ns
            unit = each.attributes.get("metric_unit", "")
            right.setdefault((name, unit, *([key] if by else []), at), []).append(each)
    assert found.keys() == right.keys()
    for key, own in right.items():
        point = found[key]
        assert (point.rows, point.count) == (len(own), sum(each.weight for each in own))
        values = [(v, each.weight) for each in own if (v := value_of(each)) is not None]
        only = [value for value, _ in values]
        assert (point.min, point.max) == ((min(only), max(only)) if only else (None, None))
        assert point.last == (only[-1] if only else None)
        if only:
            total = sum(value * weight for value, weight in values)
            assert isclose(point.sum or 0, total, abs_tol=1e-9)
            average = total / sum(weight for _, weight in values)
            assert isclose(point.avg or 0, average, abs_tol=1e-9)
            assert min(only) <= (point.p50 or 0) <= (point.p95 or 0) <= (point.p99 or 0)
            assert isfinite(point.p99 or 0)


def measured(at_ms: float, value: float, ticket: int) -> TraceEvent:
    """One measurement of the processor."""
    said = {"metric_name": "cpu", "metric_value": value, "metric_unit": "%"}
    return event("performance_metric", at_ms, "", ticket=ticket, attributes=said)


def test_empty_buckets_are_as_they_are_asked_for() -> None:
    """R4.8 R4.10 Left out, or there without figures, or with the last value of the one before."""
    source = recording([measured(0, 10, 0), measured(0.5, 20, 1), measured(3, 40, 2)])
    engine, ms = InMemory(source), 1_000_000
    within = TraceQuery(from_wall_ns=WALL_NS - ms, until_wall_ns=WALL_NS + 5 * ms)

    def lasts(empty: str, query: TraceQuery) -> list[float | None]:
        question = SeriesQuestion(("cpu",), ms, empty=empty)  # type: ignore[arg-type]
        [one] = series(engine, question, query)
        assert (one.name, one.unit, one.keys) == ("cpu", "%", ())
        assert [p.rows for p in one.points if p.avg is None] == [0] * sum(
            p.avg is None for p in one.points
        )
        return [point.last for point in one.points]

    assert lasts("left out", TraceQuery()) == [20, 40]
    assert lasts("none", TraceQuery()) == [20, None, None, 40]
    assert lasts("previous", TraceQuery()) == [20, 20, 20, 40]
    assert lasts("none", within) == [None, 20, None, None, 40, None]
    assert lasts("previous", within) == [None, 20, 20, 20, 40, 40]


def test_more_points_than_allowed_are_refused() -> None:
    """R4.8 Also empty ones: a year of nanoseconds does not fill the memory."""
    engine = InMemory(recording([measured(0, 10, 0), measured(3, 40, 1)]))
    with pytest.raises(BudgetExceeded, match="more than 1 rows"):
        series(engine, SeriesQuestion(bucket_ns=1_000_000), budget=Budget(rows=1))
    for budget in (Budget(rows=100), Budget(None)):
        with pytest.raises(BudgetExceeded):
            series(engine, SeriesQuestion(bucket_ns=1, empty="none"), budget=budget)


@pytest.mark.parametrize(
    "asked", [{"statistics": ("rate",)}, {"empty": "zero"}, {"bucket_ns": 0}, {"group_by": ("",)}]
)
def test_what_is_no_question_about_series_is_refused(asked: dict[str, Any]) -> None:
    """R4.8 Statistics, buckets and groups are checked before anything is read."""
    with pytest.raises(ValueError):  # noqa: PT011
        SeriesQuestion(**asked)
