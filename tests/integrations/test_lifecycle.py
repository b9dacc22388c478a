"""Hooks for the lifecycles of agent systems."""

from __future__ import annotations

import asyncio

import pytest

import whence
from tests.own_events import OwnEvents
from whence.integrations import lifecycle
from whence.model.nested import whole


@pytest.mark.parametrize("module", lifecycle.MODULES)
def test_a_block_records_its_beginning_and_its_end(module: str, recorded: OwnEvents) -> None:
    """R4.61 Each of the six modules has its kinds, in the ambient request."""
    hook = getattr(lifecycle, module)
    with whence.request("req-1"), hook("id-1", name="the first", owner={"team": ["a"]}) as running:
        running.updated(steps=3)
    (started, updated, completed) = recorded()
    assert [each.event_type for each in (started, updated, completed)] == [
        f"{module}_started", f"{module}_updated", f"{module}_completed",
    ]  # fmt: skip
    assert {each.component for each in recorded()} == {module.capitalize()}
    assert whole(started.attributes)["details"] == {"owner": {"team": ["a"]}}
    assert whole(updated.attributes)["details"] == {"steps": 3}
    assert completed.attributes == {"id": "id-1", "success": True}
    assert completed.duration.nanos > 0
    assert {each.request_id for each in recorded()} == {"req-1"}


def test_an_exception_fails_a_block_and_goes_on(recorded: OwnEvents) -> None:
    """R4.61 The reason names it; also in a coroutine."""
    with pytest.raises(KeyError), lifecycle.plan("plan-1"):
        raise KeyError("page")

    async def run() -> None:
        async with lifecycle.core("run-1") as running:
            running.fail("enough")

    asyncio.run(run())
    failed = [each for each in recorded() if each.event_type.endswith("_failed")]
    assert [each.rationale for each in failed] == ["KeyError: 'page'", "enough"]
    assert {each.severity for each in failed} == {whence.Severity.Error}
    assert "core_completed" not in {each.event_type for each in recorded()}


def test_approvals_and_permissions_are_decisions(recorded: OwnEvents) -> None:
    """R4.61 With a rationale, which is required."""
    lifecycle.confirm_decision("c-1", "send letter", True, "editor", "It was read twice")
    lifecycle.role_decision("clerk", "letters", "send", False, "Only the editor may send")
    with pytest.raises(ValueError, match="rationale"):
        lifecycle.role_decision("clerk", "letters", "send", True, "")
    (approved, denied) = recorded()
    assert approved.decision
    assert denied.decision
    assert (approved.attributes["approved"], denied.attributes["granted"]) == (True, False)


def test_workflows_have_their_standard_events(recorded: OwnEvents) -> None:
    """R4.36 R4.37 R4.38 R4.39 Names and attributes are those that trace services know."""
    lifecycle.workflow_started("wf-1", ["context", "plan"], 1_500)
    lifecycle.stage_started("context", pages=[1, 2])
    lifecycle.stage_completed("context", 12.5, "success", {"boxes": 3})
    lifecycle.stage_completed("plan", 1, "failure")
    lifecycle.performance_metric("load", 0.5, "%", {"host": "a"})
    found = [(each.event_type, whole(each.attributes)) for each in recorded()]
    assert found == [
        ("workflow_started", {
            "workflow_id": "wf-1", "stages": ["context", "plan"], "estimated_duration": 1500.0,
        }),
        ("stage_started", {"stage": "context", "data": {"pages": [1, 2]}}),
        ("stage_completed", {"stage": "context", "status": "success", "output": {"boxes": 3}}),
        ("stage_completed", {"stage": "plan", "status": "failure"}),
        ("performance_metric", {
            "metric_name": "load", "metric_value": 0.5, "metric_unit": "%", "tags": {"host": "a"},
        }),
    ]  # fmt: skip
    assert recorded()[2].duration.nanos == 12_500_000
    with pytest.raises(ValueError, match="success or failure"):
        lifecycle.stage_completed("plan", 1, "perhaps")
