"""Actions: who is told, as settings declare it, and what is made of that."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from whence.model.errors import AlertError
from whence.watch.alerts.delivery import Target
from whence.watch.alerts.guard import Guard, checked_url
from whence.watch.alerts.hooks import AlertmanagerHook, SlackHook, WebHook
from whence.watch.alerts.mail import Mail, MailSettings
from whence.watch.alerts.message import AlertMessage
from whence.watch.alerts.rules import check_keys

__all__ = ["Action", "LogTarget", "action_from", "open_target"]

TYPES = ("email", "slack", "webhook", "alertmanager", "log")
_NAME = re.compile(r"[A-Za-z0-9_][\w.\-]{0,63}")
_HOOK = ("type", "url", "url_env")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "email": (
        "type", "host", "port", "security", "sender", "to", "user", "password_env"
    ),
    "slack": _HOOK,
    "webhook": (*_HOOK, "secret_env", "token_env"),
    "alertmanager": (*_HOOK, "token_env"),
    "log": ("type",),
}  # fmt: skip
_SEVERITY = {"critical": logging.CRITICAL, "high": logging.ERROR, "warning": logging.WARNING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Who is told: `type` is email, slack, webhook, alertmanager or log, `values` what it needs.

    Secrets are in `values`; they are not shown.
    """

    name: str
    type: str
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)


class LogTarget:
    """Tells the logger whence.alerts, at a level by the alert's severity."""

    name = "log"

    def deliver(self, messages: Sequence[AlertMessage], dropped: int, timeout_s: float) -> None:
        """A record for each."""
        logger = logging.getLogger("whence.alerts")
        for each in messages:
            level = _SEVERITY[each.severity] if each.status == "firing" else logging.INFO
            figures = ", ".join(f"{name} is {value}" for name, value in each.values.items())
            commands = "; ".join(cause.command for cause in each.causes)
            logger.log(level, "%s: %s; %s; %s", each.title, each.condition, figures, commands)
        if dropped:
            logger.warning("%d more alerts found no room", dropped)

    def close(self) -> None:
        """Nothing."""


def action_from(
    name: str, entry: object, where: str, environment: Mapping[str, str]
) -> Action:  # fmt: skip
    """The action that a table declares; its type is its name unless it says one. AlertError."""
    if not _NAME.fullmatch(name):
        raise AlertError(f"{where}: a name is letters, digits, '_', '-' and '.'")
    if not isinstance(entry, dict):
        raise AlertError(f"{where} is a table")
    kind = entry.get("type", name)
    if kind not in TYPES:
        raise AlertError(f"{where}: its type is one of {', '.join(TYPES)}, not {str(kind)[:50]!r}")
    check_keys(entry, _KEYS[kind], where)
    values = {key: value for key, value in entry.items() if key != "type"}
    for key in [key for key in values if key.endswith("_env")]:
        variable = values.pop(key)
        if not isinstance(variable, str) or not environment.get(variable):
            raise AlertError(f"{where}: {key} names no environment variable that is set")
        if key.removesuffix("_env") in values:
            raise AlertError(f"{where}: {key} and {key.removesuffix('_env')} exclude each other")
        values[key.removesuffix("_env")] = environment[variable]
    action = Action(name=name, type=kind, values=values)
    if kind in ("slack", "webhook", "alertmanager"):
        checked_url(values.get("url"), where)
    open_target(action, Guard(), where=where).close()  # whatever else is wrong is said now
    return action


def open_target(action: Action, guard: Guard, *, where: str = "") -> Target:
    """What tells those that the action names. AlertError for values that make no sense."""
    make: Mapping[str, Callable[[], Target]] = {
        "email": lambda: Mail(action.name, MailSettings(**action.values)),
        "slack": lambda: SlackHook(action.name, action.values["url"], guard),
        "webhook": lambda: WebHook(
            action.name,
            action.values["url"],
            guard,
            secret=action.values.get("secret", "").encode(),
            headers=_bearer(action),
        ),
        # it is of this place: only who writes the file says where, never who may change rules
        "alertmanager": lambda: AlertmanagerHook(
            action.name, action.values["url"], None, headers=_bearer(action)
        ),
        "log": LogTarget,
    }
    try:
        return make[action.type]()
    except (AlertError, TypeError, ValueError) as error:
        raise AlertError(f"{where or action.name}: {error}") from None


def _bearer(action: Action) -> dict[str, str]:
    token = action.values.get("token")
    return {"Authorization": f"Bearer {token}"} if token else {}
