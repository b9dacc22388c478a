"""The builder: every field has its step, and an unfinished event never leaves it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.model.builder import TraceEventBuilder
from whence.model.errors import IncompleteEvent, WhenceError
from whence.model.event import Option, TraceEvent
from whence.model.ids import ModelID
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp


def started() -> TraceEventBuilder:
    """A builder that has what every event needs."""
    return TraceEventBuilder().with_type("execution_started").with_component("Worker")


def test_every_field_has_its_step() -> None:
    """R0.32 Steps return the builder, in any order, and build() makes what they said."""
    built = (
        TraceEventBuilder()
        .with_event_id("e-2")
        .with_type("scheduling_decision")
        .with_component("Scheduler")
        .with_timestamp(Timestamp(5))
        .with_duration(Duration(6))
        .with_model(ModelID("ocr"))
        .with_request("req-1")
        .with_decision_chain("chain-1")
        .with_rationale("least slack")
        .with_severity(Severity.Warning)
        .with_attribute("a", 1)
        .with_attributes({"b": "x"})
        .with_decision()
        .with_options([Option("ocr", chosen=True)])
        .with_caused_by("e-1")
        .with_lineage(9)
        .build()
    )
    assert built == TraceEvent(
        event_id="e-2",
        event_type="scheduling_decision",
        component="Scheduler",
        timestamp=Timestamp(5),
        duration=Duration(6),
        model_id="ocr",
        request_id="req-1",
        decision_chain_id="chain-1",
        rationale="least slack",
        severity=Severity.Warning,
        attributes={"a": 1, "b": "x"},
        decision=True,
        options=(Option("ocr", chosen=True),),
        caused_by="e-1",
        lineage_id=9,
    )


@given(
    st.sets(st.sampled_from(["with_type", "with_component"])), st.sampled_from(["", "Scheduler"])
)
def test_an_unfinished_event_never_leaves_the_builder(steps: set[str], value: str) -> None:
    """R0.33 R0.55 R0.60 Without type or component, or with an empty one, build() raises."""
    builder = TraceEventBuilder().with_rationale("because")
    for step in steps:
        getattr(builder, step)(value)
    if value and len(steps) == 2:
        assert builder.build().event_type == value
    else:
        with pytest.raises(IncompleteEvent, match=r"call with_(type|component)\(\)"):
            builder.build()


def test_an_incomplete_event_is_a_named_error() -> None:
    """R0.33 The error belongs to the project and is a ValueError."""
    assert issubclass(IncompleteEvent, WhenceError)
    assert issubclass(IncompleteEvent, ValueError)


def test_build_makes_an_id_and_takes_the_time() -> None:
    """R0.22 R0.34 A built event has a random UUID and the moment of build()."""
    before = Timestamp.now()
    built = started().build()
    assert uuid.UUID(built.event_id).version == 4
    assert before <= built.timestamp <= Timestamp.now()


def test_each_build_makes_another_event() -> None:
    """R0.34 Two events of one builder differ in id; each keeps its own from then on."""
    builder = started()
    first, second = builder.build(), builder.with_attribute("n", 2).build()
    assert first.event_id != second.event_id
    assert first.attributes == {}
    assert second.attributes == {"n": 2}


def test_a_given_id_and_time_are_kept() -> None:
    """R0.34 build() replaces neither."""
    built = started().with_event_id("mine").with_timestamp(Timestamp(0)).build()
    assert (built.event_id, built.timestamp) == ("mine", Timestamp(0))


@pytest.mark.parametrize(
    "decision",
    [
        TraceEventBuilder().with_type("scheduling_decision").with_component("Scheduler"),
        TraceEventBuilder().with_type("admission_result").with_component("AdmissionController"),
        started().with_decision(),
        started().with_options([Option("ocr")]),
    ],
)
def test_a_decision_must_say_why(decision: TraceEventBuilder) -> None:
    """R0.29 R0.60 A decision without a rationale is refused, and accepted with one."""
    with pytest.raises(IncompleteEvent, match="say why"):
        decision.build()
    assert decision.with_rationale("least slack").build().decision


def test_a_wrong_type_is_refused_at_the_latest_by_build() -> None:
    """R0.60 No field of the wrong type gets into an event."""
    wrong: Any = 5
    with pytest.raises(TypeError, match="request_id must be str"):
        started().with_request(wrong).build()
