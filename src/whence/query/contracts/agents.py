"""The contracts for programs whose agents ask before they act, and for event files of such runs."""

from __future__ import annotations

from whence.query.contracts.contract import Contract, End, Guard, Requirement

__all__ = ["AGENT_APPROVALS", "AGENT_RUN", "APPROVALS"]

# For programs that declare their own kinds: what was asked for, checked, and decided.
APPROVALS = Contract(
    name="approvals",
    opens="approval_requested",
    ends=(End("approval_granted"), End("approval_denied"), End("approval_expired")),
    require=(
        Requirement("approval_requested", count="1+", fields=("action",)),
        Requirement(
            "policy_checked",
            count="1+",
            after=("approval_requested",),
            fields=("policy", "outcome"),
        ),
        Requirement("approval_granted", count="0+", fields=("rationale",)),
        Requirement("approval_denied", count="0+", fields=("rationale",)),
    ),
    guards=(
        Guard("approval_granted", by=("policy_checked",), same=("call_id",)),
        Guard("approval_denied", by=("approval_requested",), same=("call_id",)),
        Guard("approval_denied", by=("policy_checked",), same=("call_id",)),
    ),
)

_WORK = ("tool.*", "*.execute", "*.invoke", "*.dispatch")
_FINAL_STATES = ("success", "completed", "failed", "cancelled", "expired")
_NOT_ALLOWED = " and ".join(
    f"outcome != {word}" for word in ("allow", "allowed", "approve", "approved", "grant", "granted")
)
_CONFIRMING = ("*confirm*", "*gate*", "*approv*", "*audit*")

# For event files with types such as agent.init, authz.decision and termination.decision.
AGENT_APPROVALS = Contract(
    name="agent-approvals",
    opens="agent.init",
    ends=(
        End("agent.end", closes=_WORK),
        End("agent.complete"),  # of one agent: others may go on
        End("termination.decision", closes=_WORK),
        *(
            End("lifecycle.transition", where=f"to_state = {state}", closes=_WORK)
            for state in _FINAL_STATES
        ),
    ),
    require=(
        Requirement("agent.init", count="1+"),
        Requirement(
            "budget.decision", count="0+", after=("agent.init",), fields=("outcome", "resource")
        ),
        Requirement(
            "authz.decision",
            count="0+",
            after=("agent.init",),
            fields=("outcome", "subject", "resource", "action"),
        ),
        Requirement(
            "termination.decision",
            count="0-1",
            fields=("termination_reason",),
            values={
                "termination_reason": (
                    "success",
                    "completed",
                    "failure",
                    "failed",
                    "error",
                    "timeout",
                    "cancelled",
                    "budget_exhausted",
                    "denied",
                    "user_request",
                )
            },
        ),
        Requirement("lifecycle.transition", count="0+", fields=("to_state",)),
        Requirement("handoff", count="0+", fields=("from_agent", "to_agent")),
        Requirement("agent.complete", count="0+"),
    ),
    guards=(
        Guard("budget.decision", where=_NOT_ALLOWED, by=(*_CONFIRMING, "*block*"), anywhere=True),
        Guard("authz.decision", where=_NOT_ALLOWED, by=_CONFIRMING, anywhere=True),
    ),
)

# For event files with types such as RUN_STARTED and TOOL_INVOKED.
AGENT_RUN = Contract(
    name="agent-run",
    opens="RUN_STARTED",
    ends=(
        End("RUN_COMPLETED", closes=("TOOL_INVOKED", "acp_invoke")),
        End("RUN_FAILED", closes=("TOOL_INVOKED", "acp_invoke")),
    ),
    require=(
        Requirement("RUN_STARTED", fields=("run_id",)),
        Requirement("TOOL_COMPLETED", count="1+", when="has TOOL_INVOKED", after=("TOOL_INVOKED",)),
        Requirement("acp_response", count="1+", when="has acp_invoke", after=("acp_invoke",)),
    ),
    guards=(Guard("acp_invoke", by=("acp_auth",)),),
)
