"""Batch.select picks the events that TraceQuery.matches picks, and its parts are whole batches."""

from __future__ import annotations

import contextlib
import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from tests.own_events import OwnEvents
from whence import _native
from whence._native import Batch, Catalogue
from whence.collect.events import to_events
from whence.collect.local import local_session
from whence.model.query import TraceQuery
from whence.model.severity import Severity
from whence.model.time import Timestamp

TYPES = ("alloc", "swap", "select_wide")
COMPONENTS = ("Pool", "Pager")
MODELS = ("", "ocr", "a model whose name is rather long and so lies in the text")
REQUESTS = (
    "",
    "req-1",
    "0b5f3f4e-8c9d-4a52-9a53-0f1e2d3c4b5a",
    "a request whose id is too long for sixteen bytes",
)
SMALL = whence.kind("select_small", component="Pool", n=int)
WIDE = whence.kind("select_wide", component="Pager", a=int, b=int, c=int, d=int, model_id=str)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """A batch of some events: of kinds and by record_now, some of whose text was overtaken."""
    own = OwnEvents()
    collector = whence.TraceCollector(draw(st.sampled_from([4, 64])))
    for n in range(draw(st.integers(0, 30))):
        request = draw(st.sampled_from(REQUESTS))
        how = draw(st.sampled_from(["built", "small", "wide"]))
        with whence.request(request) if request else contextlib.nullcontext():
            if how == "small":
                SMALL(n)
            elif how == "wide":
                WIDE(n, 1, 2, 3, draw(st.sampled_from(MODELS)))
            else:
                collector.record_now(
                    draw(st.sampled_from(TYPES)),
                    draw(st.sampled_from(COMPONENTS)),
                    "because " * draw(st.sampled_from([0, 1, 30])),
                    model_id=draw(st.sampled_from(MODELS)),
                    severity=draw(st.sampled_from(list(Severity))),
                )
    return own.batch()


@st.composite
def queries(draw: st.DrawFn, batch: Batch) -> TraceQuery:
    """Filters, each of which passes some events and not others."""
    times = [row[3] for row in batch.rows()] or [7]
    maybe = st.none
    moments = maybe() | st.sampled_from(times).map(Timestamp)
    lost = [row[6] for row in batch.rows() if row[6].startswith("lost:")]
    return TraceQuery(
        start=draw(moments),
        end=draw(moments),
        event_type=draw(maybe() | st.sampled_from(TYPES)),
        component=draw(maybe() | st.sampled_from(COMPONENTS)),
        model_id=draw(maybe() | st.sampled_from(MODELS)),
        min_severity=draw(maybe() | st.sampled_from(list(Severity))),
        request_id=draw(maybe() | st.sampled_from([*REQUESTS, *lost])),
    )


def selected(batch: Batch, query: TraceQuery) -> Batch:
    """What the native filters pick for a query."""
    return batch.select(
        start_ns=query.start.value_ns if query.start else None,
        end_ns=query.end.value_ns if query.end else None,
        event_types=None if query.event_type is None else [query.event_type],
        components=None if query.component is None else [query.component],
        model_id=None if query.model_id is None else str(query.model_id),
        request_id=query.request_id,
        min_severity=query.min_severity or 0,
    )


@given(st.data())
def test_native_filters_pick_what_the_query_matches(data: st.DataObject) -> None:
    """The one predicate decides: native selection gives its events, whole and in order. R1.44"""
    batch = data.draw(batches())
    query = data.draw(queries(batch))
    expected = [event for event in to_events(batch.rows()) if query.matches(event)]
    found = selected(batch, query)
    assert to_events(found.rows()) == expected
    assert len(found) == len(expected)


@given(st.data())
def test_parts_of_a_batch_in_time_make_up_the_whole(data: st.DataObject) -> None:
    """Cut anywhere in order of time, the parts hold every event once. R1.39"""
    batch = data.draw(batches())
    cut = data.draw(st.integers(0, len(batch)))
    head, tail = batch.select(last=cut), batch.select(first=cut)
    assert head.rows() + tail.rows() == batch.rows()
    assert (len(head), len(tail)) == (cut, len(batch) - cut)


@given(st.data())
def test_events_before_a_ticket_are_left_out(data: st.DataObject) -> None:
    """A sink that had some of a ring's events already gets those from its own place on. R1.39"""
    batch = data.draw(batches())
    rows = batch.rows()
    first = data.draw(st.integers(0, 40))
    places = {(row[17], row[18]): first for row in rows}
    assert batch.select(from_tickets=places).rows() == [r for r in rows if r[19] >= first]
    assert len(batch.select(from_tickets={("another", 0): 2**60})) == len(rows)


def test_a_component_may_be_one_of_several(recorded: OwnEvents) -> None:
    """Several types or components mean any of them. R1.44"""
    collector = whence.TraceCollector(8)
    for name in ("a", "b", "c"):
        collector.record_now(name, "X")
    batch = recorded.batch()
    assert [row[1] for row in batch.select(event_types=["a", "c"]).rows()] == ["a", "c"]
    assert [row[1] for row in batch.select(components=[]).rows()] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"event_types": "alloc"},
        {"components": [3]},
        {"model_id": 4},
        {"from_tickets": {"ring": 3}},
        {"from_tickets": [1]},
        {"start_ns": "now"},
    ],
)
def test_a_filter_of_another_type_is_an_error(wrong: dict[str, Any]) -> None:
    """Filters are never quietly misunderstood. R1.44"""
    with pytest.raises(TypeError):
        Batch().select(**wrong)


def test_lines_of_json_say_the_wall_time(recorded: OwnEvents) -> None:
    """Each event is one line; sessions whose clock is known get a wall time. R1.41"""
    collector = whence.TraceCollector(8)
    collector.record_now("a", "X")
    batch = recorded.batch()
    session = local_session()
    assert session is not None
    anchors = [(anchor.monotonic_ns, anchor.wall_ns) for anchor in session.anchors]
    text = b"".join(batch.json(lines=True, clocks={session.name: anchors}))
    event = json.loads(text)
    assert text.endswith(b"}\n")
    assert event["wall_ns"] == session.wall_ns(event["timestamp_ns"])
    assert "wall_ns" not in json.loads(b"".join(batch.json()))


def test_names_are_learnt_while_others_encode() -> None:
    """Sinks read a batch in their threads while the dictionary of its session grows. R1.39"""
    collector = whence.TraceCollector(2000)
    session_batch, catalogue = Batch(), Catalogue()
    collector.record_now("first", "X")
    session = local_session()
    reader = _native.shared_ring_reader(collector)
    assert session is not None
    assert reader is not None
    for n in range(1500):
        collector.record_now(f"learn-{n % 700}", "X", model_id=f"m{n % 300}")
    session_batch.drain(reader, catalogue, session.name, session.key)
    over = threading.Event()
    failures: list[BaseException] = []

    def encode() -> None:
        try:
            while not over.is_set():
                session_batch.json()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=encode) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        catalogue.update_local()
        session_batch.select(event_types=["first"])
    over.set()
    for thread in threads:
        thread.join()
    assert failures == []
