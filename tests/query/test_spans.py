"""Spans in chains: order, depth, what is open and what is missing."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.query.build import SESSION, at_ms, event, ledger, recording, session
from whence.model.event import TraceEvent
from whence.model.recording import OpenSpan, Recording
from whence.model.time import Duration
from whence.query.index import Index
from whence.query.spans import SpanTree, in_span_order, open_spans, parent_of
from whence.query.why import why

TRACE = "ab" * 16


def span(
    name: str, span_id: int, parent: int = 0, start_ms: float = 0, ms: float = 1, ticket: int = 0
) -> TraceEvent:
    """A span that has ended."""
    made = event(name, start_ms, ticket=ticket, attributes={"n": 1})
    return replace(
        made,
        span=True,
        span_id=span_id,
        parent_span_id=parent,
        duration=Duration.from_micros(round(ms * 1000)),
        trace_id=TRACE,
    )


def inside(name: str, span_id: int, at_ms: float, ticket: int = 0) -> TraceEvent:
    """An event inside a span."""
    return replace(event(name, at_ms, ticket=ticket), span_id=span_id, trace_id=TRACE)


def opened(name: str, span_id: int, parent: int = 0, start_ms: float = 0) -> OpenSpan:
    """A span that has not ended."""
    return OpenSpan(
        name=name,
        component="C",
        span_id=span_id,
        parent_span_id=parent,
        start_ns=event("x", start_ms).timestamp.value_ns,
        request_id="req-1",
        session=SESSION,
        ring=0,
    )


def with_open(events: list[TraceEvent], *spans: OpenSpan, live: bool = True) -> Recording:
    """A recording whose ring has these spans open."""
    ring = replace(ledger(events), open_spans=spans)
    return recording(
        events, rings=[ring], sessions=[session(live=live, state="recording" if live else "dead")]
    )


def test_children_are_indented_under_their_parents() -> None:
    """A span shows at its start, with its duration, before what happened in it. R5.11 R5.2"""
    events = [
        span("outer", 1, 0, 0, 10, ticket=3),
        inside("said", 2, 2.5, ticket=0),
        span("inner", 2, 1, 2, 3, ticket=1),
        inside("after", 1, 6, ticket=2),
    ]
    story = why(recording(events), "req-1").story
    assert [(row.event_type, row.depth) for row in story] == [
        ("outer", 0),
        ("inner", 1),
        ("said", 2),
        ("after", 1),
    ]
    assert story[0].duration_ns == 10_000_000
    assert "took 10.0 ms" in story[0].sentence


def test_a_parent_comes_first_even_where_the_clocks_differ() -> None:
    """Who is inside whom is sure, time between threads is not. R5.11"""
    events = [
        inside("said", 2, 0.9, ticket=0),
        span("inner", 2, 1, 0.95, 1, ticket=1),
        span("outer", 1, 0, 1, 5, ticket=2),
        span("same start", 3, 1, 1, 1, ticket=0),
    ]
    index = Index(recording(events))
    ordered = index.at(range(4))
    assert [each.event_type for each in ordered] == ["outer", "inner", "same start", "said"]


def test_a_circle_of_parents_ends() -> None:
    """Only a damaged file has one; the events are all there. R5.16"""
    events = [span("a", 1, 2, ticket=0), span("b", 2, 1, ticket=1), span("c", 3, 3, ticket=2)]
    index = Index(recording(events))
    assert {each.event_type for each in index.at(range(3))} == {"a", "b", "c"}
    assert SpanTree(index, events).depth(1) <= 3
    assert len(why(recording(events), "req-1").story) == 3


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 50)), min_size=1, max_size=12))
def test_no_span_stands_before_its_parent(rows: list[tuple[int, int]]) -> None:
    """Whatever the times: all events once, parents first. R5.11"""
    events = [
        span(f"s{number}", number + 1, min(parent, number), start, 1, ticket=number)
        for number, (parent, start) in enumerate(rows)
    ]
    index = Index(recording(events))
    ordered = in_span_order(index.events, index.time_ns)
    assert sorted(e.span_id for e in ordered) == list(range(1, len(rows) + 1))
    seen = {0}
    for each in ordered:
        assert parent_of(each) in seen
        seen.add(each.span_id)


def test_an_open_span_is_part_of_the_story() -> None:
    """While the process lives it is still open, which is no gap. R5.16 R5.1"""
    events = [inside("said", 8, 2), inside("later", 9, 5, ticket=1)]
    found = with_open(events, opened("outer", 8, 0, 1), opened("inner", 9, 8, 3))
    answer = why(found, "req-1")
    assert [(row.event_type, row.depth, row.open) for row in answer.story] == [
        ("outer", 0, True),
        ("said", 1, False),
        ("inner", 1, True),
        ("later", 2, False),
    ]
    assert answer.story[0].sentence == "still open, after 4.0 ms at least"
    assert answer.story[0].offset_ns == 0
    assert answer.complete


def test_a_span_that_its_process_took_with_it_is_a_gap() -> None:
    """The answer says so and is not complete. R5.16 R5.1"""
    found = with_open([inside("said", 8, 2)], opened("outer", 8, 0, 1), live=False)
    answer = why(found, "req-1")
    assert answer.story[0].wrong
    assert "open when pid" in answer.story[0].sentence
    (gap,) = answer.gaps
    assert (gap.sentence, gap.causes[0].kind) == ("the end of outer", "crashed")
    assert not answer.complete


def test_a_span_that_ended_meanwhile_is_not_open() -> None:
    """The table is read before the events. R5.1"""
    events = [span("outer", 8, 0, 1)]
    found = with_open(events, opened("outer", 8, 0, 1), opened("other", 9, 8, 2))
    assert set(open_spans(found)) == {9}


def test_a_missing_parent_is_explained_as_far_as_known() -> None:
    """Possibly overwritten, perhaps another process's; the request itself is none. R5.16"""
    events = [span("child", 5, 77, 3), inside("said", 78, 4, ticket=1)]
    answer = why(recording(events), "req-1")
    assert [gap.optional for gap in answer.gaps] == [True, True]
    assert "span 000000000000004d, around 1 event" in answer.gaps[0].sentence
    assert "another process" in answer.gaps[0].causes[0].sentence
    lossy = recording(events, rings=[ledger(events, lost={"alloc": 10}, oldest_ns=at_ms(4))])
    causes = [gap.causes[0].kind for gap in why(lossy, "req-1").gaps if gap.optional]
    assert causes == ["possibly lost"] * 2
    root = replace(events[0], parent_span_id=int(TRACE[16:], 16))
    assert why(recording([root]), "req-1").gaps == ()


def test_a_program_of_spans_alone_has_a_story() -> None:
    """R5.11 R5.12 Without a request its trace is its chain: spans in order, the open one found."""
    events = [
        replace(span("query", 6, 5, 1, 2, ticket=0), request_id="", decision_chain_id=""),
        replace(span("load", 5, 4, 0.5, 5, ticket=1), request_id="", decision_chain_id=""),
    ]
    root = replace(opened("main", 4), request_id="", trace_id=TRACE)
    lone = replace(opened("wait", 3, start_ms=0.2), request_id="", trace_id=TRACE)
    found = with_open(events, root, lone)
    for text in (None, TRACE, f"{4:016x}", f"{3:016x}"):
        answer = why(found, text)
        assert answer.name == TRACE
        assert [(row.event_type, row.depth) for row in answer.story] == [
            ("main", 0),
            ("wait", 0),
            ("load", 1),
            ("query", 2),
        ]
