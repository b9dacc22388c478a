"""Traces and their events as values."""

from __future__ import annotations

from itertools import product

import pytest

from whence.model.errors import IllegalTransition
from whence.model.severity import Severity
from whence.model.trace import (
    Event,
    EventLevel,
    Trace,
    TraceStatus,
    TraceType,
    check_transition,
    trace_with,
)


def event(event_type: str = "step", **more: object) -> Event:
    """An event at time 5."""
    return Event(**{"event_type": event_type, "timestamp_ns": 5} | more)  # type: ignore[arg-type]


def test_a_new_trace_is_active_and_has_no_events() -> None:
    """R4.13 R4.22 R4.65 It has an id of its own, a start and no end."""
    trace = Trace(name="Project workflow", trace_type="workflow_execution", context_id="ctx-123")
    assert (trace.status, trace.events) == (TraceStatus.ACTIVE, ())
    assert trace.trace_type is TraceType.WORKFLOW_EXECUTION
    assert len(trace.trace_id) == 32
    assert trace.trace_id != Trace().trace_id
    assert (trace.completed_at, trace.duration_ms, trace.ended_ns) == (None, None, None)
    assert trace.started_at.timestamp() == pytest.approx(trace.started_ns / 1e9)


def test_an_added_event_is_in_the_trace() -> None:
    """R4.14 R4.66 It has the trace's id there, and stands in order of time."""
    trace = Trace()
    later, sooner = trace.add_event(event()), trace.add_event(event("before", timestamp_ns=4))
    assert trace.events == (sooner, later)
    assert {each.trace_id for each in trace.events} == {trace.trace_id}
    for wrong in (later, event(trace_id="f" * 32)):
        with pytest.raises(ValueError, match="trace"):
            trace.add_event(wrong)


def test_a_completed_trace_has_lasted() -> None:
    """R4.15 R4.16 R4.67 Its duration is more than nothing, in whole nanoseconds."""
    trace = Trace()
    trace.complete()
    assert trace.status is TraceStatus.COMPLETED
    assert type(trace.duration_ns) is int
    assert trace.duration_ns > 0
    assert trace.calculate_duration() == trace.duration_ns
    assert trace.duration_ms == trace.duration_ns / 1e6


def test_a_clock_that_was_set_back_makes_no_negative_duration() -> None:
    """R4.16 R4.67 Less than nothing is told as 1 ns."""
    trace = Trace(started_ns=100)
    assert trace.calculate_duration(now_ns=150) == 50
    trace.complete(at_ns=90)
    assert trace.duration_ns == 1


@pytest.mark.parametrize(
    ("method", "status"), [("fail", "failed"), ("cancel", "cancelled"), ("expire", "expired")]
)
def test_each_way_to_end_has_its_method(method: str, status: str) -> None:
    """R4.20 The reason is kept."""
    trace = Trace(started_ns=1)
    getattr(trace, method)("disk full", at_ns=8)
    assert (trace.status, trace.reason, trace.duration_ns) == (status, "disk full", 7)


@pytest.mark.parametrize(("now", "wanted"), list(product(TraceStatus, TraceStatus)))
def test_only_active_traces_change(now: TraceStatus, wanted: TraceStatus) -> None:
    """R4.20 Nothing leads out of an end, and nothing back."""
    if now is TraceStatus.ACTIVE and wanted is not TraceStatus.ACTIVE:
        check_transition(now, wanted)
        return
    with pytest.raises(IllegalTransition, match=f"{now} cannot become {wanted}"):
        check_transition(now, wanted)


def test_a_trace_that_has_ended_takes_no_more() -> None:
    """R4.14 R4.20 Neither events nor another end."""
    trace = Trace()
    trace.fail("no")
    for change in (trace.complete, trace.cancel, trace.expire, lambda: trace.add_event(event())):
        with pytest.raises(IllegalTransition):
            change()
    assert (trace.status, trace.reason, trace.events) == (TraceStatus.FAILED, "no", ())


def test_events_are_found_by_type_and_level() -> None:
    """R4.17 R4.18 Exactly those of that type, or of that level."""
    trace = Trace()
    bad = trace.add_event(event("stage", level="error"))
    good = trace.add_event(event("stage"))
    other = trace.add_event(event("other"))
    assert trace.get_events_by_type("stage") == (bad, good)
    assert trace.get_events_by_level("error") == (bad,)
    assert trace.get_events_by_level(EventLevel.INFO) == (good, other)
    with pytest.raises(ValueError, match="fatal"):
        trace.get_events_by_level("fatal")


def test_a_summary_counts_what_is_there() -> None:
    """R4.19 R4.21 Events, levels, errors, warnings, duration, and the metrics by their names."""
    trace = Trace(started_ns=10)
    for level in ("error", "critical", "warn", "debug"):
        trace.add_event(event(level=level))
    for value in (3, 1.5):
        data = {"metric_name": "load", "metric_value": value, "metric_unit": "%"}
        trace.add_event(event("performance_metric", data=data))
    assert trace.generate_summary().total_duration is None
    trace.complete(at_ns=3_000_010)
    found = trace.generate_summary()
    assert (found.total_events, found.error_count, found.warning_count) == (6, 2, 1)
    assert found.events_by_level == {
        "debug": 1, "info": 2, "warn": 1, "error": 1, "critical": 1,
    }  # fmt: skip
    assert (found.total_duration, found.total_duration_ns) == (3.0, 3_000_000)
    load = found.performance_metrics["load"]
    assert (load.count, load.last, load.min, load.max, load.average, load.unit) == (
        2, 1.5, 1.5, 3, 2.25, "%",
    )  # fmt: skip


def test_an_event_has_what_trace_services_ask_for() -> None:
    """R4.23 R4.24 R4.25 R4.26 Its fields, and what they say in one line."""
    found = event(level="error", message="line\nbreak", data={"a": [1]}, duration_ns=1_500_000)
    assert found.is_error()
    assert found.has_data()
    assert found.duration_ms == 1.5
    assert not event().is_error()
    assert not event().has_data()
    assert event().duration_ms is None
    assert found.get_formatted_message() == "1970-01-01T00:00:00.000Z [ERROR] step: line break"
    assert event().get_formatted_message() == "1970-01-01T00:00:00.000Z [INFO] step"
    assert found.event_id != event().event_id


def test_levels_are_severities() -> None:
    """R4.5 Each level has a severity and that has it."""
    assert [EventLevel.of(each) for each in Severity] == list(EventLevel)
    assert [each.severity for each in EventLevel] == list(Severity)


@pytest.mark.parametrize("wrong", [{"event_type": ""}, {"level": "fatal"}])
def test_an_event_that_makes_no_sense_is_refused(wrong: dict[str, str]) -> None:
    """R4.5 R4.23 It needs a type, and a level that there is."""
    with pytest.raises(ValueError, match=r"event_type|fatal"):
        event(**wrong)


def test_a_child_lies_beneath_its_parent() -> None:
    """R4.27 It names the parent, is of its trace, and is found there."""
    parent = event(trace_id="a" * 32)
    child = parent.add_child_event(event("child"))
    assert (child.parent_event_id, child.trace_id) == (parent.event_id, "a" * 32)
    assert parent.children == (child,)
    for wrong in (parent, event(trace_id="b" * 32)):
        with pytest.raises(ValueError, match=r"beneath itself|is of trace"):
            parent.add_child_event(wrong)


def test_stored_events_find_their_parents() -> None:
    """R4.27 A trace put together from its events has the children where they belong."""
    parent = event(trace_id="a" * 32)
    child = event("child", trace_id="a" * 32, parent_event_id=parent.event_id)
    ended = Trace(trace_id="a" * 32, status=TraceStatus.COMPLETED)
    found = trace_with(ended, [parent, child])
    assert found.events == (parent, child)
    assert found.events[0].children == (child,)
    assert ended.events == ()
