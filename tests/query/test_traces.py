"""Whole traces out of events in memory, held to the plainest reading of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.query.build import event, recording
from tests.query.traced_worlds import asked_traces, expected_traces, plain_trace, traced_events
from tests.query.worlds import SESSIONS
from whence.model.errors import BudgetExceeded
from whence.model.event import TraceEvent
from whence.model.names import TRACE_ENDED, TRACE_STARTED
from whence.model.recording import Recording
from whence.model.severity import Severity
from whence.query.engines.memory import InMemory
from whence.query.engines.shapes import Budget
from whence.query.engines.traces import TRACE_SORTS, TraceFilter, TraceKey, TraceSort

KEYS = {info.name: info.key for info in SESSIONS}
TRACE = "a" * 32


@settings(max_examples=100, deadline=None)
@given(traced_events(), st.lists(asked_traces(), min_size=1, max_size=5))
def test_traces_are_those_of_a_plain_reading(
    events: tuple[TraceEvent, ...], asked: list[TraceFilter]
) -> None:
    """R4.43 R4.68 R4.21 Names, status, times and counts of traces of every sort, filtered."""
    engine = InMemory(Recording(events, sessions=SESSIONS))
    for each in asked:
        right = expected_traces(events, each, KEYS)
        found = engine.traces(each, sort="oldest", limit=1_000)
        assert [plain_trace(row) for row in found.items] == right, each
        newest = engine.traces(each, limit=1_000)
        assert [plain_trace(row) for row in newest.items] == right[::-1]
        assert (found.total, found.next, found.pages) == (len(right), None, bool(right))
        longest = [row.duration_ns for row in engine.traces(each, sort="longest").items]
        assert longest == sorted(longest, key=lambda ns: -1 if ns is None else ns, reverse=True)
        errors = [row.errors for row in engine.traces(each, sort="errors").items]
        assert errors == sorted(errors, reverse=True)


@settings(max_examples=30, deadline=None)
@given(traced_events(), st.integers(1, 3), st.sampled_from(TRACE_SORTS))
def test_pages_of_traces_hold_each_once(
    events: tuple[TraceEvent, ...], size: int, sort: TraceSort
) -> None:
    """R4.45 By number and by key the same pages, and as many of them as are told."""
    engine = InMemory(Recording(events, sessions=SESSIONS))
    whole = engine.traces(TraceFilter(), sort=sort, limit=1_000).items
    key, shown = None, []
    for number in range(1, 9):
        by_number = engine.traces(TraceFilter(), sort=sort, limit=size, page=number)
        assert by_number.page == number
        assert by_number.total == len(whole)
        shown += by_number.items
        if number > by_number.pages:
            assert by_number.items == ()
            break
        by_key = engine.traces(TraceFilter(), sort=sort, limit=size, after=key)
        assert by_key.items == by_number.items
        assert by_key.next == by_number.next
        assert (by_key.next is None) == (number == by_key.pages)
        key = by_key.next and TraceKey.parse(str(by_key.next))
    assert tuple(shown) == whole


def test_a_trace_is_what_its_beginning_and_end_say() -> None:
    """R4.20 R4.21 R4.22 Name, type, tags and status; these two are no events of it."""
    said = {"trace_name": "Project", "trace_type": "workflow_execution", "context_id": "ctx-1"}
    started = event(
        TRACE_STARTED, 0, "", ticket=0, trace_id=TRACE, attributes=said | {"tags": '["a", "b"]'}
    )
    engine = InMemory(recording([started]))
    [row] = engine.traces(TraceFilter()).items
    assert (row.name, row.trace_type, row.context_id) == tuple(said.values())
    assert (row.status, row.events, row.tags) == ("active", 0, ("a", "b"))
    assert (row.ended_wall_ns, row.duration_ns) == (None, None)
    ended = event(
        TRACE_ENDED, 5, "", ticket=2, trace_id=TRACE, severity=Severity.Error,
        attributes={"trace_status": "failed"}, duration_ms=4.999,
    )  # fmt: skip
    step = event("step", 1, "", ticket=1, trace_id=TRACE, severity=Severity.Warning)
    [row] = InMemory(recording([started, step, ended])).traces(TraceFilter()).items
    assert (row.status, row.events, row.errors, row.warnings) == ("failed", 1, 0, 1)
    assert row.duration_ns == 4_999_000
    assert row.by_level == {"debug": 0, "info": 0, "warn": 1, "error": 0, "critical": 0}
    assert row.has_errors


def test_spans_alone_make_a_trace_that_is_called_after_its_root() -> None:
    """R4.43 It is active until the root is there, and as the root is from then on."""
    child = event(
        "read", 1, "", ticket=0, trace_id=TRACE, span=True, span_id=2, parent_span_id=1,
        duration_ms=0.001,
    )  # fmt: skip
    [row] = InMemory(recording([child])).traces(TraceFilter()).items
    assert (row.name, row.status, row.duration_ns) == ("", "active", None)
    root = event(
        "GET /", 0, "", ticket=1, trace_id=TRACE, span=True, span_id=1, status="error",
        duration_ms=9,
    )  # fmt: skip
    [row] = InMemory(recording([root, child])).traces(TraceFilter(statuses=["failed"])).items
    assert (row.name, row.status, row.duration_ns, row.events) == ("GET /", "failed", 9_000_000, 2)


@pytest.mark.parametrize(
    "asked",
    [
        {"trace_ids": ["no"]}, {"statuses": []}, {"statuses": "failed"}, {"trace_types": [1]},
        {"started_after_ns": 1.5}, {"has_errors": "yes"}, {"tag": 3}, {"event_type": ()},
        {"request_id": 3},
    ],
)  # fmt: skip
def test_what_is_no_filter_of_traces_is_refused(asked: dict[str, object]) -> None:
    """R4.43 A filter of another type never passes silently."""
    with pytest.raises((TypeError, ValueError)):
        TraceFilter(**asked)  # type: ignore[arg-type]


def test_a_page_that_cannot_be_is_refused() -> None:
    """R4.45 By number or by key, from 1 on, of its own order, within the budget."""
    engine = InMemory(Recording())
    key = TraceKey("newest", 0, 1, 2, 3)
    for wrong in (
        {"page": 0}, {"limit": 0}, {"page": 1, "after": key}, {"sort": "oldest", "after": key},
        {"sort": "odd"},
    ):  # fmt: skip
        with pytest.raises(ValueError):  # noqa: PT011
            engine.traces(TraceFilter(), **wrong)  # type: ignore[arg-type]
    with pytest.raises(BudgetExceeded):
        engine.traces(TraceFilter(), limit=3, budget=Budget(rows=2))
    for text in ("", "newest.1.2.3", "odd.1.2.3.4", "newest.a.b.c.d"):
        with pytest.raises(ValueError):  # noqa: PT011
            TraceKey.parse(text)
