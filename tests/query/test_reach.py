"""What is gathered around a chain explains it as well as the whole source does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("duckdb", reason="stores are asked with duckdb")
pytest.importorskip("pyarrow", reason="stores are read with pyarrow")

from tests.query.build import (
    event,
    inference_chain,
    late_chain,
    ledger,
    recording,
    rejected_chain,
)
from tests.query.stores import stored
from whence.model.errors import AmbiguousId, IdNotFound
from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.model.severity import Severity
from whence.query.chain import find_chain, nearest_ids
from whence.query.engines.engine import Engine
from whence.query.engines.folder import FolderEngine
from whence.query.engines.memory import InMemory
from whence.query.engines.shapes import Found
from whence.query.plain import plain
from whence.query.reach import around, around_newest_wrong
from whence.query.related import related
from whence.query.why import why

TRACE = "0123456789abcdef" * 2


def everything() -> Recording:
    """Requests, decision chains within one, a trace without a request, and events alone."""
    events = [
        *late_chain(),
        *inference_chain("req-000409", 300, first_ticket=20),
        *rejected_chain("req-7", 400, 30),
        event("plan", 500, "req-8", ticket=40, decision_chain_id="step-1"),
        event("act", 501, "req-8", ticket=41, decision_chain_id="step-2"),
        event("end", 502, "req-8", ticket=42, severity=Severity.Error),
        event("load", 600, "", ticket=50, trace_id=TRACE, span=True, span_id=77, duration_ms=9),
        event("read", 601, "", ticket=51, trace_id=TRACE, span_id=77),
        event("log", 700, "", ticket=60),
        event("tick", 710, "", ticket=61, decision_chain_id="loner"),
    ]
    lost = {"execution_started": 3, "alloc": 2}
    return recording(events, rings=[ledger(events, 0, lost)])


@pytest.fixture(params=["memory", "store"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Each engine over the same events."""
    if request.param == "memory":
        yield InMemory(everything())
        return
    with FolderEngine(stored(tmp_path / "store", everything(), segments=3), threads=1) as found:
        yield found


def told(source: Recording, name: str) -> Any:
    """The whole answer. A store does not keep the order of an event's attributes."""
    answer = plain(why(source, name))
    for row in answer["story"]:
        row["sentence"] = sorted(row["sentence"].split(", "))
    return answer


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("req-000412", "req-000412"),
        ("412", "req-000412"),
        ("…409", "req-000409"),
        ("req-8", "req-8"),
        ("step-1", "step-1"),
        ("req-8/step-2", "req-8/step-2"),
        ("loner", "loner"),
        (TRACE, TRACE),
        (TRACE[:9].upper(), TRACE),
        (TRACE[-5:], TRACE),
        (f"{77:016x}", "event of span"),
    ],
)
def test_a_chain_is_explained_from_what_lies_around_it(
    engine: Engine, text: str, found: str
) -> None:
    """R5.11 Whatever names a chain, the answer is that of the whole source."""
    whole = everything()
    part, name = around(engine, text)
    if found == "event of span":
        assert name == whole.events[-4].event_id
    else:
        assert name == found
    here, there = find_chain(part, name), find_chain(whole, name)
    assert (here.name, here.events) == (there.name, there.events)
    assert told(part, name) == told(whole, name)


def test_an_events_id_leads_to_its_chain(engine: Engine) -> None:
    """R5.11 Every event is found by its id, whole or by its end, and explained in its chain."""
    whole = everything()
    for each in whole.events:
        part, name = around(engine, each.event_id.upper())
        assert name == each.event_id
        assert told(part, name) == told(whole, each.event_id)
        assert engine.event(each.event_id) == each
    assert engine.event("none") is None
    assert engine.event("") is None


def test_the_newest_that_went_wrong_is_explained_from_what_lies_around_it(engine: Engine) -> None:
    """R5.11 Without an id, the same chain is explained as in the whole source."""
    part, chosen = around_newest_wrong(engine, TraceQuery())
    answer = why(part, None, among=lambda e: e.event_id == chosen.event_id)
    assert plain(answer) == plain(why(everything()))
    with pytest.raises(IdNotFound, match="what was asked for"):
        around_newest_wrong(engine, TraceQuery(component="Nobody"))
    with pytest.raises(IdNotFound, match="nothing is stored"):
        around_newest_wrong(InMemory(Recording()), TraceQuery())


def test_an_id_of_several_or_of_nothing_is_told_so(engine: Engine) -> None:
    """R5.11 Candidates are named; of what is not there, what is known of its absence."""
    with pytest.raises(AmbiguousId, match="names 4 requests") as caught:
        around(engine, "req")
    assert caught.value.candidates[0] == "req-000409"
    with pytest.raises(IdNotFound, match="5 events were overwritten") as missed:
        around(engine, "req-000421")
    assert missed.value.nearest == nearest_ids(everything(), "req-000421")
    assert "req-000412" in missed.value.nearest
    with pytest.raises(IdNotFound) as missed:
        around(engine, "\ud800")
    assert missed.value.nearest == ()
    assert engine.find("f" * 32) == []
    assert engine.find("3456789abcdef") == [Found("trace", TRACE)]


def test_effects_of_a_chain_are_found_with_what_is_related(tmp_path: Path) -> None:
    """R1.46 R5.11 What names an event, a request or a chain as its cause, wherever it is stored."""
    causes = inference_chain("req-1")
    events = [
        *causes,
        event("by event", 60, "req-2", ticket=20, caused_by=causes[1].event_id),
        event("by request", 61, "req-3", ticket=21, caused_by="req-1"),
        event("by another", 62, "req-4", ticket=22, caused_by="req-3"),
        event("by nothing", 63, "req-5", ticket=23),
    ]
    source = recording(events)
    right = related(source, find_chain(source, "req-1"))
    assert [each.event.event_type for each in right] == ["by event", "by request"]
    with FolderEngine(stored(tmp_path / "store", source, 3), threads=1) as folder:
        for engine in (InMemory(source), folder):
            part, name = around(engine, "req-1", related=True)
            found = related(part, find_chain(part, name))
            assert [each.event for each in found] == [each.event for each in right]
            assert [e.event_type for e in engine.effects(["req-1", "req-3", ""]).events] == [
                "by request",
                "by another",
            ]
            assert len(engine.effects(["req-1", "req-3"], 1).events) == 1
            assert engine.effects([]).events == ()
