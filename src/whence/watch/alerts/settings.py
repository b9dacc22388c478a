"""alerts.toml: the rules, those who are told, and the hosts that may be reached for it."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from whence.model.errors import AlertError
from whence.watch.alerts.actions import Action, action_from
from whence.watch.alerts.grammar import parse_time
from whence.watch.alerts.guard import Guard, checked_url
from whence.watch.alerts.rules import AlertRule, check_keys, rule_from

__all__ = ["MOST_RULES", "AlertSettings", "load_alerts", "parse_alerts", "rules_from"]

MOST_RULES = 100_000
_KEYS = ("alert", "action", "allow", "interval", "links")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """What alerts consist of. Raises AlertError for an action that a rule names and nothing is.

    `actions` are by their names; "log" is always there. `allow` are the hosts that webhooks may
    reach although they are not public. Rules are looked at every `interval_ns`, and as the store
    grows. `links` is where this server is reached, for the links in messages.
    """

    rules: Sequence[AlertRule] = ()
    actions: Mapping[str, Action] = field(default_factory=dict)
    allow: Sequence[str] = ()
    interval_ns: int = 10_000_000_000
    links: str = ""

    def __post_init__(self) -> None:
        actions = {"log": Action(name="log", type="log"), **self.actions}
        object.__setattr__(self, "actions", actions)
        object.__setattr__(self, "rules", tuple(self.rules))
        if len(self.rules) > MOST_RULES:
            raise AlertError(f"there are at most {MOST_RULES} alerts")
        names: set[str] = set()
        for rule in self.rules:
            if rule.name in names:
                raise AlertError(f'two alerts are called "{rule.name}"')
            names.add(rule.name)
            for action in rule.actions:
                if action not in actions:
                    known = ", ".join(sorted(actions))
                    raise AlertError(
                        f'alert "{rule.name}": there is no action {action!r}; there are {known}'
                    )
        Guard(self.allow)

    def with_rules(self, rules: Sequence[AlertRule]) -> AlertSettings:
        """The same with other rules."""
        return replace(self, rules=rules)


def load_alerts(path: str | os.PathLike[str]) -> AlertSettings:
    """What a TOML file declares. Raises OSError, and AlertError as parse_alerts() does."""
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise AlertError(f"{path} is not UTF-8 text: {error}") from None
    return parse_alerts(text, str(path))


def parse_alerts(
    text: str, where: str = "alerts.toml", environment: Mapping[str, str] = os.environ
) -> AlertSettings:
    """What a TOML text declares; AlertError names the entry and the column that is wrong."""
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise AlertError(f"{where} is not TOML: {error}") from None
    check_keys(content, _KEYS, where)
    actions: dict[str, Action] = {}
    declared = content.get("action", {})
    if not isinstance(declared, dict):
        raise AlertError(f"{where}: an action is a table [action.NAME]")
    for name, entry in declared.items():
        actions[name] = action_from(name, entry, f"{where}, action {name}", environment)
    try:
        interval_ns = parse_time(_text(content, "interval", "10s", where))
        settings = AlertSettings(
            rules=rules_from(content.get("alert", []), where),
            actions=actions,
            allow=_texts(content.get("allow", []), where),
            interval_ns=interval_ns,
            links=_text(content, "links", "", where),
        )
    except AlertError as error:
        said = str(error)
        raise AlertError(said if said.startswith(where) else f"{where}: {said}") from None
    if interval_ns < 1_000_000_000:
        raise AlertError(f"{where}: the interval is 1s at least")
    if settings.links:
        checked_url(settings.links, f"{where}, links")
    return settings


def rules_from(entries: object, where: str = "alerts") -> tuple[AlertRule, ...]:
    """The rules of a list of mappings, as of TOML or JSON."""
    if not isinstance(entries, list):
        raise AlertError(f"{where}: alerts are a list of tables [[alert]]")
    return tuple(
        rule_from(entry, f"{where}, alert {number}") for number, entry in enumerate(entries, 1)
    )


def _text(content: Mapping[str, Any], name: str, default: str, where: str) -> str:
    value = content.get(name, default)
    if not isinstance(value, str):
        raise AlertError(f"{where}: {name} is a text")
    return value


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise AlertError(f"{where}: allow is a list of hosts")
    return tuple(value)
