"""Nested values become attributes and come back."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.model.event import TraceEvent
from whence.model.nested import CUT, JSON_NAMES, flat, whole
from whence.model.time import Timestamp
from whence.model.trace import EventLevel

texts = st.text(st.characters(), max_size=12)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.binary() | texts
)
members = st.sampled_from(["a", "$int", "$object", "$bytes", "$float", "b.c", ""]) | texts
names = st.sampled_from([JSON_NAMES, CUT, "whence.given.x", ""]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=12
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(members, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(names, values, max_size=6))
def test_whatever_goes_in_comes_out(given: dict[str, Any]) -> None:
    """R4.4 Nested data, lists, None, bytes and any integer turn back without loss, by name."""
    attributes = flat(given)
    TraceEvent(event_type="x", component="y", timestamp=Timestamp(0), attributes=attributes)
    assert whole(attributes) == given
    assert CUT not in attributes or CUT in given


def test_plain_values_stay_as_they_are() -> None:
    """R4.4 Numbers, truth values and texts are attributes of their own type."""
    assert flat({"n": 1, "x": 0.5, "yes": True, "s": "text"}) == {
        "n": 1, "x": 0.5, "yes": True, "s": "text",
    }  # fmt: skip


def test_what_is_json_is_named() -> None:
    """R4.4 One attribute names those whose text is JSON."""
    found = flat({"stages": ["a", "b"], "s": "text"})
    assert found == {"stages": '["a","b"]', "s": "text", JSON_NAMES: '["stages"]'}


def test_common_types_become_texts() -> None:
    """R4.4 Dates, UUIDs and members of enums are kept as what they spell."""
    moment, number = datetime(2026, 11, 20, tzinfo=UTC), uuid.UUID(int=7)
    found = flat({"at": moment, "id": number, "level": EventLevel.WARN, "in": [moment]})
    assert (found["at"], found["id"], found["level"]) == (
        moment.isoformat(), str(number), "warn",
    )  # fmt: skip
    assert whole(found)["in"] == [moment.isoformat()]


def test_what_is_too_deep_or_too_large_is_counted() -> None:
    """R4.4 Depth and size are capped, and what is cut is counted."""
    deep: list[Any] = []
    deep.append(deep)
    found = flat({"deep": deep, "long": "é" * 100_000, "big": ["x" * 100_000], "n": 1})
    assert found[CUT] == 3
    assert len(str(found["long"]).encode()) <= 16 << 10
    assert "big" not in found
    assert found["n"] == 1
    assert json.dumps(whole(found)["deep"]).count("[") == 16
    assert flat({str(n): n for n in range(300)})[CUT] == 44
    wide: list[Any] = []
    wide.extend([wide] * 1000)
    assert int(flat({"wide": wide})[CUT]) > 0


@pytest.mark.parametrize("text", ["{", "7", "null", '{"a":1}', "[" * 100_000, '[["a"]]'])
def test_attributes_of_other_origin_come_back_as_they_are(text: str) -> None:
    """R4.6 Damaged or foreign notes of names are no error."""
    assert whole({"a": "{", JSON_NAMES: text}) == {"a": "{"}
    assert whole({"a": text + "!", JSON_NAMES: '["a"]'}) == {"a": text + "!"}


@pytest.mark.parametrize("value", [object(), [object()], {1: 2}, {"a": {1: 2}}])
def test_what_cannot_be_kept_is_refused(value: Any) -> None:
    """R4.4 Objects without a meaning of their own, and names that are no texts, are refused."""
    with pytest.raises(TypeError):
        flat(value if isinstance(value, dict) else {"value": value})
