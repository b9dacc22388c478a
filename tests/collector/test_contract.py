"""Observability as a contract: every decision is rebuilt from what was recorded alone."""

from __future__ import annotations

import csv
import io
import itertools
from collections import defaultdict
from pathlib import Path

import whence
from whence.model.event import TraceEvent
from whence.model.recording import Recording
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp
from whence.query.chain import chains
from whence.receive.json_export import read_json_export

MODELS = {"ocr_det": 40_000_000, "ocr_rec": 15_000_000, "magika": 4_000_000}


@whence.kind(component="AdmissionController", decision=True,
             rationale="Admitted: U={utilisation:.3f} <= 1.000, adding {model}")  # fmt: skip
def admission_decision(model: str, admitted: bool, utilisation: float) -> None: ...


@whence.kind(component="Scheduler", decision=True,
             rationale="Selected {model}: {slack_ns:ns} to its deadline")  # fmt: skip
def scheduling_decision(
    model: str, slack_ns: int, options: tuple[whence.Option, ...] = ()
) -> None: ...


@whence.kind(component="Worker")
def execution_completed(model: str, duration_ns: int, deadline_met: bool) -> None: ...


def run_load(name: str, requests: int) -> whence.TraceCollector:
    """Requests of three models, each admitted, scheduled, given memory and executed.

    The collector keeps the events about memory; its name is the first part of the request ids.
    """
    pool = whence.TraceCollector(requests)
    for n, (model, cost_ns) in zip(range(requests), itertools.cycle(MODELS.items()), strict=False):
        with whence.request(f"{name}-{n:05d}"):
            admission_decision(model, True, 0.742)
            slack_ns = 60_000_000 - cost_ns
            scheduling_decision(model, slack_ns, (whence.Option(model, {"slack": slack_ns}, True),))
            pool.record_now("alloc", "MemoryPool", model_id=model, attributes={"size_bytes": n})
            execution_completed(model, cost_ns, n % 10 != 0)
    return pool


def test_every_decision_of_a_load_is_rebuilt_from_its_export_alone(tmp_path: Path) -> None:
    """Any component records; all chains are whole, with their reasons. R0.1 R0.49 R0.58"""
    pool = run_load("load", 300)
    whence.collector().export_json(tmp_path / "load.json")
    assert pool.size() == 300
    recording = read_json_export(tmp_path / "load.json")
    rebuilt = [chain for chain in chains(recording) if chain.request_id.startswith("load-")]
    assert len(rebuilt) == 300
    for chain in rebuilt:
        assert [event.event_type for event in chain.events] == [
            "admission_decision",
            "scheduling_decision",
            "alloc",
            "execution_completed",
        ]
        decisions = [event for event in chain.events if event.decision]
        assert len(decisions) == 2
        assert not any(event.lacks_rationale for event in decisions)
        assert len({event.model_id for event in chain.events}) == 1
    assert {event.component for chain in rebuilt for event in chain.events} == {
        "AdmissionController",
        "Scheduler",
        "MemoryPool",
        "Worker",
    }
    sample = rebuilt[1].events[1]
    assert sample.rationale == "Selected ocr_rec: 45 ms to its deadline"


def test_further_views_need_nothing_but_the_recording() -> None:
    """An audit of admissions, figures per model and a table are made from events alone. R0.4"""
    pool = run_load("views", 60)
    recording: Recording = whence.collector().recording()
    events = [e for e in recording.events if e.request_id.startswith("views-")]
    assert (len(events), pool.size()) == (240, 60)

    audit = [e for e in events if e.event_type == "admission_decision"]
    assert {(e.model_id, e.attributes["admitted"]) for e in audit} == {(m, True) for m in MODELS}

    busy: dict[str, Duration] = defaultdict(lambda: Duration(0))
    missed = 0
    for each in events:
        if each.event_type == "execution_completed":
            busy[each.model_id] += each.duration
            missed += not each.attributes["deadline_met"]
    assert busy == {model: Duration(20 * cost_ns) for model, cost_ns in MODELS.items()}
    assert missed == 6

    table = io.StringIO()
    writer = csv.writer(table)
    for each in events:
        writer.writerow((each.timestamp.value_ns, each.event_type, each.model_id, each.request_id))
    rows = list(csv.reader(io.StringIO(table.getvalue())))
    assert [int(row[0]) for row in rows] == [each.timestamp.value_ns for each in events]


def test_ten_thousand_events_cover_seconds_of_several_models() -> None:
    """Three models at camera rate, six events a request: over 15 s are held. R0.43"""
    collector = whence.TraceCollector()
    period_ns = 1_000_000_000 // 30
    ids = itertools.count()
    for frame in range(30 * 25):
        for model in MODELS:
            request = f"cover-{next(ids)}"
            for step in range(6):
                collector.record(
                    TraceEvent(
                        event_id=f"{request}-{step}",
                        event_type="step",
                        component="C",
                        timestamp=Timestamp(frame * period_ns + step),
                        model_id=model,
                        request_id=request,
                        rationale="Selected: the earliest deadline of all that are waiting",
                        severity=Severity.Info,
                    )
                )
    events = collector.query()
    assert len(events) == 10_000
    covered = events[-1].timestamp - events[0].timestamp
    assert covered > Duration.from_seconds(15)
    assert not any(event.text_lost for event in events)
    assert {event.model_id for event in events} == set(MODELS)
