"""Outcomes: what went wrong is read from recorded fields, and the gravest word wins."""

from __future__ import annotations

import pytest

from tests.query.build import COMPLETED, event, inference_chain, late_chain, rejected_chain
from whence.model.event import AttributeValue
from whence.model.severity import Severity
from whence.query.outcome import outcome_of, went_wrong


@pytest.mark.parametrize(
    "attributes",
    [
        {"admitted": False},
        {"deadline_met": False},
        {"success": False},
        {"success": "false"},
        {"status": "failure"},
        {"status": "Cancelled"},
    ],
)
def test_a_negative_outcome_field_means_trouble(attributes: dict[str, AttributeValue]) -> None:
    """R5.11 An event went wrong if admitted, deadline_met, success or status say so."""
    assert went_wrong(event("tick", attributes=attributes))


def test_severity_from_warning_means_trouble() -> None:
    """R5.11 Warning and graver severities are trouble, Info and Debug are not."""
    wrong = [severity for severity in Severity if went_wrong(event("tick", severity=severity))]
    assert wrong == [Severity.Warning, Severity.Error, Severity.Critical]


@pytest.mark.parametrize("value", [0, 1, "no", "maybe", True, ""])
def test_other_values_mean_no_trouble(value: AttributeValue) -> None:
    """R5.11 Only false, or its spelling, is negative; a number never is."""
    assert not went_wrong(event("tick", attributes={"deadline_met": value, "status": "done"}))


def test_a_late_request_is_told_with_its_times() -> None:
    """R5.11 LATE by the recorded lateness, or by response less deadline."""
    outcome = outcome_of(late_chain())
    assert outcome.text == "LATE by 6.8 ms (46.8 of 40.0 ms)"
    assert outcome.late_ns == 6_800_000
    miss = event(
        "deadline_miss",
        attributes={"lateness_ns": 2_000_000, "waited_ns": 42_000_000, "deadline_ns": 40_000_000},
    )
    assert outcome_of([miss]).text == "LATE by 2.0 ms (42.0 of 40.0 ms)"
    assert outcome_of([event("tick", attributes={"deadline_met": False})]).text == "LATE"


def test_a_deadline_that_was_met_is_told_with_its_times() -> None:
    """R5.11 Good news has figures too, also where an export holds them as text."""
    assert outcome_of(inference_chain()).text == "MET deadline (20.0 of 40.0 ms)"
    texts = {name: str(value).lower() for name, value in COMPLETED.items()}
    assert outcome_of([event("x", attributes=texts)]).text == "MET deadline (20.0 of 40.0 ms)"
    assert outcome_of([event("x", attributes={"deadline_met": True})]).text == "MET deadline"


def test_a_rejection_is_told_with_its_reason() -> None:
    """R5.11 REJECTED by the last admission decision; an admission after it takes that back."""
    assert outcome_of(rejected_chain()).text == "REJECTED: utilisation"
    assert outcome_of([event("a", attributes={"admitted": False})]).text == "REJECTED"
    again = [*rejected_chain(), event("admission_decision", 1, attributes={"admitted": True})]
    assert outcome_of(again).text == "WARNING"


def test_a_fault_is_graver_than_lateness() -> None:
    """R5.11 FAILED stands before LATE, with the recorded error."""
    fault = event("fault_recorded", 50, attributes={"error": "bad shape"}, severity=Severity.Error)
    assert outcome_of([*late_chain(), fault]).text == "FAILED: bad shape"
    assert outcome_of([event("x", attributes={"status": "failed"})]).text == (
        "FAILED with status failed"
    )
    assert outcome_of([event("x", attributes={"success": False})]).text == "FAILED"


def test_severities_speak_where_outcome_fields_do_not() -> None:
    """R5.11 Without outcome fields the worst severity is the word, and silence is said."""
    assert outcome_of([event("x", severity=Severity.Critical)]).text == "CRITICAL"
    assert outcome_of([event("x", attributes={"success": True})]).text == "SUCCEEDED"
    assert outcome_of([event("x")]).text == "no outcome recorded"
    assert not outcome_of([event("x")]).wrong


def test_the_verdict_says_what_the_newest_trouble_recorded_of_itself() -> None:
    """R5.11 The words of a failed span or of a log record; never those of a decision."""
    first = event("log_record", rationale="disk is slow", severity=Severity.Error)
    span = event("call", 1, status_message="TimeoutError: no answer", severity=Severity.Error)
    worse = event("took", 2, rationale="Took it", decision=True, severity=Severity.Error)
    assert outcome_of([first]).text == "ERROR: disk is slow"
    assert outcome_of([first, span, worse]).text == "ERROR: TimeoutError: no answer"
    answered = event("answered", 3, attributes={"success": False})
    assert outcome_of([first, span, answered]).text == "FAILED: TimeoutError: no answer"
    assert outcome_of([answered]).text == "FAILED"
