"""Plain data: integers for time, text for 64-bit ids, and nothing JSON cannot hold."""

from __future__ import annotations

import json

import pytest

from tests.query.build import event, ledger, recording, session
from whence.model.event import Option
from whence.model.recording import GateChange, KindCounts, KindInfo, OpenSpan
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp
from whence.query.plain import attribute_text, plain, plain_event

BASE = {
    "event_id",
    "event_type",
    "component",
    "timestamp_ns",
    "duration_ns",
    "model_id",
    "request_id",
    "rationale",
    "severity",
    "attributes",
    "decision_chain_id",
}


def test_a_bare_event_has_the_base_fields_and_its_place() -> None:
    """R0.51 R0.52 R0.53 R0.54 Optional fields appear only where they say something."""
    found = plain_event(event("tick", ticket=0))
    assert set(found) == BASE | {"session", "ring", "ticket"}
    assert (found["ring"], found["ticket"], found["severity"]) == (0, "0", "Info")
    assert isinstance(found["timestamp_ns"], int)


def test_attributes_are_text_beside_their_types() -> None:
    """R0.31 R0.54 Attributes are written as text that reads back exactly, and their types apart."""
    attributes = {"n": 2**63, "f": 0.1, "yes": True, "text": "1"}
    found = plain_event(event("tick", attributes=attributes))
    assert found["attributes"] == {
        "n": "9223372036854775808",
        "f": "0.1",
        "yes": "true",
        "text": "1",
    }
    assert found["attribute_types"] == {"n": "int", "f": "float", "yes": "bool"}
    assert attribute_text(Severity.Error) == "3"


def test_wide_ids_are_text_and_times_are_integers() -> None:
    """R0.52 A reader in JavaScript loses no bit of an id."""
    found = plain(session(key=2**47 + 1))
    assert found["key"] == str(2**47 + 1)
    assert plain(event("tick", lineage_id=2**64 - 1))["lineage_id"] == str(2**64 - 1)
    assert plain([Timestamp(5), Duration(-5), Severity.Warning]) == [5, -5, "Warning"]


def test_numbers_that_json_lacks_are_named() -> None:
    """R5.8 Scores that are no finite numbers are written as their names."""
    odd = Option("a", {"x": float("nan"), "y": float("inf"), "z": float("-inf")})
    assert plain(odd)["scores"] == {"x": "NaN", "y": "Infinity", "z": "-Infinity"}


def test_a_whole_recording_is_plain() -> None:
    """R5.9 Everything a recording holds can be printed as JSON, and nothing else can."""
    events = [event("tick")]
    assert json.dumps(plain(recording(events, rings=[ledger(events)])), allow_nan=False)
    with pytest.raises(TypeError, match="set"):
        plain({1, 2})


def test_answers_name_what_exports_name_alike() -> None:
    """R1.53 R0.51 A type is an event_type wherever it stands as JSON."""
    values = (
        KindCounts("tick", "C"),
        KindInfo(1, "tick", "C"),
        GateChange("s", 1, "tick", True),
        OpenSpan(name="tick", component="C", span_id=1, start_ns=2),
    )
    for value in values:
        found = plain(value)
        assert found["event_type"] == "tick"
        assert not {"kind", "name"} & found.keys()
