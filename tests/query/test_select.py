"""Selecting events: any filter combination gives what reading every event would give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.query.build import event, recording
from whence.model.event import TraceEvent
from whence.model.ids import ModelID
from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.model.severity import Severity
from whence.model.time import Timestamp
from whence.query.index import Index
from whence.query.select import select

names = st.sampled_from(["", "a", "b", "ab"])
types = st.sampled_from(["alloc", "free", "tick"])
moments = st.integers(0, 8)


@st.composite
def random_event(draw: st.DrawFn) -> TraceEvent:
    """An event of a small world, so that filters meet and times tie."""
    return event(
        draw(types),
        draw(moments),
        draw(names),
        ring=draw(st.integers(0, 2)),
        ticket=draw(st.integers(0, 5)),
        component=draw(st.sampled_from(["Pool", "Clock"])),
        model_id=draw(names),
        severity=draw(st.sampled_from(Severity)),
    )


def maybe(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """A value or None."""
    return st.none() | values


timestamps = moments.map(lambda ms: event("tick", ms).timestamp)
queries = st.builds(
    TraceQuery,
    start=maybe(timestamps),
    end=maybe(timestamps),
    event_type=maybe(types | st.lists(types, min_size=1)),
    model_id=maybe(names | st.sampled_from(["a", "b"]).map(ModelID)),
    component=maybe(
        st.sampled_from(["Pool", "Clock", "Nobody"]) | st.just(("Clock", "Pool", "Clock"))
    ),
    min_severity=maybe(st.sampled_from(Severity)),
    request_id=maybe(names),
)


@given(st.lists(random_event(), max_size=40), queries)
def test_select_equals_reading_every_event(events: list[TraceEvent], query: TraceQuery) -> None:
    """R0.44 R0.45 R0.58 Exactly the matching events come back, in time order."""
    found = select(recording(events), query)
    expected = sorted((e for e in events if query.matches(e)), key=lambda e: e.order_key)
    assert list(found) == expected


@given(st.lists(random_event(), max_size=40), st.lists(queries, max_size=5))
def test_one_index_answers_many_queries(events: list[TraceEvent], asked: list[TraceQuery]) -> None:
    """R0.45 An index that has answered before answers the next query just as a new one would."""
    index = Index(recording(events))
    for query in asked:
        assert select(index, query) == select(index.recording, query)


def test_filters_may_be_given_by_name() -> None:
    """R0.46 R0.47 R0.48 The fields of a query can be given instead of the query."""
    warning = event("tick", 1, component="Clock", model_id="m", severity=Severity.Warning)
    source = recording([event("tick", 0, component="Pool"), warning])
    assert select(source, component="Clock") == (warning,)
    assert select(source, min_severity=Severity.Warning) == (warning,)
    assert select(source, model_id="m") == (warning,)
    assert select(source, start=Timestamp(warning.timestamp.value_ns)) == (warning,)


def test_a_query_and_filters_at_once_are_refused() -> None:
    """R0.44 Two ways to say what is wanted would contradict each other."""
    with pytest.raises(TypeError, match="not both"):
        select(Recording(), TraceQuery(), component="Clock")
    with pytest.raises(TypeError, match="colour"):
        select(Recording(), colour="red")


def test_an_empty_recording_selects_nothing() -> None:
    """R0.45 Without events there are no matches, whatever is asked."""
    assert select(Recording()) == ()
    assert select(Recording(), request_id="req-1") == ()
