"""record() keeps a built event as it is: its id, its time, every field."""

from __future__ import annotations

import math
import sys
import uuid
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from whence.model.builder import TraceEventBuilder
from whence.model.event import Option, SpanLink, TraceEvent
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp

int64 = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
PLACE = {"session": "", "ring": -1, "ticket": -1}
uint64 = st.integers(0, 2**64 - 1)
trace_ids = st.integers(1, 2**128 - 1).map("{:032x}".format)
attributes = st.dictionaries(
    texts, st.booleans() | int64 | st.floats(allow_nan=False) | texts, max_size=5
)


@st.composite
def built_events(draw: st.DrawFn) -> TraceEvent:
    """An event with anything that a recorder keeps."""
    decision = draw(st.booleans())
    return TraceEvent(
        event_id=draw(st.uuids().map(str) | names),
        event_type=draw(st.sampled_from(["alloc", "admission", "é"])),
        component=draw(st.sampled_from(["Pool", "\0"])),
        timestamp=Timestamp(draw(st.integers(0, 2**63 - 1))),
        duration=Duration(draw(int64)),
        model_id=draw(texts),
        request_id=draw(texts),
        rationale=draw(texts.filter(str.strip) if decision else texts),
        severity=draw(st.sampled_from(Severity)),
        attributes=draw(attributes),
        decision_chain_id=draw(texts),
        options=tuple(
            draw(
                st.lists(
                    st.builds(
                        Option,
                        texts,
                        st.dictionaries(texts, st.floats(allow_nan=False), max_size=3),
                        st.booleans(),
                        texts,
                    ),
                    max_size=3,
                )
            )
        ),
        caused_by=draw(texts),
        lineage_id=draw(st.integers(0, 2**64 - 1)),
        decision=decision,
        trace_id=draw(trace_ids | st.just("")),
        span=draw(st.booleans()),
        span_id=draw(uint64),
        parent_span_id=draw(uint64),
        status=draw(st.sampled_from(["", "ok", "error"])),
        status_message=draw(texts),
        links=tuple(
            draw(
                st.lists(
                    st.builds(SpanLink, trace_ids | st.just(""), uint64, attributes), max_size=2
                )
            )
        ),
    )


@given(st.lists(built_events(), max_size=5))
def test_an_event_comes_back_as_it_was_built(events: list[TraceEvent]) -> None:
    """Record and query: every field is equal, those of spans included.

    R0.22 R0.25 R0.31 R0.34 R0.38 R0.58 R5.2
    """
    collector = whence.TraceCollector(10)
    for event in events:
        collector.record(event)
    wanted = sorted(events, key=lambda event: event.timestamp)
    for read, known in zip(collector, wanted, strict=True):
        # where no trace was said, the request's is shown
        event = replace(read, **PLACE, trace_id=known.trace_id and read.trace_id)
        assert event == known
        assert {k: type(v) for k, v in event.attributes.items()} == {
            k: type(v) for k, v in known.attributes.items()
        }


def test_the_builder_and_the_collector_agree() -> None:
    """Id and time are given once, by build(), and stay. R0.22 R0.34"""
    collector = whence.TraceCollector(3)
    event = TraceEventBuilder().with_type("t").with_component("C").build()
    collector.record(event)
    collector.record(event)
    first, second = collector
    assert first.event_id == second.event_id == event.event_id
    assert uuid.UUID(event.event_id).version == 4
    assert first.timestamp == second.timestamp == event.timestamp
    assert (first.ticket, second.ticket) == (0, 1)


def test_an_event_without_an_id_gets_that_of_its_place() -> None:
    """A TraceEvent made by hand may lack one. R0.22"""
    collector = whence.TraceCollector(3)
    collector.record(TraceEvent(event_type="t", component="C", timestamp=Timestamp(5)))
    (event,) = collector
    assert uuid.UUID(event.event_id).version == 8
    assert event.timestamp == Timestamp(5)


@pytest.mark.parametrize(
    "event_id", ["x", "é" * 50, "4F1C0A5E-8A52-4D6E-9C8A-0A64B9F1D1AA", "0" * 36]
)
def test_an_id_of_any_form_is_kept_as_it_is_written(event_id: str) -> None:
    """Ids that are no canonical UUIDs stay as they were given. R0.22"""
    collector = whence.TraceCollector(3)
    collector.record(
        TraceEvent(event_id=event_id, event_type="t", component="C", timestamp=Timestamp(5))
    )
    assert next(iter(collector)).event_id == event_id


def test_what_an_event_says_goes_before_the_ambient_request() -> None:
    """Given request, chain and lineage hold; what is not given is inherited. R0.28"""
    collector = whence.TraceCollector(4)
    bare = TraceEvent(event_type="t", component="C", timestamp=Timestamp(1))
    given_all = replace(
        bare, request_id="own", decision_chain_id="own chain", lineage_id=5, timestamp=Timestamp(2)
    )
    given_lineage = replace(bare, lineage_id=6, timestamp=Timestamp(3))
    given_chain = replace(bare, decision_chain_id="own chain", timestamp=Timestamp(4))
    with whence.request("ambient", decision_chain_id="ambient chain", lineage_id=7):
        for event in (bare, given_all, given_lineage, given_chain):
            collector.record(event)
    assert [(e.request_id, e.decision_chain_id, e.lineage_id) for e in collector] == [
        ("ambient", "ambient chain", 7),
        ("own", "own chain", 5),
        ("ambient", "ambient chain", 6),
        ("ambient", "own chain", 7),
    ]


@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u3000"])
@pytest.mark.parametrize(
    "decision",
    [
        {"event_type": "scheduling_decision"},
        {"event_type": "admission_decision"},
        {"event_type": "admission_result"},
        {"event_type": "approval", "decision": True},
    ],
)
def test_a_decision_without_a_rationale_is_refused_and_counted(
    blank: str, decision: dict[str, Any]
) -> None:
    """By its type or because it says so; it is not stored. R0.29"""
    collector = whence.TraceCollector(3)
    event = TraceEvent(component="C", timestamp=Timestamp(1), rationale=blank, **decision)
    with pytest.raises(ValueError, match="needs a rationale"):
        collector.record(event)
    assert collector.size() == 0
    (ring,) = collector.recording().rings
    assert [(row.kind, row.rejected) for row in ring.per_kind] == [(decision["event_type"], 1)]
    collector.record(replace(event, rationale="because"))
    assert [(e.rationale, e.decision) for e in collector] == [("because", True)]


def test_a_time_before_the_clock_began_is_refused_and_counted() -> None:
    """A monotonic clock never shows one; another time is never put in its place. R0.25 R0.52"""
    collector = whence.TraceCollector(3)
    with pytest.raises(ValueError, match="timestamp"):
        collector.record(TraceEvent(event_type="t", component="C", timestamp=Timestamp(-1)))
    collector.record(TraceEvent(event_type="t", component="C", timestamp=Timestamp(0)))
    assert [event.timestamp for event in collector] == [Timestamp(0)]
    assert sum(row.rejected for row in collector.recording().rings[0].per_kind) == 1


@pytest.mark.parametrize("thing", [None, "event", {"event_type": "t"}, TraceEventBuilder()])
def test_only_events_are_recorded(thing: Any) -> None:
    """An unfinished builder is no event. R0.33 R0.60"""
    with pytest.raises(TypeError, match="takes a TraceEvent"):
        whence.TraceCollector(3).record(thing)


def test_numbers_beyond_64_bits_are_kept_as_their_digits() -> None:
    """An attribute may be any int; what no field holds becomes text, never another number. R0.31"""
    collector = whence.TraceCollector(2)
    values = {
        "most": 2**63 - 1,
        "least": -(2**63),
        "more": 2**63,
        "less": -(2**63) - 1,
        "big": 10**50,
    }
    collector.record_now("t", "C", attributes=values)
    (event,) = collector
    assert event.attributes == values | {
        name: str(values[name]) for name in ("more", "less", "big")
    }


def test_numbers_of_hundreds_of_digits_are_kept_in_hexadecimal() -> None:
    """Beyond 2,048 bits, whatever limit Python has on decimal digits. R0.31"""
    collector = whence.TraceCollector(2)
    limit = sys.get_int_max_str_digits()
    huge = 10**5000
    sys.set_int_max_str_digits(640)
    try:
        collector.record_now(
            "t", "C", attributes={"a": 2**2048 - 1, "b": 2**2048, "c": -huge, "d": -(2**2048) + 1}
        )
        (event,) = collector
        kept = {name: str(value) for name, value in event.attributes.items()}
        assert kept["a"] == str(2**2048 - 1)
        assert kept["b"] == hex(2**2048)
        assert kept["c"] == hex(-huge)
        assert kept["d"] == str(-(2**2048) + 1)
        with pytest.raises(OverflowError):
            collector.record_now("t", "C", duration=huge)
    finally:
        sys.set_int_max_str_digits(limit)


def test_not_a_number_is_kept() -> None:
    """NaN and infinities in attributes and scores. R0.31"""
    collector = whence.TraceCollector(2)
    collector.record(
        TraceEvent(
            event_type="t",
            component="C",
            timestamp=Timestamp(1),
            attributes={"nan": math.nan, "inf": -math.inf},
            options=(Option("a", {"nan": math.nan, "inf": math.inf}),),
        )
    )
    (event,) = collector
    assert repr(dict(event.attributes)) == "{'nan': nan, 'inf': -inf}"
    assert repr(dict(event.options[0].scores)) == "{'nan': nan, 'inf': inf}"


def test_ids_too_long_to_keep_stay_apart() -> None:
    """R0.28 R0.49 Two decision chains whose ids only begin alike are two, and both are flagged."""
    collector = whence.TraceCollector(10)
    beginning = "é" * 60_000
    for end in ("1", "2", "1"):
        collector.record(
            TraceEventBuilder()
            .with_type("step")
            .with_component("C")
            .with_request("r")
            .with_decision_chain(beginning + end)
            .with_caused_by(beginning + end)
            .build()
        )
    events = collector.query()
    first, second, third = (event.decision_chain_id for event in events)
    assert first == third != second
    assert all(event.truncated for event in events)
    assert all(event.caused_by == event.decision_chain_id for event in events)
    assert first.startswith("é" * 32 + "~")
