"""whence.outcome(): what is recorded, what is refused, and that no sampling takes it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

import whence
from tests.apps import AppRun
from tests.own_events import OwnEvents
from whence.collect.gates import change_gates, read_gates

RunApp = Callable[..., AppRun]


def test_an_outcome_is_an_event_of_its_request(recorded: OwnEvents) -> None:
    """R5.8 Score, label and comment are its fields; the request is the one it is told of."""
    whence.outcome("req-17", score=0.92, label="accepted", comment="as in the contract")
    found = recorded.one()
    assert (found.event_type, found.component) == ("outcome", "whence")
    assert (found.request_id, found.decision_chain_id) == ("req-17", "req-17")
    assert found.attributes == {
        "score": 0.92,
        "label": "accepted",
        "comment": "as in the contract",
    }
    assert not found.decision


def test_what_is_not_given_is_not_recorded(recorded: OwnEvents) -> None:
    """R5.8 A label alone, or a score alone, of any kind of number."""
    whence.outcome("req-1", label="rejected by the customer")
    whence.outcome("req-1", score=0)
    whence.outcome("req-1", score=Fraction(1, 4))  # type: ignore[arg-type]
    assert [dict(e.attributes) for e in recorded()] == [
        {"label": "rejected by the customer"},
        {"score": 0.0},
        {"score": 0.25},
    ]


@pytest.mark.parametrize(
    ("arguments", "error", "why"),
    [
        ({}, ValueError, "needs a score, a label or both"),
        ({"comment": "well done"}, ValueError, "needs a score, a label or both"),
        ({"label": "  "}, ValueError, "needs a score, a label or both"),
        ({"score": float("nan")}, ValueError, "finite"),
        ({"score": float("-inf"), "label": "x"}, ValueError, "finite"),
        ({"score": 10**400}, ValueError, "finite"),
        ({"score": True}, TypeError, "must be a number"),
        ({"score": "0.9"}, TypeError, "must be a number"),
        ({"label": None}, TypeError, "label must be str"),
        ({"label": "x", "comment": 5}, TypeError, "comment must be str"),
        ({"request_id": "", "label": "x"}, ValueError, "cannot be empty"),
        ({"request_id": 17, "label": "x"}, TypeError, "request_id must be str"),
        ({"request_id": "\ud800", "label": "x"}, ValueError, "(?i)utf-8|surrogate"),
    ],
)
def test_what_says_nothing_is_refused_at_the_door(
    arguments: dict[str, Any], error: type[Exception], why: str, recorded: OwnEvents
) -> None:
    """R5.8 Neither score nor label, no number, no request: nothing is recorded."""
    with pytest.raises(error, match=why):
        whence.outcome(**({"request_id": "req-1"} | arguments))
    assert recorded() == []


def test_it_speaks_of_its_request_wherever_it_is_told(recorded: OwnEvents) -> None:
    """R5.8 Neither the ambient request nor its chain, its lineage or an open span is in it."""
    with whence.request("other", decision_chain_id="chain", lineage_id=7), whence.span("review"):
        whence.outcome("req-17", label="accepted")
    (found,) = (e for e in recorded() if e.event_type == "outcome")
    assert (found.request_id, found.decision_chain_id) == ("req-17", "req-17")
    assert (found.lineage_id, found.span_id) == (0, 0)


def test_sampling_takes_no_outcome(run_app: RunApp) -> None:
    """R5.8 R1.35 A rule for all kinds, one by name, and one from outside leave every outcome."""
    run = run_app("""
        import whence
        from whence import _native
        tick = whence.kind("tick", component="A", request_id=str)
        for name in ("*", "outcome"):
            assert _native.set_rule(name, _native.gate_word(0.01, None))
            for n in range(200):
                tick(f"req-{n}")
                whence.outcome(f"req-{n}", label="fine")
    """)
    events = run.recording().events
    assert sum(e.event_type == "outcome" for e in events) == 400
    assert sum(e.event_type == "tick" for e in events) < 40  # of 400


def test_outcomes_are_all_or_off() -> None:
    """R5.8 From outside, too: a rate is refused, switching off is obeyed."""
    whence.outcome("req-1", label="x")
    session = whence.session()
    assert session is not None
    assert session.path is not None
    with pytest.raises(ValueError, match="outcomes are recorded all, or off"):
        change_gates(session.path, {"outcome": _word(0.5)})
    gates = read_gates(session.path)
    (found,) = (each for each in gates.kinds if each.event_type == "outcome")
    assert (found.on, found.sample_rate) == (True, 1.0)


def _word(rate: float) -> int:
    from whence import _native

    return _native.gate_word(rate, None)
