"""Questions over events in memory, held to the plainest reading of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.query.build import event, inference_chain, late_chain, recording, rejected_chain
from tests.query.worlds import (
    SESSIONS,
    Clause,
    events_in,
    expected,
    queries,
    wall_ns,
    without_place,
)
from whence.model.errors import BudgetExceeded
from whence.model.event import TraceEvent
from whence.model.query import TraceQuery, is_error
from whence.model.recording import Recording
from whence.model.severity import Severity
from whence.query.engines.figures import percentile
from whence.query.engines.memory import InMemory
from whence.query.engines.shapes import Aggregate, Budget, Found, PageKey

Asked = tuple[TraceQuery, list[Clause]]


@settings(max_examples=60)
@given(events_in(), queries())
def test_the_matching_events_come_back_in_order(
    events: tuple[TraceEvent, ...], asked: Asked
) -> None:
    """R0.44 R0.45 R4.68 Every filter and condition picks what a plain reading picks."""
    engine = InMemory(Recording(events, sessions=SESSIONS))
    found = engine.select(asked[0], limit=1_000)
    right = expected(events, *asked)
    assert list(found.events) == right
    assert list(found.wall_ns) == [wall_ns(e) for e in right]
    assert found.next is None
    newest = engine.select(asked[0], order="newest", limit=1_000)
    assert list(newest.events) == right[::-1]
    longest = engine.select(asked[0], order="longest", limit=1_000).events
    assert [e.duration for e in longest] == sorted((e.duration for e in right), reverse=True)
    assert set(map(id, engine.recording(asked[0]).events)) == set(map(id, right))


@pytest.mark.parametrize("order", ["oldest", "newest", "longest"])
@settings(max_examples=30)
@given(events=events_in(), size=st.integers(1, 7), bare=st.booleans())
def test_pages_by_key_hold_each_event_once(
    order: str, events: tuple[TraceEvent, ...], size: int, bare: bool
) -> None:
    """R4.45 Page after page gives all events, also those of exports that name no place."""
    if bare:
        events = tuple(map(without_place, events))
    engine = InMemory(Recording(events, sessions=SESSIONS))
    whole = engine.select(TraceQuery(), order=order, limit=1_000).events  # type: ignore[arg-type]
    seen: list[TraceEvent] = []
    key = None
    while True:
        page = engine.select(TraceQuery(), order=order, limit=size, after=key)  # type: ignore[arg-type]
        seen += page.events
        if page.next is None:
            break
        key = PageKey.parse(str(page.next))
    assert list(map(id, seen)) == list(map(id, whole))
    assert len(seen) == len(events)


@settings(max_examples=50)
@given(events_in(), st.sampled_from([None, 500_000, 1_000_003]))
def test_figures_are_those_of_their_groups(
    events: tuple[TraceEvent, ...], bucket_ns: int | None
) -> None:
    """R4.44 R5.5 Counts stand for what was sampled out, percentiles are those of the rows."""
    engine = InMemory(Recording(events, sessions=SESSIONS))
    question = Aggregate(("type", "severity"), bucket_ns)
    rows = engine.aggregate(question, TraceQuery())
    assert sum(row.rows for row in rows) == len(events)
    for row in rows:
        own = [
            e
            for e in events
            if (e.event_type, e.severity.name) == row.keys
            and (bucket_ns is None or wall_ns(e) // bucket_ns * bucket_ns == row.bucket_ns)
        ]
        assert row.rows == len(own)
        assert row.count == pytest.approx(sum(e.weight for e in own))
        wrong = sum(e.weight for e in own if is_error(e))
        assert row.error_rate == pytest.approx(wrong / row.count)
        lasted = sorted(float(e.duration.nanos) for e in own if e.span or e.duration.nanos)
        assert (row.p50 is None) == (not lasted)
        if lasted:
            assert lasted[0] <= (row.p50 or 0) <= (row.p95 or 0) <= (row.p99 or 0) <= lasted[-1]
        if bucket_ns:
            assert row.rate == pytest.approx(row.count / bucket_ns * 1e9)


def test_percentiles_lie_between_the_nearest_values() -> None:
    """R5.13 A percentile is interpolated linearly between sorted values."""
    assert percentile([10], 0.99) == 10
    assert percentile([0, 10], 0.5) == 5
    assert percentile([1, 2, 3, 4], 0.95) == pytest.approx(3.85)


def test_groups_are_made_by_attributes_and_measure_them() -> None:
    """R4.44 Any other name than a column's is that of an attribute; texts of numbers count."""
    events = [
        event("tick", 0, attributes={"phase": "swap", "ms": 1}),
        event("tick", 1, ticket=1, attributes={"phase": "swap", "ms": "2.5"}),
        event("tick", 2, ticket=2, attributes={"ms": "soon"}),
    ]
    engine = InMemory(recording(events))
    rows = engine.aggregate(Aggregate(("phase",), of="ms"), TraceQuery())
    assert [(row.keys, row.rows, row.avg) for row in rows] == [
        (("swap",), 2, 1.75),
        (("",), 1, None),
    ]


def test_an_answer_past_its_budget_is_refused() -> None:
    """R4.7 What would be too large says so, and nothing is cut silently."""
    engine = InMemory(recording(inference_chain()))
    with pytest.raises(BudgetExceeded, match="more than 2 rows"):
        engine.recording(TraceQuery(), Budget(rows=2))
    with pytest.raises(BudgetExceeded, match="more than 1 rows"):
        engine.aggregate(Aggregate(("type",)), TraceQuery(), Budget(rows=1))
    assert len(engine.recording(TraceQuery(), Budget(rows=4)).events) == 4


def test_ids_are_found_whole_or_by_a_part() -> None:
    """R5.11 A request comes before a chain, that before an event; parts count where none fits."""
    events = [*inference_chain("req-1"), *inference_chain("req-12", 50, first_ticket=10)]
    events.append(event("tick", 99, "", ticket=20, decision_chain_id="plan-1"))
    engine = InMemory(recording(events))
    assert engine.find("req-1") == [Found("request", "req-1")]
    assert engine.find("req") == [Found("request", "req-1"), Found("request", "req-12")]
    assert engine.find("12") == [Found("request", "req-12")]
    assert engine.find("plan") == [Found("chain", "plan-1")]
    assert engine.find(events[2].event_id.upper()) == [Found("event", events[2].event_id)]
    assert engine.find("nothing of the kind") == []
    assert engine.find("") == []


def test_the_newest_decision_that_went_wrong_is_the_one_to_explain() -> None:
    """R5.11 A wrong decision or event of a chain comes first, then decisions, then the rest."""
    lone = event("log", 99, "", ticket=90, severity=Severity.Error)
    last = event("tick", 100, "", ticket=91)
    wrong = [*late_chain(), *rejected_chain("req-2", 200, 50)]
    engine = InMemory(recording([*wrong, lone, last]))
    assert engine.newest_wrong(TraceQuery()) == wrong[-1]
    assert engine.newest_wrong(TraceQuery(request_id="req-000412")) == wrong[4]
    good = inference_chain()
    assert InMemory(recording([*good, lone, last])).newest_wrong(TraceQuery()) == good[1]
    assert InMemory(recording([lone, last])).newest_wrong(TraceQuery()) == lone
    assert InMemory(recording([last])).newest_wrong(TraceQuery()) == last
    assert InMemory(recording([])).newest_wrong(TraceQuery()) is None


@pytest.mark.parametrize(
    "text", ["", "oldest", "soon.1.2.3.4.5", "oldest.1.2.3.4", "oldest.a.b.c.d.e"]
)
def test_what_is_no_page_key_is_refused(text: str) -> None:
    """R4.45 A key is only what a page named."""
    with pytest.raises(ValueError):  # noqa: PT011
        PageKey.parse(text)
    key = PageKey("oldest", 0, 1, 2, 3, 4)
    with pytest.raises(ValueError, match="key"):
        InMemory(Recording()).select(TraceQuery(), order="newest", after=key)
