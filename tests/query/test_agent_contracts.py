"""The contracts for agents: runs that keep them, and each way of breaking them."""

from __future__ import annotations

import pytest

from tests.query.agent_runs import Step, changed, handoff_steps, recorded, run_steps, tool_steps
from tests.query.build import event, recording
from whence.model.recording import Recording
from whence.query.contracts.finding import Finding
from whence.query.contracts.verify import Verdict, verify


def verdict_of(source: Recording) -> Verdict:
    """What became of the one chain, under the contract that covers it."""
    (found,) = [verdict for verdict in verify(source).contracts if verdict.chains]
    return found


def flaw_of(source: Recording) -> Finding:
    """The one thing that is wrong with the one chain, which breaks its contract."""
    found = verdict_of(source)
    assert found.verdict == "incomplete"
    (flaw,) = found.flaws
    (finding,) = [one for one in flaw.report.findings if not one.optional]
    return finding


@pytest.mark.parametrize(
    ("steps", "contract"),
    [
        (run_steps(), "agent-approvals"),
        (handoff_steps(), "agent-approvals"),
        (tool_steps(), "agent-run"),
    ],
)
def test_runs_of_each_dialect_keep_their_contract(steps: list[Step], contract: str) -> None:
    """R5.12 A run of each dialect is covered by a ready-made contract, and complete."""
    found = verdict_of(recorded(steps))
    assert (found.contract, found.verdict) == (contract, "complete")


def test_a_denied_budget_without_a_gate_is_found() -> None:
    """R5.12 The denial is named by its id, wherever in the file it stands."""
    steps = changed(run_steps(), "budget.decision", outcome="deny", amount=0)
    steps.insert(4, steps.pop(1))  # lines of a file need not be in order of time
    source = recorded(steps)
    finding = flaw_of(source)
    assert (finding.kind, finding.member) == ("unguarded", "budget.decision")
    (denial,) = [one for one in source.events if one.event_type == "budget.decision"]
    assert finding.event_ids == (denial.event_id,)
    assert finding.sentence.startswith("budget.decision (outcome deny) without *confirm*, *gate*")
    assert [cause.kind for cause in finding.causes] == ["not recorded"]


@pytest.mark.parametrize("outcome", ["deny", "denied", "reject", "throttle"])
def test_denied_access_without_confirmation_is_found(outcome: str) -> None:
    """R5.12 Whatever is not allowed needs a gate, also where moments tie."""
    steps = [
        (name, 1 if name == "authz.decision" else minute, said)
        for name, minute, said in changed(run_steps(), "authz.decision", outcome=outcome)
    ]
    assert flaw_of(recorded(steps)).member == "authz.decision"


@pytest.mark.parametrize("gate", ["confirm.gate", "human.confirmation", "approval.gate"])
@pytest.mark.parametrize("minute", [0, 4])
def test_a_denial_with_a_gate_is_right(gate: str, minute: int) -> None:
    """R5.12 The gate may be asked before the denial or confirm it afterwards."""
    steps = changed(run_steps(), "authz.decision", outcome="deny")
    steps.insert(minute, (gate, minute, {}))
    assert verdict_of(recorded(steps)).verdict == "complete"


def test_work_after_a_final_state_is_found_once() -> None:
    """R5.12 The tool call is named, and the event that had closed the run to it."""
    steps = [
        (name, 10 if name == "lifecycle.transition" else 15 if name == "agent.end" else minute, s)
        for name, minute, s in run_steps()
    ]
    source = recorded([*steps, ("tool.execute", 11, {"tool_name": "forbidden"})])
    finding = flaw_of(source)
    assert finding.sentence == "tool.execute after termination.decision"
    closed, late = (
        next(one.event_id for one in source.events if one.event_type == name)
        for name in ("termination.decision", "tool.execute")
    )
    assert finding.event_ids == (closed, late)


def test_a_reason_outside_the_allowed_set_is_found() -> None:
    """R5.12 The value that was recorded is told beside those that are allowed."""
    finding = flaw_of(
        recorded(changed(run_steps(), "termination.decision", termination_reason="pizza"))
    )
    assert finding.kind == "wrong value"
    assert finding.sentence == (
        "termination.decision has termination_reason 'pizza', none of the 10 allowed"
    )


@pytest.mark.parametrize("field", ["subject", "resource", "action", "outcome"])
def test_a_decision_that_says_half_is_found(field: str) -> None:
    """R5.12 Who, what and on what: an access decision has all of them."""
    steps = changed(run_steps(), "authz.decision", **{field: ""})
    assert flaw_of(recorded(steps)).sentence == f"authz.decision has no {field}"


def test_a_run_that_never_ends_is_found() -> None:
    """R5.12 No state, no termination, no end."""
    steps = [step for step in run_steps() if step[0] in ("agent.init", "budget.decision")]
    assert flaw_of(recorded(steps)).kind == "missing"


@pytest.mark.parametrize(
    ("left_out", "member"),
    [
        ("TOOL_COMPLETED", "TOOL_COMPLETED"),
        ("acp_response", "acp_response"),
        ("acp_auth", "acp_invoke"),
        ("RUN_COMPLETED", "RUN_COMPLETED"),
    ],
)
def test_each_fault_of_a_tool_run_is_found(left_out: str, member: str) -> None:
    """R5.12 Tools answer, agents are let in before they are asked, runs end."""
    steps = [step for step in tool_steps() if step[0] != left_out]
    assert flaw_of(recorded(steps)).member == member


def approval(*types: str, **attributes: str) -> Recording:
    """A chain of approval events, a millisecond apart."""
    said = {"action": "delete", "policy": "files", "outcome": "deny", **attributes}
    return recording(
        [
            event(name, number, ticket=number, attributes=said, rationale=f"{name}, as asked")
            for number, name in enumerate(types)
        ]
    )


def test_a_programs_own_approvals_are_checked() -> None:
    """R5.12 A denial after the request and the policy's check is complete."""
    found = verdict_of(approval("approval_requested", "policy_checked", "approval_denied"))
    assert (found.contract, found.verdict) == ("approvals", "complete")


def test_a_denial_before_the_check_is_found() -> None:
    """R5.12 A gate that came only afterwards is none: it must be before."""
    source = approval("approval_requested", "approval_denied", "policy_checked")
    finding = flaw_of(source)
    assert finding.sentence == (
        "approval_denied without policy_checked with the same call_id before it"
    )
    assert finding.event_ids == (source.events[1].event_id,)
