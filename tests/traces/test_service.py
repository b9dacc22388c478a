"""The trace service in process: lives of traces, their events, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from whence.model.result import ErrorCode, Result
from whence.model.trace import TraceStatus
from whence.traces.service import TraceService


@pytest.fixture
def traces() -> Iterator[TraceService]:
    """A service that keeps its traces in memory."""
    with TraceService("memory") as service:
        yield service


def code_of(result: Result[Any]) -> ErrorCode:
    """Why it failed."""
    assert not result.success
    return result.error.code


def test_a_created_trace_is_there_as_it_was_made(traces: TraceService) -> None:
    """R4.2 R4.3 R4.6 R4.12 R4.13 R4.22 R4.65 With all that was said of it, active, no events."""
    made = traces.create_trace(
        "ctx-123", "ex-1", "workflow_execution", "Project workflow", "a description",
        {"deep": [1, {"none": None}]}, ["red", "blue"],
    )  # fmt: skip
    assert made.success
    found = traces.get_trace_by_id(made.data.trace_id).unwrap()
    for name in (
        "trace_id", "context_id", "execution_id", "trace_type", "name", "description", "metadata",
        "tags",
    ):  # fmt: skip
        assert getattr(found, name) == getattr(made.data, name)
    assert (found.status, found.events, found.ended_ns) == (TraceStatus.ACTIVE, (), None)


def test_an_event_is_in_its_trace(traces: TraceService) -> None:
    """R4.4 R4.6 R4.14 R4.23 R4.66 With its level, message, data, duration, time and parent."""
    trace = traces.create_trace("ctx").unwrap()
    moment = datetime.now(UTC) - timedelta(seconds=3)
    first = traces.record_event(
        trace.trace_id, "stage_started", "warn", "slow", {"stage": "a", "in": [1]}, moment, 1.5
    ).unwrap()
    second = traces.record_event(
        trace.trace_id, "stage_completed", parent_event_id=first.event_id
    ).unwrap()
    found = traces.get_trace_by_id(trace.trace_id).unwrap()
    assert [each.event_id for each in found.events] == [first.event_id, second.event_id]
    (stored, child) = found.events
    assert (stored.level, stored.message, stored.data, stored.duration_ns) == (
        "warn", "slow", {"stage": "a", "in": [1]}, 1_500_000,
    )  # fmt: skip
    assert abs(stored.timestamp - moment) < timedelta(milliseconds=5)
    assert stored.children == (child,)


@pytest.mark.parametrize(
    ("method", "status"), [("complete", "completed"), ("fail", "failed"), ("cancel", "cancelled")]
)
def test_a_trace_ends_once(traces: TraceService, method: str, status: str) -> None:
    """R4.15 R4.20 R4.67 It lasted more than nothing; other ends and events are refused."""
    trace = traces.create_trace("ctx", name="work").unwrap()
    ended = getattr(traces, method)(trace.trace_id).unwrap()
    assert (ended.status, ended.name) == (status, "work")
    assert ended.duration_ns > 0
    for other in (traces.complete, traces.fail, traces.cancel):
        assert code_of(other(trace.trace_id)) is ErrorCode.Conflict
    assert code_of(traces.record_event(trace.trace_id, "step")) is ErrorCode.Conflict
    found = traces.get_trace_by_id(trace.trace_id).unwrap()
    assert (found.status, found.duration_ns) == (status, ended.duration_ns)
    assert found.events == ()


def test_another_service_over_the_same_store_knows_that_a_trace_has_ended() -> None:
    """R4.20 Whether a trace is active is asked of the store by whoever did not begin it."""
    with TraceService("memory") as one, TraceService("memory") as other:
        other._room = one._room
        trace = one.create_trace("ctx", name="shared").unwrap()
        assert other.record_event(trace.trace_id, "step").success
        assert other.fail(trace.trace_id, "no").unwrap().name == "shared"
        one._lives.forget(trace.trace_id)
        assert code_of(one.complete(trace.trace_id)) is ErrorCode.Conflict
        found = one.get_trace_by_id(trace.trace_id).unwrap()
        assert (found.status, found.reason, len(found.events)) == ("failed", "no", 1)


def test_what_makes_no_sense_is_an_error_and_nothing_is_raised(traces: TraceService) -> None:
    """R4.12 Ids, types, levels, times and data of the wrong sort are named in the error."""
    trace_id = traces.create_trace("ctx").unwrap().trace_id
    wrong: list[Result[Any]] = [
        traces.create_trace("ctx", trace_type="nonsense"),
        traces.create_trace(7),  # type: ignore[arg-type]
        traces.create_trace("ctx", tags="one text"),
        traces.create_trace("ctx", name="\ud800"),
        traces.create_trace("ctx", metadata={"x": object()}),
        traces.record_event(trace_id, ""),
        traces.record_event(trace_id, "step", "loud"),
        traces.record_event(trace_id, "step", timestamp="soon"),
        traces.record_event(trace_id, "step", timestamp=1),
        traces.record_event(trace_id, "step", timestamp=0.5),  # type: ignore[arg-type]
        traces.record_event(trace_id, "step", duration_ms=-1),
        traces.record_event(trace_id, "step", duration_ms=float("nan")),
        traces.record_event(trace_id, "step", data={1: 2}),  # type: ignore[dict-item]
        traces.record_event("short", "step"),
        traces.get_trace_by_id("short"),
    ]
    assert {code_of(each) for each in wrong} == {ErrorCode.InvalidArgument}
    unknown = "f" * 32
    for result in (traces.get_trace_by_id(unknown), traces.complete(unknown)):
        assert code_of(result) is ErrorCode.NotFound
    assert traces.get_trace_by_id(trace_id).unwrap().events == ()


def test_a_trace_is_found_by_its_uuid_spelled_in_any_way(traces: TraceService) -> None:
    """R4.6 With dashes and in capitals."""
    trace_id = traces.create_trace("ctx").unwrap().trace_id
    dashed = "-".join(
        (trace_id[:8], trace_id[8:12], trace_id[12:16], trace_id[16:20], trace_id[20:])
    )
    assert traces.get_trace_by_id(dashed.upper()).unwrap().trace_id == trace_id


def test_a_block_is_a_trace(traces: TraceService) -> None:
    """R4.15 R4.39 It completes at the end; its events are told as keywords."""
    with traces.trace("work", type="workflow_execution", context_id="ctx-123") as open_trace:
        assert open_trace.event("stage_started", stage="context").success
    found = traces.get_trace_by_id(open_trace.trace_id).unwrap()
    assert (found.status, found.name, found.context_id) == ("completed", "work", "ctx-123")
    assert found.events[0].data == {"stage": "context"}


def test_an_exception_fails_the_block_and_goes_on(traces: TraceService) -> None:
    """R4.20 The reason names it."""
    with pytest.raises(KeyError), traces.trace("work") as open_trace:
        raise KeyError("page")
    found = traces.get_trace_by_id(open_trace.trace_id).unwrap()
    assert (found.status, found.reason) == ("failed", "KeyError: 'page'")


def test_a_block_that_ended_its_trace_is_left_alone(traces: TraceService) -> None:
    """R4.20 cancel() inside of it counts."""
    with traces.trace("work") as open_trace:
        assert open_trace.cancel("enough").success
        assert code_of(open_trace.event("step")) is ErrorCode.Conflict
    found = traces.get_trace_by_id(open_trace.trace_id).unwrap()
    assert (found.status, found.reason) == ("cancelled", "enough")


def test_a_block_runs_also_if_its_trace_cannot_begin(traces: TraceService) -> None:
    """R4.12 What is wrong stands in `error`, and events answer it."""
    with traces.trace("work", type="nonsense") as open_trace:
        assert code_of(open_trace.event("step")) is ErrorCode.InvalidArgument
    assert open_trace.error is not None
    assert open_trace.trace_id == ""
