"""What alerts are kept in across restarts: their states, and the messages nobody has got yet."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from whence.store.disk import Disk, read_plain_file
from whence.watch.alerts.message import AlertMessage, message_from, plain_message
from whence.watch.alerts.states import AlertState, later, plain_state, state_from

__all__ = ["FILE", "Firing", "Kept", "read_kept", "write_kept"]

FILE = "alerts.json"
_VERSION = 1


@dataclass(slots=True)
class Firing:
    """One rule's state, and the message that it fires by, if it does."""

    state: AlertState = field(default_factory=AlertState)
    message: AlertMessage | None = None


@dataclass(slots=True)
class Kept:
    """All of it. `undelivered` is by action, the oldest first; `trouble` is why some is missing."""

    firings: dict[str, Firing] = field(default_factory=dict)
    undelivered: dict[str, list[AlertMessage]] = field(default_factory=dict)
    trouble: str = ""


def read_kept(path: Path, now_ns: int) -> Kept:
    """What the file holds, its times by the clock that says `now_ns`; nothing if there is none.

    The time between is not counted: nobody looked. What is no such file is set aside, and said.
    """
    try:
        content = json.loads(read_plain_file(path))
        if content["version"] != _VERSION:
            raise ValueError(f"its version is {content['version']}")
        by_ns = now_ns - int(content["now_ns"])
        firings = {
            name: Firing(
                later(state_from(entry["state"]), by_ns),
                None if entry["message"] is None else message_from(entry["message"]),
            )
            for name, entry in content["alerts"].items()
        }
        undelivered = {
            name: [message_from(each) for each in entries]
            for name, entries in content["undelivered"].items()
        }
    except FileNotFoundError:
        return Kept()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        aside = path.with_name(f"{path.name}.damaged")
        try:
            os.replace(path, aside)
        except OSError:
            return Kept(trouble=f"{path} cannot be read: {error}")
        return Kept(trouble=f"{path} was damaged, and is {aside.name} now: {error}")
    return Kept(firings, undelivered)


def write_kept(
    path: Path, kept: Kept, now_ns: int, disk: Disk | None = None
) -> None:  # fmt: skip
    """Replaces the file at once and durably. OSError."""
    alerts: Mapping[str, object] = {
        name: {
            "state": plain_state(each.state),
            "message": None if each.message is None else plain_message(each.message),
        }
        for name, each in kept.firings.items()
        if each.state != AlertState()
    }
    undelivered = {
        name: [plain_message(each) for each in messages]
        for name, messages in kept.undelivered.items()
        if messages
    }
    content = {
        "version": _VERSION, "now_ns": now_ns, "alerts": alerts, "undelivered": undelivered
    }  # fmt: skip
    disk = disk or Disk()
    beside = path.with_name(f".{path.name}.new")
    disk.write(beside, json.dumps(content).encode())
    disk.replace(beside, path)
    disk.sync_folder(path.parent)
