"""compare(): what both chains have, what differs, and what makes no difference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.query.build import (
    ADMITTED,
    event,
    inference_chain,
    late_chain,
    recording,
)
from whence.model.errors import IdNotFound
from whence.model.event import Option, TraceEvent
from whence.query.compare import Comparison, Difference, compare
from whence.query.index import Index
from whence.query.plain import plain


def compared(a: list[TraceEvent], b: list[TraceEvent]) -> Comparison:
    """The chains of two recordings of their own."""
    return compare(recording(a), a[0].request_id, recording(b), b[0].request_id)


def steps(found: Comparison) -> list[tuple[str, str]]:
    """(kind, event type) of every step."""
    return [(step.kind, step.event_type) for step in found.steps]


def only_step(a: TraceEvent, b: TraceEvent) -> tuple[str, list[str]]:
    """What became of two events that are a chain each: the kind, and the fields that differ."""
    (step,) = compared([a], [b]).steps
    return step.kind, [d.field for d in step.differences if not d.only_time]


def test_two_requests_that_went_alike_are_the_same() -> None:
    """R5.14 Other ids, other times, other lengths: nothing of that is a difference."""
    source = recording([*inference_chain(), *inference_chain("req-2", 70.5, first_ticket=20)])
    found = compare(source, "req-1", source, "req-2")
    assert found.same
    assert found.count("same") == len(found.steps) == 4
    assert [(t.name, t.a_ns, t.b_ns) for t in found.time_went][-1] == (
        "in all",
        20_000_000,
        20_000_000,
    )


def test_steps_are_aligned_by_type_and_order() -> None:
    """R5.14 What one chain has besides stands in its place, and the rest is still compared."""
    found = compared(inference_chain(), late_chain())
    assert steps(found) == [
        ("differs", "admission_decision"),
        ("differs", "scheduling_decision"),
        ("only b", "scheduling_decision"),
        ("same", "execution_started"),
        ("differs", "execution_completed"),
    ]
    assert not found.same
    assert not found.same_outcome
    assert (found.a.outcome.word, found.b.outcome.word) == ("MET deadline", "LATE")
    assert {t.name for t in found.time_went} == {"waiting", "executing", "other", "in all"}


def test_what_differs_is_shown_side_by_side() -> None:
    """R5.14 Attributes, severities, choices and rationales, each in words; times apart."""
    found = compared(inference_chain(), late_chain())
    completed = found.steps[-1].differences
    assert Difference(field="deadline_met", a="true", b="false") in completed
    late = Difference(field="response_ns", a="20.0 ms", b="46.8 ms", only_time=True)
    assert late in completed
    assert Difference(field="budget_ns", a="15.0 ms", b=None) in completed


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"attributes": {"load": 0.5, "took_ns": 7}}, ["load"]),
        ({"attributes": {"load": 0.7, "took_ns": 99}}, []),
        ({"attributes": {"load": 0.7, "took_ns": "x"}}, ["took_ns"]),
        ({"attributes": {"load": 0.7}}, ["took_ns"]),
        ({"attributes": {"load": 0.7, "took_ns": 7, "n": True}}, ["n"]),
        ({"rationale": "waited 31.4 ms for this"}, []),
        ({"rationale": "waited 31.4 ms for req-8"}, ["rationale"]),
        ({"rationale": "waited 31.4 MB for req-9"}, ["rationale"]),
        ({"component": "Other"}, ["component"]),
        ({"model_id": "n"}, ["model_id"]),
        ({"options": (Option("a"), Option("b", chosen=True))}, ["chosen", "not chosen"]),
        ({"options": (Option("a", {"score": 9.0}, chosen=True), Option("b"))}, []),
        ({"status": "error", "status_message": "gone"}, ["status", "status_message"]),
        ({"duration_ms": 9}, []),
    ],
)
def test_what_makes_a_difference(change: dict[str, Any], fields: list[str]) -> None:
    """R5.14 Values and choices do; lengths of time, also within texts, and own ids do not."""
    usual: dict[str, Any] = {
        "attributes": {"load": 0.7, "took_ns": 7},
        "rationale": "waited 2.0 ms for this",
        "model_id": "m",
        "options": (Option("a", chosen=True), Option("b")),
        "duration_ms": 4,
    }
    kind, found = only_step(event("step", **usual), event("step", 0, "req-9", **(usual | change)))
    assert found == fields
    assert kind == ("differs" if fields else "same")


def test_own_ids_within_texts_make_no_difference() -> None:
    """R5.14 What speaks of its own request speaks of the same; what names another does not."""
    ours, theirs = (
        event("step", 0, own, rationale=f"{own} waits", attributes={"blocker": other, "own": own})
        for own, other in (("req-1", "req-7"), ("req-9", "req-8"))
    )
    assert only_step(ours, theirs) == ("differs", ["blocker"])


def test_values_that_look_alike_are_told_apart() -> None:
    """R5.14 1 and true, 1 and 1.0, and what differs behind the digits that words show."""
    for ours, theirs in ((1, True), (1, 1.0), (0.123456, 0.123457), (1, "1")):
        a, b = (event("step", attributes={"x": value}) for value in (ours, theirs))
        (step,) = compared([a], [b]).steps
        (difference,) = step.differences
        assert difference.a != difference.b


def test_two_sources_may_use_one_id() -> None:
    """R5.14 Before and after: the same request in two recordings."""
    changed = [replace(e, attributes={**ADMITTED, "utilisation": 0.9}) for e in inference_chain()]
    a, b = Index(recording(inference_chain())), Index(recording(changed))
    assert compare(a, "req-1", a, "req-1").same
    assert not compare(a, "req-1", b, "req-1").same
    with pytest.raises(IdNotFound):
        compare(a, "req-1", b, "req-2")


def test_a_chain_with_gaps_says_so() -> None:
    """R5.14 R5.16 A step that is not there may only not have been kept."""
    found = compared(inference_chain(), inference_chain()[:2])
    assert found.a.complete
    assert not found.b.complete


def test_the_comparison_is_plain_data() -> None:
    """R5.14 Whole numbers for time, and every step."""
    found = plain(compared(inference_chain(), late_chain()))
    assert found["same"] is False
    assert found["steps"][0]["a"]["offset_ns"] == 0
    assert len(found["steps"]) == 5


TYPES = st.lists(st.sampled_from("abc"), min_size=1, max_size=12)


@given(TYPES, TYPES)
def test_every_step_is_there_once_and_in_order(a: list[str], b: list[str]) -> None:
    """R5.14 Left and right, the steps are those of the chains."""
    ours, theirs = ([event(name, n, ticket=n) for n, name in enumerate(names)] for names in (a, b))
    found = compared(ours, theirs)
    assert [s.event_type for s in found.steps if s.a is not None] == a
    assert [s.event_type for s in found.steps if s.b is not None] == b
    assert all(s.kind == "same" for s in found.steps if s.a is not None and s.b is not None)
    assert found.same == (a == b)


def test_a_text_of_digits_costs_no_more_than_its_length() -> None:
    """R5.14 What is looked for in texts is looked for once, however they were made."""
    ours, theirs = (event("step", rationale="7" * 200_000 + end) for end in ("x", "y"))
    assert only_step(ours, theirs) == ("differs", ["rationale"])
    ours, theirs = (event("step", rationale=f"{n}1,234.5 ms, -{n} us left") for n in (1, 23))
    assert only_step(ours, theirs) == ("same", [])
