"""AlertMessage: that an alert began to fire, or ceased to, by which figures, and from what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

__all__ = ["AlertMessage", "Cause", "iso", "message_from", "plain_message", "text_of"]

_MOST_TOLD = 1_000  # of several in one text


@dataclass(frozen=True, slots=True)
class Cause:
    """A trace or decision that an alert is about: its id, and how it is asked why."""

    kind: Literal["trace", "decision", "chain"]
    id: str
    command: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMessage:
    """What is told of an alert once; wall times in nanoseconds.

    `id` is the same for both messages of one firing, and each of them comes once more at most where
    the service was killed while it was being sent. `values` are the figures as they are shown.
    """

    id: str
    name: str
    status: Literal["firing", "resolved", "test"]
    severity: str
    condition: str
    window: str
    started_wall_ns: int
    ended_wall_ns: int | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    causes: tuple[Cause, ...] = ()
    note: str = ""

    @property
    def title(self) -> str:
        """One line."""
        return f"[{self.status}] {self.severity}: {self.name}"


def text_of(message: AlertMessage) -> str:
    """The message as lines of text, the links at its end."""
    figures = ", ".join(f"{name} is {value}" for name, value in message.values.items())
    lines = [message.title, "", f"{message.condition} (over {message.window})"]
    if figures:
        lines.append(f"now: {figures}")
    lines.append(f"since: {iso(message.started_wall_ns)}")
    if message.ended_wall_ns is not None:
        lines.append(f"until: {iso(message.ended_wall_ns)}")
    if message.note:
        lines.append(message.note)
    if message.labels:
        lines.append(" ".join(f"{name}={value}" for name, value in message.labels.items()))
    for cause in message.causes:
        lines += ["", f"{cause.kind} {cause.id}", f"  {cause.command}"]
        if cause.url:
            lines.append(f"  {cause.url}")
    return "\n".join(lines)


def plain_message(message: AlertMessage) -> dict[str, Any]:
    """The message as JSON tells it."""
    return {
        "id": message.id,
        "name": message.name,
        "status": message.status,
        "severity": message.severity,
        "condition": message.condition,
        "window": message.window,
        "started_at": iso(message.started_wall_ns),
        "ended_at": None if message.ended_wall_ns is None else iso(message.ended_wall_ns),
        "started_wall_ns": str(message.started_wall_ns),
        "ended_wall_ns": None if message.ended_wall_ns is None else str(message.ended_wall_ns),
        "values": dict(message.values),
        "labels": dict(message.labels),
        "causes": [
            {"kind": each.kind, "id": each.id, "command": each.command, "url": each.url}
            for each in message.causes
        ],
        "note": message.note,
    }


def message_from(entry: Mapping[str, Any]) -> AlertMessage:
    """The message that plain_message() told; KeyError, TypeError or ValueError for what is none."""
    ended = entry["ended_wall_ns"]
    causes: Sequence[Mapping[str, Any]] = entry["causes"]
    return AlertMessage(
        **{name: entry[name] for name in ("id", "name", "status", "severity", "condition")},
        window=entry["window"],
        started_wall_ns=int(entry["started_wall_ns"]),
        ended_wall_ns=None if ended is None else int(ended),
        values=dict(entry["values"]),
        labels=dict(entry["labels"]),
        causes=tuple(Cause(**each) for each in causes),
        note=entry["note"],
    )


def iso(wall_ns: int) -> str:
    """The time as RFC 3339 writes it, in UTC, to the millisecond."""
    at = datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{wall_ns // 1_000_000 % 1_000:03d}Z"
