"""Spans: with, async with, plain calls; their ids, parents, attributes, links and errors."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

import whence
from tests.own_events import OwnEvents
from whence import _native
from whence.model.event import TraceEvent

step = whence.kind("span_step", component="Span", n=int)
wide = whence.kind("span_wide", component="Span", a=int, b=int, c=int)


def spans(recorded: OwnEvents) -> dict[str, TraceEvent]:
    """The spans by their names."""
    return {event.event_type: event for event in recorded() if event.span}


def test_a_span_is_one_event_with_start_duration_and_parent(recorded: OwnEvents) -> None:
    """Written at its end; its time is its start. R5.2"""
    with whence.span("outer", component="Agent") as outer, whence.span("inner") as inner:
        step(1)
    by_name = spans(recorded)
    assert by_name["outer"].component == "Agent"
    assert by_name["inner"].component == __name__
    assert by_name["inner"].parent_span_id == by_name["outer"].span_id == outer.span_id
    assert by_name["inner"].span_id == inner.span_id
    assert by_name["outer"].parent_span_id == 0
    assert by_name["outer"].timestamp <= by_name["inner"].timestamp
    assert by_name["outer"].duration >= by_name["inner"].duration
    assert outer.trace_id == inner.trace_id == by_name["inner"].trace_id
    assert len(set(outer.trace_id)) > 4  # random-looking


def test_events_inside_carry_the_span(recorded: OwnEvents) -> None:
    """Whether the id fits the slot or goes to the text. R5.2 R5.3"""
    collector = whence.TraceCollector(5)
    with whence.span("around") as around:
        step(1)
        wide(1, 2, 3)
        collector.record_now("said", "Span", "something")
    step(2)
    events = [event for event in recorded() if event.event_type in ("span_step", "span_wide")]
    assert [event.span_id for event in events] == [around.span_id, around.span_id, 0]
    assert [event.trace_id for event in events] == [around.trace_id, around.trace_id, ""]
    assert [event.span_id for event in collector] == [around.span_id]
    assert events[1].attributes == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize(
    "request_id",
    ["req-1", "0b0a7e58-3f1c-4c5e-9d3c-1f2e3d4c5b6a", "a request of more than 16 bytes"],
)
def test_a_span_belongs_to_the_ambient_request(recorded: OwnEvents, request_id: str) -> None:
    """And to its trace, which readers derive alike: a UUID is its own trace id. R5.2 R5.3"""
    with whence.request(request_id, decision_chain_id="c", lineage_id=7) as context:
        with whence.span("work", tool="search") as work:
            step(1)
        assert work.trace_id == context.trace_id
    found = recorded()
    assert {event.request_id for event in found} == {request_id}
    assert {event.trace_id for event in found} == {work.trace_id}
    assert {event.decision_chain_id for event in found} == {"c"}
    assert {event.lineage_id for event in found} == {7}
    if "-4c5e-" in request_id:
        assert work.trace_id == request_id.replace("-", "")


def test_attributes_keep_their_types_and_may_be_added(recorded: OwnEvents) -> None:
    """By set(), until the end; the last value counts. R5.2"""
    with whence.span("typed", a=1, b=2.5, c="text", d=True) as span:
        span.set(a=2, e=[1, 2])
    span.set(a=3)
    (event,) = recorded()
    assert event.attributes == {"a": 2, "b": 2.5, "c": "text", "d": True, "e": "[1, 2]"}
    assert [type(value) for value in event.attributes.values()] == [int, float, str, bool, str]


def test_links_lead_to_other_spans(recorded: OwnEvents) -> None:
    """To a context, a span, a traceparent or a pair of ids, each with attributes. R5.2"""
    with whence.span("first") as first:
        context = whence.current()
    with whence.span("second") as second:
        second.link(first, why="continued")
        second.link(context)
        second.link(f"00-{'ab' * 16}-00000000000000ff-01", n=1, x=0.5, b=True)
        second.link(("cd" * 16, 2**64 - 1))
        for wrong in (5, "no traceparent", ("too short", 1), None):
            with pytest.raises(TypeError, match="link"):
                second.link(wrong)  # type: ignore[arg-type]
    links = spans(recorded)["second"].links
    assert links[0] == (first.trace_id, first.span_id, {"why": "continued"})
    assert links[1] == (first.trace_id, first.span_id, {})
    assert links[2] == ("ab" * 16, 255, {"n": 1, "x": 0.5, "b": True})
    assert links[3] == ("cd" * 16, 2**64 - 1, {})


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_exception_is_noted_and_goes_on(recorded: OwnEvents, asynchronous: bool) -> None:
    """Status error with type and message, severity Error. R5.2"""

    async def fail_later() -> None:
        async with whence.span("failing"):
            raise ValueError("no such tool")

    def fail() -> None:
        with whence.span("failing"):
            raise ValueError("no such tool")

    with pytest.raises(ValueError, match="no such tool"):
        asyncio.run(fail_later()) if asynchronous else fail()
    (event,) = recorded()
    assert (event.status, event.status_message) == ("error", "ValueError: no such tool")
    assert event.severity is whence.Severity.Error


def test_what_only_stops_a_span_is_no_error_of_its_own(recorded: OwnEvents) -> None:
    """KeyboardInterrupt and cancellation are warnings; closing a generator is nothing. R5.2"""
    for raised, status, severity in (
        (KeyboardInterrupt(), "error", whence.Severity.Warning),
        (asyncio.CancelledError(), "error", whence.Severity.Warning),
        (GeneratorExit(), "", whence.Severity.Info),
    ):
        with pytest.raises(type(raised)), whence.span("stopped"):
            raise raised
        event = recorded()[-1]
        assert (event.status, event.severity) == (status, severity)


class Unprintable(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("bad weather", "bad weather"),
        (ValueError("x"), "ValueError: x"),
        (ValueError(), "ValueError"),
        (Unprintable(), "Unprintable"),
        (ValueError("\ud800"), "ValueError: \\ud800"),
    ],
)
def test_plain_calls_end_a_span_once(recorded: OwnEvents, error: Any, message: str) -> None:
    """end() takes an exception or a text; ending again changes nothing. R5.2"""
    span = whence.span("plain")
    assert span.open
    assert span
    span.end(error)
    span.end("another")
    span.set(a=1)
    assert not span.open
    (event,) = recorded()
    assert (event.status, event.status_message, event.attributes) == ("error", message, {})
    assert (span.span_id, span.trace_id) == (event.span_id, event.trace_id)


def test_a_span_may_end_inside_its_with(recorded: OwnEvents) -> None:
    """It is recorded once, and what was ambient before comes back. R5.2"""
    with whence.span("early") as span:
        span.end()
        step(1)
    assert whence.current().span_id == 0
    assert [event.event_type for event in recorded()] == ["early", "span_step"]


def test_another_thread_may_end_a_span(recorded: OwnEvents) -> None:
    """It is recorded in that thread's ring and is open no more. R5.2"""
    span = whence.span("handed over")
    thread = threading.Thread(target=span.end)
    thread.start()
    thread.join()
    events = recorded()
    assert [event.event_type for event in events] == ["handed over"]
    assert open_names() == []


def open_names() -> list[str]:
    """The names of the spans that this process's rings have as open."""
    recording = whence.collector().recording()
    return [span.name for ring in recording.rings for span in ring.open_spans]


def test_open_spans_are_seen_while_they_are_open(recorded: OwnEvents) -> None:
    """With name, parent, start and request. R5.1 R5.16"""
    name = "a name that is long " * 10
    with whence.request("req-9"), whence.span("outer") as outer, whence.span(name) as inner:
        rings = whence.collector().recording().rings
        first, second = (span for ring in rings for span in ring.open_spans)
        assert (first.name, second.name) == ("outer", name)
        assert (first.span_id, second.span_id) == (outer.span_id, inner.span_id)
        assert (first.parent_span_id, second.parent_span_id) == (0, outer.span_id)
        assert first.request_id == second.request_id == "req-9"
        assert 0 < first.start_ns <= second.start_ns
    assert open_names() == []


def test_more_open_spans_than_the_table_holds_are_counted(recorded: OwnEvents) -> None:
    """128 a thread; the others are recorded all the same. R5.1"""
    before = sum(ring.open_spans_unseen for ring in whence.collector().recording().rings)
    many = [whence.span("many", n=n) for n in range(150)]
    rings = whence.collector().recording().rings
    assert sum(len(ring.open_spans) for ring in rings) == 128
    assert sum(ring.open_spans_unseen for ring in rings) - before == 22
    for span in many:
        span.end()
    assert open_names() == []
    assert sorted(event.attributes["n"] for event in recorded()) == list(range(150))  # type: ignore[type-var]


def test_a_span_that_nobody_ends_is_recorded_when_it_is_collected(recorded: OwnEvents) -> None:
    """As abandoned, with a warning's severity. R5.2"""
    whence.span("forgotten", tool="x")
    gc.collect()
    (event,) = recorded()
    assert event.attributes == {"tool": "x", "abandoned": True}
    assert event.severity is whence.Severity.Warning


def test_deep_nesting_leads_back_step_by_step(recorded: OwnEvents) -> None:
    """More levels than the table of open spans has places. R5.2"""

    def nest(depth: int) -> None:
        with whence.span("level", n=depth):
            if depth < 300:
                nest(depth + 1)

    nest(0)
    by_id = {event.span_id: event for event in recorded()}
    assert len(by_id) == 301
    for event in by_id.values():
        parent = by_id.get(event.parent_span_id)
        assert (parent is None) == (event.attributes["n"] == 0)
        if parent is not None:
            assert parent.attributes["n"] == event.attributes["n"] - 1  # type: ignore[operator]
    assert whence.current().span_id == 0


def test_spans_are_switched_off_by_name(recorded: OwnEvents) -> None:
    """Then nothing is recorded, and what is inside belongs to the span around. R5.2"""
    with whence.span("around") as around:
        with whence.span("quiet"):
            pass
        _native.set_rule("quiet", 0)
        with whence.span("quiet", a=1) as quiet:
            step(1)
            quiet.set(b=2)
            quiet.link(around)
            assert not quiet.open
            assert (quiet.context, quiet.span_id, quiet.trace_id) == (None, 0, "")
        _native.set_rule("quiet", 1)
    events = recorded()
    assert [event.event_type for event in events] == ["around", "quiet", "span_step"]
    assert events[2].span_id == around.span_id


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: whence.span(), "takes the span's name"),  # type: ignore[call-arg]
        (lambda: whence.span(5), "takes the span's name"),  # type: ignore[arg-type]
        (lambda: whence.span("a", "b"), "takes the span's name"),  # type: ignore[misc]
        (lambda: whence.span("a", component=5), "component must be str"),  # type: ignore[arg-type]
        (lambda: whence.span("a").set(1), "keywords"),  # type: ignore[misc]
        (lambda: whence.span("a").link(), "argument"),  # type: ignore[call-arg]
    ],
)
def test_wrong_arguments_are_refused(make: Callable[[], object], message: str) -> None:
    """With a message that says what is wanted. R5.2"""
    with pytest.raises(TypeError, match=message):
        make()
    with pytest.raises(ValueError, match="empty"):
        whence.span("")


def test_a_span_is_entered_once(recorded: OwnEvents) -> None:
    """A second `with` on it would have no way back. R5.2"""
    with whence.span("once") as span, pytest.raises(RuntimeError, match="entered"), span:
        pass
    with span:  # ended: nothing more happens
        assert whence.current().span_id == 0
    assert len(recorded()) == 1
