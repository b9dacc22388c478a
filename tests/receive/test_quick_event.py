"""The quick reader of events: it gives what the strict one gives, or leaves it to that one."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.query.build import inference_chain
from tests.receive.test_json_export import any_event
from whence.model.errors import CorruptFile
from whence.model.event import TraceEvent, checked_event
from whence.model.json_fields import Fields
from whence.query.plain import plain_event
from whence.receive.json_export import _event
from whence.receive.quick_event import quick_event

# What may stand in a field's place in a damaged or a strange file.
strange = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 1),
    st.integers(2**62, 2**65),
    st.floats(),
    st.sampled_from(["", "x", "7", "-7", "7.5", "ok", "Info", "info", "٣", "f" * 16, "F" * 32]),
    st.sampled_from(["0" * 32, "ab" * 16, str(2**64 - 1), str(2**64), "NaN", "true"]),
    st.just([]),
    st.dictionaries(
        st.sampled_from(["n", "name", "int"]), st.sampled_from(["1", 1, "true", "int"])
    ),
    st.lists(st.just({"name": "a", "scores": {"s": 1}, "chosen": 1, "reason": "r"}), max_size=2),
)
names = st.sampled_from(
    [
        *(name for event in inference_chain() for name in plain_event(event)),
        *("options", "caused_by", "lineage_id", "weight", "text_lost", "truncated", "trace_id"),
        *("span_id", "parent_span_id", "span", "status", "status_message", "links", "other"),
        "attribute_types",
    ]
)


def strict(found: dict[str, Any]) -> TraceEvent | None:
    """What the strict reader makes of it; None where it refuses."""
    try:
        return Fields(found, "events[0]").made(_event)
    except CorruptFile:
        return None


@given(any_event())
def test_a_written_event_is_read_quickly_and_rightly(event: TraceEvent) -> None:
    """R0.51 R5.9 What our own exports hold comes back equal, field by field and type by type."""
    found = json.loads(json.dumps(plain_event(event)))
    quick, slow = quick_event(found), strict(found)
    assert slow is not None
    if quick is not None:
        for field in fields(TraceEvent):
            one, other = getattr(quick, field.name), getattr(slow, field.name)
            assert (one, type(one)) == (other, type(other)), field.name
        assert hash(quick) == hash(slow)


@settings(max_examples=400)
@given(any_event(), st.dictionaries(names, strange, max_size=3), st.lists(names, max_size=1))
def test_nothing_is_read_quickly_that_is_refused(
    event: TraceEvent, replaced: dict[str, Any], removed: list[str]
) -> None:
    """R5.24 A strange event is left to the strict reader, or means the same to both."""
    found = json.loads(json.dumps(plain_event(event))) | replaced
    for name in removed:
        found.pop(name, None)
    quick = quick_event(found)
    if quick is not None:
        assert repr(quick) == repr(strict(found))


def test_usual_events_are_read_quickly() -> None:
    """R5.9 Decisions with options, durations and traces are no exceptions."""
    for event in inference_chain():
        assert quick_event(json.loads(json.dumps(plain_event(event)))) == event
    assert quick_event([]) is None


@given(any_event())
def test_a_checked_event_is_the_event_of_those_values(event: TraceEvent) -> None:
    """R0.60 Readers that checked every value make the same event as the constructor."""
    made = checked_event([getattr(event, field.name) for field in fields(event)])
    assert made == event
    assert repr(made) == repr(event)
