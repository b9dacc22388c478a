"""The predicate of queries, held against a plain reading of its filters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.model.errors import BadCondition
from whence.model.event import TraceEvent
from whence.model.ids import ModelID
from whence.model.query import TraceQuery
from whence.model.severity import Severity
from whence.model.time import Timestamp

moments = st.integers(0, 4)
names = st.sampled_from(["a", "b"])
events = st.builds(
    TraceEvent,
    timestamp=moments.map(Timestamp),
    event_type=names,
    component=names,
    model_id=names | st.just(""),
    request_id=names | st.just(""),
    severity=st.sampled_from(Severity),
)
filters = st.fixed_dictionaries(
    {},
    optional={
        "start": moments.map(Timestamp),
        "end": moments.map(Timestamp),
        "event_type": names | st.lists(names, min_size=1).map(tuple),
        "model_id": names | st.just(""),
        "component": names | st.lists(names, min_size=1),
        "min_severity": st.sampled_from(Severity),
        "request_id": names,
    },
)


def passes(event: TraceEvent, name: str, wanted: Any) -> bool:
    """One filter, read plainly."""
    if name == "start":
        return event.timestamp.value_ns >= int(wanted.value_ns)
    if name == "end":
        return event.timestamp.value_ns <= int(wanted.value_ns)
    if name == "min_severity":
        return event.severity.value >= int(wanted.value)
    if isinstance(wanted, tuple | list):
        return getattr(event, name) in wanted
    return bool(getattr(event, name) == wanted)


@given(st.lists(events, max_size=8), filters)
def test_an_event_matches_when_every_filter_holds(
    recorded: list[TraceEvent], given_filters: dict[str, Any]
) -> None:
    """R0.44 All given filters hold together; those not given do not filter."""
    query = TraceQuery(**given_filters)
    expected = [
        event
        for event in recorded
        if all(passes(event, name, wanted) for name, wanted in given_filters.items())
    ]
    assert [event for event in recorded if query.matches(event)] == expected


@given(events)
def test_a_query_without_filters_matches_everything(event: TraceEvent) -> None:
    """R0.44 Every filter is optional."""
    assert TraceQuery().matches(event)


@pytest.mark.parametrize(("moment", "inside"), [(9, False), (10, True), (20, True), (21, False)])
def test_both_ends_belong_to_the_interval(moment: int, inside: bool) -> None:
    """R0.44 start and end are inclusive."""
    event = TraceEvent(event_type="t", component="c", timestamp=Timestamp(moment))
    assert TraceQuery(Timestamp(10), Timestamp(20)).matches(event) is inside


def test_a_query_may_name_a_model_by_its_id() -> None:
    """R0.44 R3.1 A ModelID asks for the same events as its text."""
    assert TraceQuery(model_id=ModelID("ocr")) == TraceQuery(model_id="ocr")


@pytest.mark.parametrize(
    ("given_filters", "said"),
    [
        ({"start": 5}, "start must be a whence.Timestamp, not int"),
        ({"end": 0.5}, "end must be a whence.Timestamp, not float"),
        ({"event_type": b"t"}, "event_type must be str, not bytes"),
        ({"model_id": 5}, "model_id must be str, not int"),
        ({"component": 3}, "component must be str, not int"),
        ({"min_severity": "Warning"}, "min_severity must be a whence.Severity, not str"),
        ({"min_severity": 2}, "min_severity must be a whence.Severity, not int"),
        ({"request_id": 17}, "request_id must be str, not int"),
        ({"event_type": {"t"}}, "event_type must be str, not set"),
        ({"component": ["c", 3]}, "component must be str or several of them"),
    ],
)
def test_a_filter_of_another_type_is_refused(given_filters: dict[str, Any], said: str) -> None:
    """R0.44 A filter that could match nothing is a mistake, and says what it wants."""
    with pytest.raises(TypeError) as refusal:
        TraceQuery(**given_filters)
    assert str(refusal.value) == said


def test_a_list_that_names_nothing_is_refused() -> None:
    """R0.44 R1.44 Nothing to choose from is a mistake; several types make one hashable query."""
    with pytest.raises(ValueError, match="name at least one"):
        TraceQuery(event_type=())
    assert hash(TraceQuery(event_type=["a", "b"])) == hash(TraceQuery(event_type=("a", "b")))
    assert TraceQuery(event_type="a").event_types == ("a",)
    assert TraceQuery().components is None


@pytest.mark.parametrize("name", ["has tick", "n = 1 and no free", "n ="])
def test_a_condition_that_looks_at_chains_is_refused(name: str) -> None:
    """R4.43 Events are asked for by their fields; whoever writes more is told."""
    with pytest.raises(BadCondition):
        TraceQuery(where=name)


def test_wall_time_counts_from_its_beginning_to_before_its_end() -> None:
    """R4.43 An interval of wall time holds its first moment and not its last."""
    tick = TraceEvent(event_type="a", component="a", timestamp=Timestamp(1))
    query = TraceQuery(from_wall_ns=10, until_wall_ns=20)
    assert [query.matches(tick, at) for at in (9, 10, 19, 20, None)] == [0, 1, 1, 0, 0]


def test_filters_that_make_no_sense_are_refused() -> None:
    """R0.44 Truth values are no times, a trace id has 32 digits."""
    with pytest.raises(TypeError, match="from_wall_ns must be int, not bool"):
        TraceQuery(from_wall_ns=True)
    with pytest.raises(TypeError, match="has_errors must be bool"):
        TraceQuery(has_errors=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="32 hexadecimal"):
        TraceQuery(trace_id="17")
