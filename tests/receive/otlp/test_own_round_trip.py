"""What our own OTLP sinks send comes in as the events that it was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

pytest.importorskip("opentelemetry.proto", reason="opentelemetry-proto is not installed")

import whence
from tests.export.test_native_json import batch_of, events
from tests.own_events import OwnEvents
from tests.receive.otlp.made_requests import read
from whence._native import Batch
from whence.collect.events import to_events
from whence.collect.local import local_session
from whence.export.conventions import ATTRIBUTES, COLUMNS
from whence.export.otlp import otlp_requests
from whence.model.event import TraceEvent
from whence.receive.otlp.json_in import protobuf_of
from whence.store.columns import events_of


def there_and_back(batch: Batch, *, as_json: bool = False) -> list[TraceEvent]:
    """The batch's events, as they come in again."""
    info = local_session()
    assert info is not None
    found = []
    for signal, body, _ in otlp_requests(batch, {info.name: info}, as_json=as_json):
        received = read(signal, protobuf_of(signal, body) if as_json else body)
        assert received.rejected == 0
        for table, _ in received.parts:
            found += events_of(table, {0: ""})
    return sorted(found, key=lambda event: event.event_id)


def said(event: TraceEvent, *, sent: bool) -> dict[str, Any]:
    """All that an event says, but for where it is stored."""
    info = local_session()
    assert info is not None
    own = event.timestamp.value_ns
    return {
        "event_id": event.event_id,
        "event_type": event.event_type,
        "component": event.component,
        "ts_ns": info.wall_ns(own) if sent else own,
        "duration": event.duration,
        "model_id": str(event.model_id),
        "request_id": event.request_id,
        "chain": event.decision_chain_id,
        "rationale": event.rationale,
        "severity": event.severity,
        "decision": event.decision,
        "options": [(o.name, dict(o.scores), o.chosen, o.reason) for o in event.options],
        "caused_by": event.caused_by,
        "lineage_id": event.lineage_id,
        "weight": event.weight,
        "trace_id": event.trace_id,
        "span": event.span,
        "span_id": event.span_id,
        "parent": event.parent_span_id,
        "status": (event.status, event.status_message),
        "links": [(e.trace_id, e.span_id, dict(e.attributes)) for e in event.links],
        "attributes": sorted(
            (name, repr(value))
            for name, value in event.attributes.items()
            if name != COLUMNS["otel.dropped_attributes"]  # of those that have no name
        ),
    }


def changed(event: TraceEvent) -> dict[str, Any]:
    """What is expected: fields under the conventions' names, wide numbers as text."""
    row = said(event, sent=True)
    kept = {
        ATTRIBUTES.get(name, name): str(value) if type(value) is int and value >= 2**63 else value
        for name, value in event.attributes.items()
        if name
    }
    return row | {"attributes": sorted((name, repr(value)) for name, value in kept.items())}


def agree(batch: Batch, *, as_json: bool = False) -> None:
    """Everything comes back."""
    wanted = sorted(to_events(batch.rows()), key=lambda event: event.event_id)
    found = there_and_back(batch, as_json=as_json)
    for got, want in zip(found, wanted, strict=True):
        assert str(said(got, sent=False)) == str(changed(want))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(events(), min_size=1, max_size=3))
def test_built_events_come_back(built: list[TraceEvent]) -> None:
    """Any text and number, options, durations and decisions, through both forms. R5.17 R5.22"""
    # times go from 1970 to 2262
    assume(all(event.duration.nanos < 2**60 for event in built))
    assume(all(event.timestamp.value_ns < 2**62 for event in built))
    collector = whence.TraceCollector(8)
    for event in built:
        collector.record(event)
    agree(batch_of(collector))


@pytest.mark.parametrize("as_json", [False, True])
def test_spans_decisions_and_cognitive_events_come_back(recorded: OwnEvents, as_json: bool) -> None:
    """Spans stay spans, events that lasted are events again, ids of 64 bits are numbers. R5.17"""
    chose = whence.kind("chose_rt", component="C", decision=True, rationale="because {n}", n=int)
    lasted = whence.kind("lasted_rt", component="C", duration_ns=int, n=int)
    primed = whence.kind("priming", component="Memory", source_node=int, strength=float)
    asked = whence.kind("asked_rt", component="C", model=str, gen_ai_usage_input_tokens=int)
    with whence.request("order-17"):
        chose(1)
        lasted(5_000, 2**53 + 1)
    with whence.span("outer_rt", shelf="B4"):
        primed(2**62 + 5, 0.5)
        asked("resnet", 7)
        lasted(7, 1)
    agree(recorded.batch(), as_json=as_json)
