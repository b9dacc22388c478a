"""AuditTrail over events made by hand, over what a process holds, and over a store's engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import whence
from tests.query.build import (
    ADMITTED,
    WALL_NS,
    at_ms,
    event,
    inference_chain,
    late_chain,
    recording,
    rejected_chain,
)
from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.model.time import Duration, Timestamp
from whence.query.audit import AuditTrail
from whence.query.engines.memory import InMemory
from whence.query.engines.shapes import Order, Page
from whence.query.index import Index

MS = 1_000_000


def day() -> Recording:
    """A request in time, one late, one refused, one whose deadline passed before dispatch."""
    return recording(
        [
            *inference_chain("req-1", 0, first_ticket=0),
            *rejected_chain("req-2", 100, ticket=50),
            *(
                replace(each, timestamp=Timestamp(each.timestamp.value_ns + 200 * MS))
                for each in late_chain()
            ),
            event("deadline_miss", 400, "req-9", ticket=60, model_id="magika"),
            event("execution_completed", 410, "req-9", attributes={"deadline_met": False}),
        ]
    )


class Engine:
    """Answers as a store does: it is asked with a query, and gives no more than that."""

    def __init__(self, held: Recording) -> None:
        self.held = held
        self.asked: list[TraceQuery] = []

    def recording(self, query: TraceQuery) -> Recording:
        """The events that match."""
        self.asked.append(query)
        return InMemory(self.held).recording(query)

    def select(self, query: TraceQuery, *, order: Order, limit: int) -> Page:
        """A page of them."""
        return InMemory(self.held).select(query, order=order, limit=limit)


@pytest.fixture(params=["recording", "index", "engine", "store"])
def trail(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AuditTrail]:
    """The same day, from each kind of source."""
    held = day()
    sources: dict[str, Any] = {"recording": held, "index": Index(held), "engine": Engine(held)}
    if request.param in sources:
        yield AuditTrail(sources[request.param])
        return
    pytest.importorskip("duckdb")
    from tests.query.stores import stored
    from whence.query.engines.folder import FolderEngine

    with FolderEngine(stored(tmp_path / "store", held), threads=1) as engine:
        yield AuditTrail(engine)


def test_the_newest_admission_decision_of_a_model_is_found(trail: AuditTrail) -> None:
    """R5.13 The last word on whether the model may run; None if there was none."""
    found = trail.get_admission_decision("ocr_rec")
    assert found is not None
    assert found.request_id == "req-000412"
    assert trail.get_admission_decision(whence.ModelID("ocr_rec")) == found
    assert trail.get_admission_decision("magika") is None


def test_the_scheduling_history_is_in_order(trail: AuditTrail) -> None:
    """R5.13 Every scheduling decision on the model, in order of time, within the window."""
    found = trail.get_scheduling_history("ocr_rec")
    assert [e.request_id for e in found] == ["req-1", "req-000412", "req-000412"]
    assert trail.get_scheduling_history() == found
    first = Timestamp(found[0].timestamp.value_ns)
    assert trail.get_scheduling_history("ocr_rec", (first, first)) == found[:1]
    assert trail.get_scheduling_history("none") == ()


def test_a_missed_deadline_counts_once_a_request(trail: AuditTrail) -> None:
    """R5.13 Missed before dispatch or executed too late; req-9 is both and there once."""
    found = trail.get_deadline_misses()
    assert [(e.event_type, e.request_id) for e in found] == [
        ("execution_completed", "req-000412"),
        ("deadline_miss", "req-9"),
    ]
    assert [e.request_id for e in trail.get_deadline_misses(Duration(50 * MS))] == ["req-9"]


def test_rejections_are_events_of_their_own(trail: AuditTrail) -> None:
    """R5.13 With the numbers in the rationale; admissions are not among them."""
    (found,) = trail.get_rejection_history()
    assert found.request_id == "req-2"
    assert "U=1.242" in found.rationale
    assert trail.get_rejection_history(Duration(0)) == ()


def test_windows_are_also_told_by_the_clock_on_the_wall(trail: AuditTrail) -> None:
    """R5.13 Datetimes with a zone; both ends belong to the window."""
    begin = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=WALL_NS // 1_000)
    until = begin + timedelta(milliseconds=100)
    assert [e.request_id for e in trail.get_rejection_history((begin, until))] == ["req-2"]
    assert trail.get_rejection_history((begin, begin)) == ()
    assert trail.get_rejection_history((until, begin)) == ()


def test_other_spellings_are_the_same_types() -> None:
    """R5.13 A recording in PascalCase or with the names of old answers the same."""
    refused = {**ADMITTED, "admitted": "false"}
    events = [
        event("AdmissionResult", 0, "a", attributes=refused, model_id="m"),
        event("admission_result", 1, "b", attributes=refused, model_id="m"),
        event("DeadlineMiss", 2, "c"),
    ]
    trail = AuditTrail(recording(events))
    assert [e.request_id for e in trail.get_rejection_history()] == ["a", "b"]
    assert [e.request_id for e in trail.get_deadline_misses()] == ["c"]


def test_nothing_is_kept_between_two_questions() -> None:
    """R5.13 The view asks its source each time, and asks an engine for no more than it needs."""
    collector = whence.TraceCollector(64)
    trail = whence.AuditTrail(collector)
    assert trail.get_admission_decision("m") is None
    collector.record_now(
        "admission_decision", "A", "Rejected: U=1.2", model_id="m", attributes={"admitted": False}
    )
    found = trail.get_admission_decision("m")
    assert found is not None
    assert trail.get_rejection_history() == (found,)
    collector.clear()
    assert trail.get_admission_decision("m") is None
    engine = Engine(day())
    AuditTrail(engine).get_scheduling_history("ocr_rec")
    (asked,) = engine.asked
    assert asked.model_id == "ocr_rec"
    assert "scheduling_decision" in (asked.event_types or ())


def test_the_whole_session_is_a_source() -> None:
    """R5.13 whence.collector() holds what kinds recorded."""
    admit = whence.kind(
        "admission_decision",
        component="A",
        decision=True,
        rationale="Admitted {model}",
        model=str,
        admitted=bool,
    )
    admit("only-in-this-test", True)
    found = AuditTrail(whence.collector()).get_admission_decision("only-in-this-test")
    assert isinstance(found, TraceEvent)
    assert found.rationale == "Admitted only-in-this-test"


def test_what_is_no_source_or_no_window_is_refused() -> None:
    """R5.13 By a sentence that says what would do."""
    wrong: Any
    for wrong in (None, [], "req-1"):
        with pytest.raises(TypeError, match="a source is"):
            AuditTrail(wrong).get_deadline_misses()
    trail = AuditTrail(day())
    for wrong in (5, (1, 2), (Timestamp(at_ms(0)),), (Timestamp(1), datetime.now(UTC))):
        with pytest.raises(TypeError, match="a window is"):
            trail.get_deadline_misses(wrong)
    with pytest.raises(ValueError, match="has no zone"):
        trail.get_deadline_misses((datetime(2026, 1, 1), datetime(2026, 1, 2)))


def test_a_source_without_clocks_has_windows_still() -> None:
    """R5.13 A file of others knows no wall time; the newest moment it has is the end."""
    held = replace(day(), sessions=())
    found = AuditTrail(Engine(held)).get_deadline_misses(Duration(50 * MS))
    assert [e.request_id for e in found] == ["req-9"]


def test_an_empty_source_answers_with_nothing() -> None:
    """R5.13 No event, no answer, no crash."""
    for source in (Recording(), Engine(Recording())):
        assert AuditTrail(source).get_rejection_history(Duration(5)) == ()
    trail = AuditTrail(Recording())
    assert trail.get_admission_decision("m") is None
    assert trail.get_deadline_misses(Duration(5)) == trail.get_rejection_history() == ()
