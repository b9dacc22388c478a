"""Hooks for agent systems: ready-made kinds and blocks for their modules' lifecycles.

    from whence.integrations import lifecycle

    with lifecycle.plan("plan-1", name="Answer the letter") as plan:
        plan.updated(steps=3)
    lifecycle.role_decision("clerk", "letters", "send", False, "Only the editor may send")

Six modules have one: `context`, `plan`, `confirm` (approvals), `role` (permissions), `extension`
and `core` (orchestration). Each records `<module>_started`, `<module>_updated`, and at the end
`<module>_completed` or `<module>_failed`; they belong to the ambient trace and request. The events
of workflows are here, too. Recording costs what calling a kind costs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from whence._native import Kind
from whence.emit.kind import kind
from whence.model.nested import JSON_NAMES, flat
from whence.model.severity import Severity

__all__ = [
    "MODULES",
    "Lifecycle",
    "Running",
    "confirm",
    "confirm_decision",
    "context",
    "core",
    "extension",
    "performance_metric",
    "plan",
    "role",
    "role_decision",
    "stage_completed",
    "stage_started",
    "workflow_started",
]

MODULES = ("context", "plan", "confirm", "role", "extension", "core")


class Running:
    """One run of a module's lifecycle: a block that records its beginning and its end.

    It completes when the block ends, or fails by an exception, which goes on. Also `async with`.
    """

    def __init__(
        self, lifecycle: Lifecycle, id: str, name: str, details: Mapping[str, Any]
    ) -> None:
        self.id = id
        self._lifecycle = lifecycle
        self._name = name
        self._details = details
        self._began_ns = 0
        self._ended = False

    def updated(self, **details: Any) -> None:
        """Records that something about it changed."""
        self._lifecycle.updated(self.id, *_nested(details))

    def fail(self, reason: str) -> None:
        """Records that it failed, before the block ends."""
        self._end(reason)

    def __enter__(self) -> Self:
        """Records its beginning."""
        self._began_ns = time.monotonic_ns()
        self._lifecycle.started(self.id, self._name or None, *_nested(self._details))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Records its end, unless fail() has."""
        if self._ended:
            return
        if kind is None:
            self._end(None)
        else:
            text = f"{kind.__name__}: {error}".removesuffix(": ")
            self._end(text.encode(errors="replace").decode())

    async def __aenter__(self) -> Self:
        """The same in a coroutine."""
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The same in a coroutine."""
        self.__exit__(kind, error, trace)

    def _end(self, reason: str | None) -> None:
        self._ended = True
        lasted_ns = max(1, time.monotonic_ns() - self._began_ns)
        if reason is None:
            self._lifecycle.completed(self.id, True, lasted_ns)
        else:
            self._lifecycle.failed(self.id, False, lasted_ns, reason)


class Lifecycle:
    """The kinds of one module, which may also be called one by one; calling it makes a block."""

    def __init__(self, module: str, component: str) -> None:
        def declared(what: str, severity: Severity = Severity.Info, **fields: Any) -> Kind[Any]:
            return kind(f"{module}_{what}", component=component, severity=severity, **fields)

        nested: dict[str, Any] = {"details": str | None, JSON_NAMES: str | None}
        failed = {"id": str, "success": bool, "duration_ns": int, "reason": str}
        self.module = module
        self.started = declared("started", id=str, name=str | None, **nested)
        self.updated = declared("updated", id=str, **nested)
        self.completed = declared("completed", id=str, success=bool, duration_ns=int)
        self.failed = declared("failed", Severity.Error, rationale="{reason}", **failed)

    def __call__(self, id: str, *, name: str = "", **details: Any) -> Running:
        """`with lifecycle.plan("plan-1"):` records the beginning and the end."""
        return Running(self, id, name, details)


context = Lifecycle("context", "Context")
plan = Lifecycle("plan", "Plan")
confirm = Lifecycle("confirm", "Confirm")
role = Lifecycle("role", "Role")
extension = Lifecycle("extension", "Extension")
core = Lifecycle("core", "Core")


@kind(component="Confirm", decision=True)
def confirm_decision(id: str, subject: str, approved: bool, by: str, rationale: str) -> None:
    """Somebody approved of something or did not, and why."""


@kind(component="Role", decision=True)
def role_decision(role: str, resource: str, action: str, granted: bool, rationale: str) -> None:
    """A role may do something with a resource or may not, and why."""


_NESTED: dict[str, Any] = {JSON_NAMES: str | None}
_workflow_started = kind(
    "workflow_started",
    component="Workflow",
    workflow_id=str,
    stages=str,
    estimated_duration=float | None,
    **_NESTED,
)
_stage_started = kind("stage_started", component="Workflow", stage=str, data=str | None, **_NESTED)
_stage_completed = kind(
    "stage_completed",
    component="Workflow",
    stage=str,
    duration_ns=int,
    status=str,
    output=str | None,
    **_NESTED,
)
_performance_metric = kind(
    "performance_metric",
    component="Workflow",
    metric_name=str,
    metric_value=float,
    metric_unit=str | None,
    tags=str | None,
    **_NESTED,
)


def workflow_started(
    workflow_id: str, stages: Sequence[str], estimated_duration: float | None = None
) -> None:
    """Records that a workflow began, with its stages; the duration in milliseconds."""
    _workflow_started(workflow_id, json.dumps(list(stages)), estimated_duration, '["stages"]')


def stage_started(stage: str, **data: Any) -> None:
    """Records that a stage of the ambient trace's workflow began."""
    text, names = _nested(data, "data")
    _stage_started(stage, text, names)


def stage_completed(
    stage: str, duration_ms: float, status: str = "success", output: Any = None
) -> None:
    """Records that a stage ended, as "success" or "failure"; ValueError for any other status."""
    if status not in ("success", "failure"):
        raise ValueError(f"status is success or failure, not {status!r}")
    kept = {} if output is None else flat({"output": output})
    text = kept.get("output")
    as_text = None if text is None else text if isinstance(text, str) else json.dumps(text)
    is_json = JSON_NAMES in kept or not isinstance(text, str | None)
    _stage_completed(
        stage, round(duration_ms * 1_000_000), status, as_text, '["output"]' if is_json else None
    )


def performance_metric(
    metric_name: str,
    metric_value: float,
    metric_unit: str = "",
    tags: Mapping[str, Any] | None = None,
) -> None:
    """Records one value of a metric."""
    _performance_metric(
        metric_name, float(metric_value), metric_unit or None, *_nested(tags or {}, "tags")
    )


def _nested(values: Mapping[str, Any], name: str = "details") -> tuple[str | None, str | None]:
    """The values as the text of one attribute, and the note that it is JSON; neither of none."""
    if not values:
        return None, None
    kept = flat({name: dict(values)})
    return str(kept.get(name, "{}")), json.dumps([name])
