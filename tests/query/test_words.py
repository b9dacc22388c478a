"""Words: whole-number rounding, units that fit, and recorded fields as sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.query.build import event
from whence.query.words import (
    bytes_text,
    duration_text,
    event_sentence,
    events_text,
    field_sentence,
    label_text,
    listed,
    offset_text,
    offset_unit,
    part_text,
    sampled_text,
    share_text,
    value_text,
)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_000, "1.0 us"),
        (12_349, "12.3 us"),
        (999_949, "999.9 us"),
        (999_950, "1.0 ms"),
        (8_400_000, "8.4 ms"),
        (46_800_000_000, "46.8 s"),
        (59_949_999_999, "59.9 s"),
        (59_950_000_000, "1 min 0 s"),
        (123_000_000_000, "2 min 3 s"),
        (3_599_600_000_000, "1 h 0 min"),
        (11_520_000_000_000, "3 h 12 min"),
        (-8_400_000, "-8.4 ms"),
        (2**63 - 1, "2562047 h 47 min"),
    ],
)
def test_a_length_of_time_has_the_unit_that_fits(ns: int, text: str) -> None:
    """R5.11 Times are rounded by whole numbers, halves up, into the unit that reads best."""
    assert duration_text(ns) == text


def test_offsets_of_one_story_share_a_unit() -> None:
    """R5.11 Offsets line up because the longest decides their unit."""
    assert [offset_unit(ns) for ns in (0, 999_999, 1_000_000, 10**10)] == ["ms", "us", "ms", "s"]
    assert offset_text(31_600_000, "ms") == "+31.6 ms"
    assert offset_text(-50_000, "ms") == "-0.1 ms"
    assert offset_text(0, "us") == "+0.0 us"


def test_parts_and_shares_are_never_flattered() -> None:
    """R5.11 R5.12 Only all of them are 100 per cent; equal units are named once."""
    assert part_text(46_800_000, 40_000_000) == "46.8 of 40.0 ms"
    assert part_text(950_000, 1_200_000_000) == "950.0 us of 1.2 s"
    assert share_text(99_999, 100_000) == "99.99 %"
    assert share_text(7, 7) == "100 %"
    assert share_text(0, 7) == "0.00 %"
    assert share_text(0, 0) == "none"


@given(st.integers(1, 10**12), st.integers(0, 10**12))
def test_a_share_is_100_only_if_nothing_is_missing(whole: int, missing: int) -> None:
    """R5.12 However small the rest, the share does not round up to everything."""
    part = max(0, whole - missing)
    assert (share_text(part, whole) == "100 %") == (part == whole)


def test_sizes_are_in_powers_of_1024() -> None:
    """R5.11 Whole sizes stay whole, others get one decimal."""
    assert bytes_text(640) == "640 bytes"
    assert bytes_text(512 << 20) == "512 MB"
    assert bytes_text(640_000) == "625 KB"
    assert bytes_text(64_100) == "62.6 KB"


def test_values_are_read_by_the_unit_in_their_name() -> None:
    """R5.11 A field named slack_ns holds a time, size_bytes a size; the label drops the unit."""
    assert value_text("slack_ns", 8_400_000) == "8.4 ms"
    assert value_text("size_bytes", 2048) == "2 KB"
    assert value_text("slack_ms", 68.4) == "68.4 ms"
    assert value_text("score", 0.123456) == "0.1235"
    assert value_text("worker", 2) == "2"
    assert value_text("met", True) == "true"
    assert label_text("slack_ms") == "slack"
    assert label_text("worker") == "worker"
    assert label_text("_ns") == "_ns"


def test_an_event_without_rationale_tells_its_fields() -> None:
    """R5.11 The sentence is made of what was recorded, in its order, and of nothing else."""
    told = event(
        "execution_completed",
        duration_ms=15,
        attributes={"deadline_met": False, "budget_ns": 15_000_000, "answer": "cat"},
    )
    assert field_sentence(told) == "took 15.0 ms, deadline_met false, budget 15.0 ms, answer cat"
    assert field_sentence(event("tick")) == ""


def test_codes_of_cognitive_events_read_as_their_names() -> None:
    """R5.11 Of our own types and fields alone; a code without a name stays a number."""
    said = {"priming_type": 1, "strength": 0.5}
    assert field_sentence(event("priming", attributes=said)) == (
        "priming_type associative, strength 0.5"
    )
    assert field_sentence(event("interference", attributes={"interference_type": 2})) == (
        "interference_type fan"
    )
    for name, kind in (("priming", 7), ("primer", 1)):
        assert field_sentence(event(name, attributes={"priming_type": kind})) == (
            f"priming_type {kind}"
        )


def test_lists_and_counts_read_as_sentences() -> None:
    """R5.11 One event, two events; a, b or c."""
    assert events_text(1) == "1 event"
    assert events_text(12_480) == "12,480 events"
    assert listed(["a", "b", "c"], "or") == "a, b or c"
    assert listed(["a"]) == "a"
    assert listed([]) == ""


def test_an_event_says_how_its_span_failed_before_all_else() -> None:
    """R5.11 In the story, in the stream and among the newest failures alike."""
    failed = event("call", duration_ms=15, status_message="TimeoutError: no answer")
    assert event_sentence(failed) == "TimeoutError: no answer, took 15.0 ms"
    assert event_sentence(event("tick", rationale=" because ")) == "because"


def test_sampled_events_are_told_by_their_rates() -> None:
    """R5.5 R5.11 Each type once; what was kept surely is not named."""
    assert sampled_text([event("a"), event("b")]) == ""
    events = [event(name, weight=weight) for name, weight in (("a", 10.0), ("b", 1.0), ("c", 4.0))]
    assert sampled_text([*events, *events]) == "sampled at 10 %: a; sampled at 25 %: c"
