"""Agent runs in the dialects of event files: made here, as recordings, with and without faults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tests.query.build import at_ms
from whence.model.event import TraceEvent
from whence.model.ids import event_id
from whence.model.recording import Recording
from whence.model.time import Timestamp

__all__ = ["Step", "changed", "handoff_steps", "recorded", "run_steps", "tool_steps"]

Step = tuple[str, int, Mapping[str, str | int]]  # type, minute, attributes

ALLOWED: Mapping[str, str | int] = {"decision_kind": "budget", "outcome": "allow", "amount": 1000}


def run_steps() -> list[Step]:
    """A run that asks for its budget and for access, and says why it ended."""
    access = {"outcome": "allow", "subject": "user-001", "resource": "doc-001", "action": "read"}
    return [
        ("agent.init", 0, {}),
        ("budget.decision", 1, {**ALLOWED, "resource": "token_quota"}),
        ("lifecycle.transition", 2, {"to_state": "success"}),
        ("authz.decision", 3, {"decision_kind": "authz", **access}),
        ("termination.decision", 4, {"termination_reason": "success"}),
        ("agent.end", 5, {}),
    ]


def handoff_steps() -> list[Step]:
    """Two agents of which one hands its task to the other; many things at one moment."""
    return [
        ("agent.init", 0, {"agent_id": "planner", "role": "coordinator"}),
        ("artifact.create", 0, {"agent_id": "planner", "artifact_type": "plan"}),
        ("handoff", 0, {"from_agent": "planner", "to_agent": "runner"}),
        ("agent.init", 0, {"agent_id": "runner", "received_from": "planner"}),
        ("task.start", 0, {"agent_id": "runner", "task_ref": "execute"}),
        ("agent.complete", 0, {"agent_id": "runner", "outcome": "success"}),
    ]


def tool_steps() -> list[Step]:
    """A run in capitals that calls a tool, after an agent's protocol let it in."""
    return [
        ("RUN_STARTED", 0, {"run_id": "run-1"}),
        ("acp_auth", 0, {"status": "authorized"}),
        ("acp_invoke", 1, {"capability": "get_agent_info"}),
        ("acp_response", 1, {"status": "success"}),
        ("TOOL_INVOKED", 2, {"tool_name": "get_weather"}),
        ("TOOL_COMPLETED", 2, {"tool_name": "get_weather", "status": "success"}),
        ("RUN_COMPLETED", 3, {"verdict": "PASS"}),
    ]


def changed(steps: Iterable[Step], event_type: str, **attributes: str | int) -> list[Step]:
    """The steps, with other attributes for those of a type."""
    return [
        (name, minute, {**said, **attributes} if name == event_type else said)
        for name, minute, said in steps
    ]


def recorded(steps: Iterable[Step], run: str = "run-1") -> Recording:
    """The steps as an import would record them: one request, in order of time, then of the file."""
    return Recording(
        tuple(
            TraceEvent(
                event_id=event_id(7, 0, number),
                event_type=name,
                component="agent",
                timestamp=Timestamp(at_ms(minute * 60_000)),
                request_id=run,
                attributes=dict(said),
                session="import",
                ring=0,
                ticket=number,
            )
            for number, (name, minute, said) in enumerate(steps)
        )
    )
