"""Conditions: a small grammar, answers of three values, and nothing that could run code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.query.build import event
from whence.model.condition import field_value, parse_condition
from whence.model.errors import BadCondition
from whence.model.event import AttributeValue
from whence.model.severity import Severity


def holds(text: str, types: tuple[str, ...] = (), **attributes: AttributeValue) -> bool | None:
    """Whether the condition holds of an event with these attributes."""
    return parse_condition(text).holds(event("tick", attributes=attributes), types)


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("admitted = true", {"admitted": True}),
        ("admitted = true", {"admitted": "true"}),
        ("admitted == false", {"admitted": False}),
        ("admitted != true", {"admitted": "False"}),
        ("utilisation <= 0.8", {"utilisation": 0.8}),
        ("utilisation > 74%", {"utilisation": 0.742}),
        ("wcrt_ns < 40ms", {"wcrt_ns": 39_999_999}),
        ("wcrt_ns >= 40 ms", {"wcrt_ns": "40000000"}),
        ("size_bytes = 512 MB", {"size_bytes": 512 << 20}),
        ("ticket = 9007199254740993", {"ticket": 9007199254740993}),
        ("reason = schedulable", {"reason": "schedulable"}),
        ("reason = 'over budget'", {"reason": "over budget"}),
        ('reason = "true"', {"reason": "true"}),
        ("retries = -1 and reason != x", {"retries": -1, "reason": "y"}),
        ("lineage = 18446744073709551615", {"lineage": "18446744073709551615"}),
        ("share < 1", {"share": "1e-3"}),
        ("worker = '2'", {"worker": 2}),
        ("admitted != 1", {"admitted": True}),
    ],
)
def test_comparisons_hold_of_typed_and_of_plain_values(
    text: str, attributes: dict[str, AttributeValue]
) -> None:
    """R5.12 A value compares by its type, and a text of a plain export by what it spells."""
    assert holds(text, **attributes) is True


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("admitted = true", {"admitted": False}),
        ("admitted = true", {"admitted": 1}),
        ("admitted = true", {"admitted": "yes"}),
        ("ticket = 9007199254740992", {"ticket": 9007199254740993}),
        ("wcrt_ns < 40ms", {"wcrt_ns": "soon"}),
        ("utilisation > 0", {"utilisation": float("nan")}),
        ("n = 1 and m = 1", {"n": 1, "m": 2}),
        ("admitted < 1", {"admitted": True}),
        ("wcrt_ns = 40", {"wcrt_ns": " 40"}),
        ("share = 1", {"share": "1/1"}),
    ],
)
def test_comparisons_fail_where_values_differ(
    text: str, attributes: dict[str, AttributeValue]
) -> None:
    """R5.12 Other values and other types do not satisfy a condition."""
    assert holds(text, **attributes) is False


def test_a_missing_field_is_neither_true_nor_false() -> None:
    """R5.12 What was not recorded cannot be judged, unless another clause already fails."""
    assert holds("admitted = true") is None
    assert holds("admitted = true and n = 1", n=2) is False
    assert holds("admitted != true", admitted="") is None
    assert parse_condition("admitted = true").holds(None) is None


def test_presence_asks_for_types_of_the_chain() -> None:
    """R5.12 "has" and "no" look at the chain's event types, not at the event."""
    assert holds("has free", ("free",)) is True
    assert holds("no free", ("free",)) is False
    assert holds("no free and n = 1", ("alloc",), n=1) is True
    assert parse_condition("has free and no alloc").types == {"free", "alloc"}


def test_columns_and_severities_can_be_asked_for() -> None:
    """R5.12 The event's own columns are fields too, and severities have an order."""
    bad = event("tick", severity=Severity.Error, model_id="m", duration_ms=2)
    assert parse_condition("severity >= Warning").holds(bad) is True
    assert parse_condition("severity < Error").holds(bad) is False
    assert parse_condition("model_id = m and duration_ns > 1ms").holds(bad) is True
    assert field_value(bad, "rationale") is None
    assert field_value(bad, "no_such_field") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "admitted",
        "admitted =",
        "= true",
        "admitted = true or n = 1",
        "admitted = true and",
        "a = 1 b = 2",
        "reason < late",
        "__import__('os').system('x')",
        "a = (1)",
        "a = 1; b = 2",
        "a = 'unclosed",
        "has",
        "a = 1" + " and a = 1" * 200,
        "a = 1" + "0" * 40,
        "reason < Warning",
    ],
)
def test_what_is_no_condition_is_refused(text: str) -> None:
    """R5.12 Anything outside the grammar is a BadCondition that quotes it, never run."""
    with pytest.raises(BadCondition):
        parse_condition(text)


@given(st.text(max_size=60))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    """R5.12 Arbitrary text is understood or refused, and answers without an exception."""
    try:
        condition = parse_condition(text)
    except BadCondition:
        return
    assert condition.holds(event("tick", attributes={"a": 1}), ("tick",)) in (True, False, None)
