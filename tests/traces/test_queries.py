"""Questions about traces: the same answers as looking at every trace in turn."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whence.model.result import ErrorCode
from whence.model.trace import Trace
from whence.query.engines.figures import percentile
from whence.traces.service import TraceService

MS = 1_000_000
HALF = timedelta(microseconds=500)


class Clock:
    """Wall time that goes on by itself: a millisecond for each look."""

    def __init__(self) -> None:
        self.now_ns = time.time_ns()

    def __call__(self) -> int:
        self.now_ns += MS
        return self.now_ns


@pytest.fixture
def traces() -> Iterator[TraceService]:
    """A service that keeps its traces in memory."""
    with TraceService("memory", clock=Clock()) as service:
        yield service


made = st.tuples(
    st.sampled_from(["ctx-1", "ctx-2", "ctx-3"]),
    st.sampled_from(["workflow_execution", "api_request", "custom"]),
    st.sampled_from(["open", "complete", "fail", "cancel"]),
    st.lists(st.sampled_from(["debug", "info", "warn", "error", "critical"]), max_size=3),
    st.sets(st.sampled_from(["red", "blue"])),
)
contexts = st.lists(st.sampled_from(["ctx-1", "ctx-2", "nowhere"]), min_size=1, max_size=2)
filters = st.fixed_dictionaries(
    {},
    optional={
        "context_ids": contexts,
        "trace_types": st.sampled_from([["custom"], ["api_request", "custom"]]),
        "status": st.sampled_from(["active", ["failed", "cancelled"], ["completed"]]),
        "has_errors": st.sampled_from([None, True, False]),
        "tag": st.sampled_from(["red", "blue"]),
        "event_type": st.sampled_from(["step-warn", "step-error"]),
    },
)


def fill(service: TraceService, rows: list[Any]) -> list[Trace]:
    """Records these traces; the traces as they were made, with their events and ends."""
    found = []
    for context_id, trace_type, end, levels, tags in rows:
        trace = service.create_trace(
            context_id, None, trace_type, "work", tags=sorted(tags)
        ).unwrap()
        for level in levels:
            trace.add_event(service.record_event(trace.trace_id, f"step-{level}", level).unwrap())
        if end != "open":
            ended = getattr(service, end)(trace.trace_id).unwrap()
            getattr(trace, end)(at_ns=ended.ended_ns)
            trace.duration_ns = ended.duration_ns
        found.append(trace)
    return found


def has_errors(trace: Trace) -> bool:
    """Whether an event of it is an error, or it failed."""
    return trace.status == "failed" or any(each.is_error() for each in trace.events)


def passes(trace: Trace, wanted: dict[str, Any]) -> bool:
    """The filters, in other words than the service's."""
    status = wanted.get("status", trace.status)
    types = {each.event_type for each in trace.events}
    return (
        trace.context_id in wanted.get("context_ids", [trace.context_id])
        and trace.trace_type in wanted.get("trace_types", [trace.trace_type])
        and trace.status in ([status] if isinstance(status, str) else status)
        and wanted.get("has_errors") in (None, has_errors(trace))
        and wanted.get("tag", "") in ("", *trace.tags)
        and wanted.get("event_type", "") in ("", *types)
    )


@settings(max_examples=40)
@given(st.lists(made, max_size=12), filters, st.integers(1, 5))
def test_a_query_has_the_answer_of_looking_at_every_trace(
    rows: list[Any], wanted: dict[str, Any], limit: int
) -> None:
    """R4.7 R4.43 R4.44 R4.45 R4.68 Filters, pages by number and by key, counts and figures."""
    with TraceService("memory", clock=Clock()) as service:
        every = [each for each in fill(service, rows) if passes(each, wanted)]
        newest = [each.trace_id for each in reversed(every)]
        numbered: list[str] = []
        for page in itertools.count(1):
            found = service.query_traces(wanted, None, {"page": page, "limit": limit}).unwrap()
            assert (found.total, found.page, found.limit) == (len(every), page, limit)
            assert found.pages == -(-len(every) // limit)
            numbered += [row.trace_id for row in found.items]
            if page >= found.pages:
                break
        assert numbered == newest
        keyed, cursor = [], None
        while True:
            found = service.query_traces(wanted, limit=limit, cursor=cursor).unwrap()
            keyed += [row.trace_id for row in found.items]
            if (cursor := found.next_cursor) is None:
                break
        assert keyed == newest
        asked = {
            "group_by": ["trace_type", "status"],
            "metrics": ["count", "avg_duration", "error_rate", "p95_duration"],
        }
        groups = service.query_traces(wanted, asked).unwrap().aggregations
        assert groups is not None
        expected: dict[Any, list[Trace]] = {}
        for each in every:
            expected.setdefault((str(each.trace_type), str(each.status)), []).append(each)
        assert [tuple(group.keys.values()) for group in groups] == sorted(expected)
        for group in groups:
            members = expected[group.keys["trace_type"], group.keys["status"]]
            took = sorted(each.duration_ns / 1e6 for each in members if each.duration_ns)
            assert group.values["count"] == len(members)
            assert group.values["error_rate"] == sum(map(has_errors, members)) / len(members)
            average = sum(took) / len(took) if took else None
            assert group.values["avg_duration"] == pytest.approx(average)
            slow = percentile(took, 0.95) if took else None
            assert group.values["p95_duration"] == pytest.approx(slow)


def test_both_call_shapes_are_one_question(traces: TraceService) -> None:
    """R4.7 One object, three arguments, or flat ones."""
    fill(traces, [("ctx-1", "custom", "fail", [], ()), ("ctx-2", "custom", "open", [], ())])
    whole = {"filter": {"status": ["failed"]}, "pagination": {"page": 1, "limit": 5}}
    one = traces.query_traces(whole).unwrap()
    apart = traces.query_traces({"status": ["failed"]}, None, {"page": 1, "limit": 5}).unwrap()
    flat = traces.query_traces(status="failed", page=1, limit=5).unwrap()
    assert one == apart == flat
    assert (one.total, one.items[0].context_id) == (1, "ctx-1")


def test_traces_are_counted_by_the_hour(traces: TraceService) -> None:
    """R4.44 Durations such as 1h are understood, and traces lie in the piece they began in."""
    clock = traces._clock
    assert isinstance(clock, Clock)
    began = clock.now_ns
    for hours in (0, 0, 2):
        clock.now_ns = began + hours * 3_600_000 * MS
        traces.create_trace("ctx")
    groups = traces.query_traces(None, {"metrics": ["count"], "time_bucket": "1h"}).unwrap()
    assert groups.aggregations is not None
    first, last = groups.aggregations
    assert (first.values["count"], last.values["count"]) == (2, 1)
    assert (last.bucket_ns or 0) - (first.bucket_ns or 0) == 2 * 3_600_000 * MS
    assert (first.bucket_ns or 1) % (3_600_000 * MS) == 0


def test_a_time_range_is_told_in_several_ways(traces: TraceService) -> None:
    """R4.43 From when, before when, or how long up to now."""
    (first, second) = fill(
        traces, [("a", "custom", "open", [], ()), ("b", "custom", "open", [], ())]
    )
    middle = (first.started_ns + second.started_ns) // 2
    for time_range, expected in (
        ({"start": middle}, ["b"]),
        ({"end": middle}, ["a"]),
        ((None, middle), ["a"]),
        ({"start": (first.started_at + HALF).isoformat()}, ["b"]),
        ("1h", ["b", "a"]),
    ):
        found = traces.query_traces({"time_range": time_range}).unwrap()
        assert [row.context_id for row in found.items] == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": "red"}, {"limit": 0}, {"limit": 1_001}, {"page": 0}, {"page": "1"},
        {"cursor": "x"}, {"sort": "best"}, {"status": []}, {"time_range": "soon"},
        {"time_range": {"from": 1}}, {"started_after": "x"}, {"level": "loud"},
        {"has_errors": "yes"}, {"trace_id": "short"}, {"q": "a", "text": "b"},
    ],
)  # fmt: skip
def test_what_is_not_understood_is_named(traces: TraceService, wrong: dict[str, Any]) -> None:
    """R4.7 R4.12 An unknown filter, a page that cannot be, and values of the wrong sort."""
    found = traces.query_traces(**wrong)
    assert not found.success
    assert found.error.code is ErrorCode.InvalidArgument


def test_text_is_looked_for_in_names_and_messages(traces: TraceService) -> None:
    """R4.7 An empty text is refused."""
    one = traces.create_trace("ctx", name="Read page 31").unwrap()
    two = traces.create_trace("ctx", name="other").unwrap()
    traces.record_event(two.trace_id, "step", message="on page 31")
    assert traces.search("page 31").unwrap().total == 2
    assert [row.trace_id for row in traces.search("Read").unwrap().items] == [one.trace_id]
    assert traces.search(" ").error.code is ErrorCode.InvalidArgument


def test_statistics_errors_and_slowest_are_of_what_is_stored(traces: TraceService) -> None:
    """R4.21 R4.47 R4.49 Counts by status and type, what failed, and what took longest."""
    assert traces.statistics().unwrap().average_duration is None
    fill(traces, [
        ("a", "custom", "complete", ["error"], ()), ("b", "api_request", "fail", ["info"], ()),
        ("c", "custom", "open", [], ()), ("d", "custom", "complete", [], ()),
    ])  # fmt: skip
    found = traces.statistics().unwrap()
    assert (found.total_traces, found.total_events, found.error_count) == (4, 2, 1)
    assert found.by_status == {"active": 1, "completed": 2, "failed": 1}
    assert found.by_type == {"api_request": 1, "custom": 3}
    assert (found.success_rate, found.error_rate) == (2 / 3, 2 / 4)
    wrong = traces.errors().unwrap()
    assert [row.context_id for row in wrong.traces.items] == ["b", "a"]
    assert [event.event_type for event in wrong.events] == ["step-error"]
    assert [(top.event_type, top.count) for top in wrong.top_errors] == [("step-error", 1)]
    slow = traces.performance(limit=2).unwrap()
    lengths = [row.duration_ns or 0 for row in slow.slowest]
    assert len(lengths) == 2
    assert lengths == sorted(lengths, reverse=True)
    assert {group.keys["trace_type"] for group in slow.by_type} == {"api_request", "custom"}


def test_a_trace_is_explained_as_a_chain(traces: TraceService) -> None:
    """R4.6 The questions that requests are asked of are asked of traces, too."""
    with traces.trace("work") as t:
        t.event("step", n=1)
    chain = traces.chain(t.trace_id).unwrap()
    assert [each.event_type for each in chain.events] == ["trace_started", "step", "trace_ended"]
    assert traces.why(t.trace_id).unwrap().event_count == 3
    assert traces.why("f" * 32).error.code is ErrorCode.NotFound


def test_a_deleted_trace_is_gone_at_once(traces: TraceService) -> None:
    """R4.6 It is not found, not listed, takes no events, and cannot be deleted twice."""
    gone = traces.create_trace("ctx").unwrap().trace_id
    kept = traces.create_trace("ctx").unwrap().trace_id
    assert traces.delete_trace(gone).success
    assert [row.trace_id for row in traces.query_traces().unwrap().items] == [kept]
    for result in (
        traces.get_trace_by_id(gone), traces.record_event(gone, "late"), traces.delete_trace(gone),
    ):  # fmt: skip
        assert result.error.code is ErrorCode.NotFound


def test_cleaning_up_takes_what_ended_long_ago_and_nothing_else(traces: TraceService) -> None:
    """R4.32 R4.68 Active traces and newer ones stay."""
    clock = traces._clock
    assert isinstance(clock, Clock)
    day = 86_400_000 * MS
    old = traces.create_trace("old").unwrap().trace_id
    traces.complete(old)
    traces.create_trace("old and active", timeout_ms=10 * 86_400_000)
    clock.now_ns += 3 * day
    traces.complete(traces.create_trace("new").unwrap().trace_id)
    assert traces.cleanup(2).unwrap() == 1
    left = [row.context_id for row in traces.query_traces().unwrap().items]
    assert left == ["new", "old and active"]
    assert traces.cleanup(2).unwrap() == 0
    assert traces.cleanup(-1).error.code is ErrorCode.InvalidArgument


def test_a_trace_expires_once_it_took_too_long(traces: TraceService) -> None:
    """R4.20 Its end is recorded, whoever asks next; its own timeout counts before the option's."""
    clock = traces._clock
    assert isinstance(clock, Clock)
    short = traces.create_trace("ctx", timeout_ms=1_000).unwrap().trace_id
    long = traces.create_trace("ctx").unwrap().trace_id
    clock.now_ns += 2_000 * MS
    late = traces.record_event(short, "late")
    assert late.error.code is ErrorCode.Conflict
    found = traces.get_trace_by_id(short).unwrap()
    assert (found.status, found.reason) == ("expired", "active for more than 1 s")
    assert traces.get_trace_by_id(long).unwrap().status == "active"
    clock.now_ns += 86_400_000 * MS
    assert traces.query_traces(status="expired").unwrap().total == 2
    assert traces.complete(long).error.code is ErrorCode.Conflict


def test_traces_that_somebody_else_left_open_expire(traces: TraceService) -> None:
    """R4.20 Whoever owns the store ends them, by the timeout that they were given."""
    clock = traces._clock
    assert isinstance(clock, Clock)
    left = [traces.create_trace("ctx", timeout_ms=each).unwrap() for each in (1_000, 90_000, None)]
    for each in left:
        traces._lives.forget(each.trace_id)
    clock.now_ns += 2_000 * MS
    assert traces.expire_overdue().unwrap() == 1
    assert traces.expire_overdue().unwrap() == 0
    assert [traces.get_trace_by_id(each.trace_id).unwrap().status for each in left] == [
        "expired", "active", "active",
    ]  # fmt: skip
