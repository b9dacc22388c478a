"""Events: what each field holds, what is refused, and that nothing can be changed."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import fields, replace
from typing import Any

import pytest

from whence.model.errors import IncompleteEvent
from whence.model.event import Option, TraceEvent
from whence.model.ids import ModelID
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp


def event(**changes: Any) -> TraceEvent:
    """The least event, with some fields set."""
    given: dict[str, Any] = {
        "event_type": "scheduling_decision",
        "component": "Scheduler",
        "timestamp": Timestamp(1_000),
    }
    return TraceEvent(**given | changes)


def test_an_event_keeps_what_it_is_given() -> None:
    """R0.22 R0.23 R0.24 R0.25 R0.26 R0.27 R0.28 R0.29 R0.30 R0.31 Fields come back unchanged."""
    given = {
        "event_id": "e-1",
        "event_type": "admission_result",
        "component": "AdmissionController",
        "timestamp": Timestamp(5),
        "duration": Duration(7),
        "model_id": "ocr",
        "request_id": "req-1",
        "rationale": "Admitted: U=0.742 <= 1.000",
        "severity": Severity.Warning,
        "attributes": {"wcrt_ns": 72_000_000, "utilisation": 0.742, "admitted": True, "p": "EDF"},
    }
    made = event(**given)
    assert {name: getattr(made, name) for name in given} == given


def test_what_is_not_given_is_empty() -> None:
    """R0.26 R0.27 R0.28 R0.31 An instant of no model, request or attributes is the default."""
    made = event()
    assert made.duration == Duration(0)
    assert (made.event_id, made.model_id, made.request_id, made.rationale) == ("", "", "", "")
    assert made.severity is Severity.Info
    assert made.attributes == {}
    assert (made.session, made.ring, made.ticket) == ("", -1, -1)


@pytest.mark.parametrize("field", ["event_type", "component"])
def test_an_event_without_type_or_component_is_refused(field: str) -> None:
    """R0.23 R0.24 Neither may be empty, with or without a builder."""
    with pytest.raises(IncompleteEvent, match=f"needs an? {field}"):
        event(**{field: ""})


@pytest.mark.parametrize(
    "field", [f.name for f in fields(TraceEvent) if f.name not in ("weight", "ring", "ticket")]
)
def test_a_field_of_the_wrong_type_is_refused(field: str) -> None:
    """R0.22 R0.25 R0.26 R0.30 Every field names itself when its type is wrong."""
    with pytest.raises(TypeError, match=field):
        event(**{field: 1.5})


def test_attributes_keep_their_types() -> None:
    """R0.31 An int stays an int, a bool a bool, a float a float."""
    kept = event(attributes={"a": 1, "b": True, "c": 0.5, "d": "1"}).attributes
    assert [type(value) for value in kept.values()] == [int, bool, float, str]


@pytest.mark.parametrize("attributes", [{"a": None}, {"a": [1]}, {1: "a"}, [("a", 1)]])
def test_attributes_of_other_types_are_refused(attributes: Any) -> None:
    """R0.31 Only named numbers, bools and texts are attributes."""
    with pytest.raises(TypeError, match="attribute"):
        event(attributes=attributes)


def test_an_event_cannot_be_changed() -> None:
    """R0.31 R0.60 Neither its fields, nor its attributes, nor an option's scores."""
    source = {"a": 1}
    made = event(attributes=source, options=(Option("x", {"slack_ns": 4}),))
    source["a"] = 2
    assert made.attributes == {"a": 1}
    with pytest.raises(AttributeError):
        made.component = "Other"  # type: ignore[misc]
    changes: list[Any] = [made.attributes, made.options[0].scores, Option("y").scores]
    for mapping in changes:
        with pytest.raises(TypeError, match="cannot be changed"):
            mapping["b"] = 1
        with pytest.raises(TypeError, match="cannot be changed"):
            mapping.update(b=1)
        with pytest.raises(TypeError, match="cannot be changed"):
            mapping.clear()


def test_a_model_may_be_named_by_its_id() -> None:
    """R0.27 R3.1 A ModelID is accepted and its text is kept."""
    named: Any = ModelID("ocr")
    assert event(model_id=named).model_id == "ocr"


def test_the_chain_of_an_event_is_its_request_unless_another_is_named() -> None:
    """R0.28 decision_chain_id defaults to the request."""
    assert event(request_id="req-1").decision_chain_id == "req-1"
    assert event(request_id="req-1", decision_chain_id="c").decision_chain_id == "c"


def test_a_decision_without_a_reason_is_recognised() -> None:
    """R0.29 Reading such an event works, and it says that its rationale is missing."""
    assert event(decision=True).lacks_rationale
    assert event(decision=True, rationale=" \n").lacks_rationale
    assert not event(decision=True, rationale="the least slack").lacks_rationale
    assert not event().lacks_rationale


@pytest.mark.parametrize(
    "wrong",
    [{"weight": 0.0}, {"weight": float("nan")}, {"lineage_id": -1}, {"lineage_id": 2**64}],
)
def test_a_value_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    """R0.60 A weight is a positive number and a lineage id has 64 bits."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        event(**wrong)


def test_options_may_be_given_as_names_or_tuples() -> None:
    """R5.8 What a kind takes as an option, an event takes too."""
    given: Any = ("ocr", ("det", {"slack_ns": 4.5}, True, "least"), Option("cls"))
    assert event(options=given).options == (
        Option("ocr"),
        Option("det", {"slack_ns": 4.5}, True, "least"),
        Option("cls"),
    )
    assert all(type(option) is Option for option in event(options=given).options)


@pytest.mark.parametrize("wrong", [5, None, ("ocr",), ["ocr", {}, False, ""], b"ocr"])
def test_options_must_be_options(wrong: Any) -> None:
    """R5.8 A number or a shorter tuple among the options is refused."""
    with pytest.raises(TypeError, match=r"whence\.Option"):
        event(options=(wrong,))


def test_events_of_one_moment_are_ordered_by_their_place() -> None:
    """R0.6 R0.8 Ties of time are broken by session, ring and ticket."""
    first, second = event(session="s", ring=1, ticket=4), event(session="s", ring=1, ticket=5)
    assert first.order_key < second.order_key < event(timestamp=Timestamp(1_001)).order_key


def test_events_travel_copy_and_serialise() -> None:
    """R0.22 R0.31 An event survives pickle, deepcopy and replace, and its attributes are JSON."""
    made = event(attributes={"a": 1}, options=(Option("x", {"slack_ns": 4.5}, True, "least"),))
    assert pickle.loads(pickle.dumps(made)) == made == copy.deepcopy(made)
    assert hash(replace(made)) == hash(made)
    assert json.loads(json.dumps(made.attributes)) == {"a": 1}
