"""The life of an alert: pending, firing, resolved, by a monotonic clock that it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

__all__ = ["AlertState", "Change", "Phase", "Timing", "later", "plain_state", "state_from", "step"]

Phase = Literal["inactive", "pending", "firing"]
Change = Literal["", "firing", "resolved"]


@dataclass(frozen=True, slots=True)
class Timing:
    """What of a rule bears on its life; times in nanoseconds."""

    for_ns: int = 0
    cooldown_ns: int = 0
    no_data: str = "keep"


@dataclass(frozen=True, slots=True)
class AlertState:
    """Where an alert is in its life. All times are of one monotonic clock.

    `since_ns` is when what it waits for began to hold; it is set while it is pending or firing.
    `resolved_ns` is when it last ceased to fire. `number` counts how often it fired.
    """

    phase: Phase = "inactive"
    since_ns: int | None = None
    resolved_ns: int | None = None
    number: int = 0


def step(
    state: AlertState, holds: bool | None, now_ns: int, timing: Timing
) -> tuple[AlertState, Change]:
    """The state once it is known whether the condition holds now, and what is to be told of it.

    It fires once it has held that long without a break, and the cooldown since it last fired is
    over; it is told of once, and once more when it ceases to hold. What is not known (None) is as
    `no_data` says; where that keeps things, it breaks nothing, and nothing begins by it.
    """
    if holds is None and timing.no_data != "keep":
        holds = timing.no_data == "fire"
    if holds is None:
        return state, ""
    if not holds:
        if state.phase == "firing":
            return AlertState("inactive", None, now_ns, state.number), "resolved"
        return replace(state, phase="inactive", since_ns=None), ""
    if state.phase == "firing":
        return state, ""
    since_ns = now_ns if state.since_ns is None else state.since_ns
    cool = state.resolved_ns is None or now_ns - state.resolved_ns >= timing.cooldown_ns
    if now_ns - since_ns >= timing.for_ns and cool:
        return AlertState("firing", since_ns, state.resolved_ns, state.number + 1), "firing"
    return replace(state, phase="pending", since_ns=since_ns), ""


def later(state: AlertState, by_ns: int) -> AlertState:
    """The state by a clock that is so far ahead: where it is read again after a restart."""

    def moved(at_ns: int | None) -> int | None:
        return None if at_ns is None else at_ns + by_ns

    return replace(state, since_ns=moved(state.since_ns), resolved_ns=moved(state.resolved_ns))


def plain_state(state: AlertState) -> dict[str, Any]:
    """The state as it is kept in a file."""
    return {
        "phase": state.phase,
        "since_ns": state.since_ns,
        "resolved_ns": state.resolved_ns,
        "number": state.number,
    }


def state_from(entry: Mapping[str, Any]) -> AlertState:
    """The state that was kept; ValueError for what is none."""
    phase, number = entry.get("phase"), entry.get("number")
    times = [entry.get("since_ns"), entry.get("resolved_ns")]
    if phase not in ("inactive", "pending", "firing") or not isinstance(number, int):
        raise ValueError("that is no state of an alert")
    if not all(isinstance(each, int | None) for each in times):
        raise ValueError("that is no state of an alert")
    if (phase == "inactive") != (times[0] is None):
        raise ValueError("that is no state of an alert")
    return AlertState(phase, times[0], times[1], number)
