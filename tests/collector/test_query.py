"""Questions to a collector: filters, order, chains; always equal to looking at every event."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from whence.model.ids import ModelID
from whence.model.query import TraceQuery
from whence.model.severity import Severity
from whence.model.time import Timestamp

Make = Callable[..., whence.TraceCollector]


def event(n: int, **fields: Any) -> whence.TraceEvent:
    """A built event at the time n."""
    given_fields = {"event_type": "t", "component": "C", "timestamp": Timestamp(n)} | fields
    return whence.TraceEvent(event_id=f"event-{n}", **given_fields)


@pytest.fixture
def collector() -> whence.TraceCollector:
    """Six events of two components, models, requests and four severities, recorded out of order."""
    collector = whence.TraceCollector(10)
    events = [
        event(1, component="Scheduler", model_id="ocr", request_id="a", severity=Severity.Info),
        event(2, component="Scheduler", model_id="det", request_id="b", severity=Severity.Error),
        event(3, component="Pool", event_type="alloc", request_id="a", severity=Severity.Debug),
        event(4, component="Pool", event_type="free", model_id="ocr", severity=Severity.Critical),
        event(5, component="Pool", event_type="alloc", model_id="ocr", request_id="a"),
        event(6, component="pool", model_id="OCR", severity=Severity.Warning),
    ]
    for each in random.Random(7).sample(events, len(events)):
        collector.record(each)
    return collector


def ids(events: list[whence.TraceEvent]) -> list[int]:
    """The numbers of the events."""
    return [int(each.event_id.removeprefix("event-")) for each in events]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"component": "Pool"}, [3, 4, 5]),
        ({"component": "P"}, []),
        ({"event_type": "alloc"}, [3, 5]),
        ({"model_id": "ocr"}, [1, 4, 5]),
        ({"model_id": ModelID("ocr")}, [1, 4, 5]),
        ({"model_id": ""}, [3]),
        ({"min_severity": Severity.Debug}, [1, 2, 3, 4, 5, 6]),
        ({"min_severity": Severity.Warning}, [2, 4, 6]),
        ({"min_severity": Severity.Critical}, [4]),
        ({"start": Timestamp(3)}, [3, 4, 5, 6]),
        ({"end": Timestamp(3)}, [1, 2, 3]),
        ({"start": Timestamp(2), "end": Timestamp(4)}, [2, 3, 4]),
        ({"start": Timestamp(5), "end": Timestamp(4)}, []),
        ({"request_id": "a"}, [1, 3, 5]),
        ({"component": "Pool", "model_id": "ocr", "min_severity": Severity.Info}, [4, 5]),
        ({"component": "Pool", "event_type": "alloc", "start": Timestamp(4)}, [5]),
    ],
)
def test_filters_must_all_hold(
    filters: dict[str, Any], found: list[int], collector: whence.TraceCollector
) -> None:
    """As keywords or as a TraceQuery; only what matches, in order of time. R0.44 R0.45 R0.58"""
    assert ids(collector.query(**filters)) == found
    assert ids(collector.query(TraceQuery(**filters))) == found
    assert ids(collector.query(q=TraceQuery(**filters))) == found


def test_there_are_words_for_the_common_questions(collector: whence.TraceCollector) -> None:
    """By component, by least severity, by model. R0.46 R0.47 R0.48"""
    assert ids(collector.query_by_component("Pool")) == [3, 4, 5]
    assert ids(collector.query_by_component("nobody")) == []
    assert ids(collector.query_by_severity(Severity.Warning)) == [2, 4, 6]
    assert ids(collector.query_by_severity(Severity.Error)) == [2, 4]
    assert ids(collector.query_by_model("ocr")) == [1, 4, 5]
    assert ids(collector.query_by_model(ModelID("det"))) == [2]
    assert ids(collector.query_by_model("")) == [3]


def test_a_question_that_cannot_be_meant_is_refused(collector: whence.TraceCollector) -> None:
    """Unknown filters, other types, and a query together with filters. R0.44"""
    with pytest.raises(TypeError, match="not both"):
        collector.query(TraceQuery(), component="Pool")
    with pytest.raises(TypeError, match="unknown"):
        collector.query(unknown=1)
    with pytest.raises(TypeError, match=r"filters such as request_id=.*not str"):
        collector.query("req-1")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"whence\.Severity, not str"):
        collector.query_by_severity("Warning")  # type: ignore[arg-type]


def test_an_answer_is_a_copy(collector: whence.TraceCollector) -> None:
    """What is recorded or cleared later does not change it. R0.45"""
    answer = collector.query()
    iterator = iter(collector)
    collector.clear()
    collector.record_now("later", "C")
    assert ids(answer) == [1, 2, 3, 4, 5, 6]
    assert [each.event_type for each in iterator][-1] == "t"
    assert [each.event_type for each in collector] == ["later"]


def test_events_of_one_moment_are_in_order_of_recording() -> None:
    """Ties of time are ordered by ticket, never left to chance. R0.6 R0.45 R0.49"""
    collector = whence.TraceCollector(100)
    order = random.Random(3).sample(range(100), 100)
    for n in order:
        collector.record(event(n, timestamp=Timestamp(n // 50), request_id="r"))
    wanted = [n for n in order if n < 50] + [n for n in order if n >= 50]
    assert ids(collector.query()) == wanted
    assert ids(collector.reconstruct_decision_chain("r")) == wanted


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5), st.sampled_from("AB"), st.sampled_from("XY"),
            st.sampled_from(Severity), st.sampled_from(["", "r", "s"]),
        ),
        max_size=15,
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "start": st.integers(0, 5).map(Timestamp),
            "end": st.integers(0, 5).map(Timestamp),
            "component": st.sampled_from("ABC"),
            "model_id": st.sampled_from(["X", "Y", ""]),
            "min_severity": st.sampled_from(Severity),
            "request_id": st.sampled_from(["", "r", "s"]),
        },
    ),
)  # fmt: skip
def test_a_query_finds_what_looking_at_every_event_finds(
    rows: list[tuple[int, str, str, Severity, str]], filters: dict[str, Any]
) -> None:
    """Any filters on any events. R0.44 R0.45 R0.46 R0.47 R0.48 R0.58"""
    collector = whence.TraceCollector(20)
    for n, (time, component, model, severity, request) in enumerate(rows):
        collector.record(
            event(
                n,
                timestamp=Timestamp(time),
                component=component,
                model_id=model,
                severity=severity,
                request_id=request,
            )
        )
    wanted = sorted(
        (time, n)
        for n, (time, component, model, severity, request) in enumerate(rows)
        if filters.get("start", Timestamp(0)) <= Timestamp(time)
        and Timestamp(time) <= filters.get("end", Timestamp(5))
        and filters.get("component", component) == component
        and filters.get("model_id", model) == model
        and filters.get("min_severity", severity) <= severity
        and filters.get("request_id", request) == request
    )
    assert ids(collector.query(**filters)) == [n for _, n in wanted]


class TestChains:
    """A request's chain is rebuilt from the events alone."""

    def test_a_chain_is_all_events_of_its_request_in_order(
        self, collector: whence.TraceCollector
    ) -> None:
        """And of no other. R0.28 R0.49"""
        assert ids(collector.reconstruct_decision_chain("a")) == [1, 3, 5]

    def test_an_unknown_id_has_no_chain(self, collector: whence.TraceCollector) -> None:
        """An empty list, for parts of ids and the empty id too. R0.49"""
        for unknown in ("nobody", "", "A", "a ", "event-9", "\0"):
            assert collector.reconstruct_decision_chain(unknown) == []
        assert whence.TraceCollector(3).reconstruct_decision_chain("a") == []

    def test_one_event_is_a_chain(self, collector: whence.TraceCollector) -> None:
        """A request of a single event works. R0.49"""
        assert ids(collector.reconstruct_decision_chain("b")) == [2]

    def test_an_event_leads_to_its_chain(self, collector: whence.TraceCollector) -> None:
        """By its own id, built or derived; without a request it stands alone. R0.22 R0.49"""
        assert ids(collector.reconstruct_decision_chain("event-3")) == [1, 3, 5]
        assert ids(collector.reconstruct_decision_chain("event-4")) == [4]
        with whence.request("derived"):
            collector.record_now("t", "C", "one")
            collector.record_now("t", "C", "two")
        derived = collector.query(request_id="derived")[1].event_id
        chain = collector.reconstruct_decision_chain(derived)
        assert [each.rationale for each in chain] == ["one", "two"]

    def test_a_named_chain_is_part_of_its_request(self) -> None:
        """decision_chain_id names one invocation; the request has all of them. R0.28 R0.49"""
        collector = whence.TraceCollector(10)
        for n, chain in enumerate(("first", "second", "first", "")):
            collector.record(event(n, request_id="r", decision_chain_id=chain))
        assert ids(collector.reconstruct_decision_chain("first")) == [0, 2]
        assert ids(collector.reconstruct_decision_chain("second")) == [1]
        assert ids(collector.reconstruct_decision_chain("r")) == [0, 1, 2, 3]

    def test_a_chain_goes_across_all_rings(self) -> None:
        """Kinds, collectors and threads: whence.collector() sees them all. R0.1 R0.49"""
        tick = whence.kind("chain_tick", component="C", n=int)
        first, second = whence.TraceCollector(3), whence.TraceCollector(3)
        with whence.request("a chain across rings"):
            tick(1)
            first.record_now("t", "C", "2")
            tick(3)
            second.record_now("t", "C", "4")
        chain = whence.collector().reconstruct_decision_chain("a chain across rings")
        assert [e.rationale or str(e.attributes["n"]) for e in chain] == ["1", "2", "3", "4"]
        assert len(first.reconstruct_decision_chain("a chain across rings")) == 1
