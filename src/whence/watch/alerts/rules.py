"""AlertRule: what must hold, over which window, how bad that is, and who is told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any

from whence.model.errors import AlertError
from whence.watch.alerts.grammar import AlertCondition, parse_alert, parse_time

__all__ = ["NO_DATA", "SEVERITIES", "AlertRule", "check_keys", "plain_rule", "rule_from"]

SEVERITIES = ("critical", "high", "warning")
NO_DATA = ("keep", "ok", "fire")
LONGEST_WINDOW_NS = 7 * 86_400_000_000_000
_NAME = re.compile(r"[A-Za-z0-9_][\w .:\-]{0,99}")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_MOST_LABELS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """One rule; times are texts such as "5m".

    `condition` is in the language of alert rules. Its figures are those of the last `window`. It
    must hold `for_` that long before anybody is told; once it has ceased to, it does not fire again
    within `cooldown`. `no_data` says what an unknown figure means: "keep" leaves things as they
    are, "ok" is as if the condition did not hold, "fire" as if it did. `actions` are the names of
    those who are told. In TOML and in mappings `for_` is `for`. Raises AlertError.
    """

    name: str
    condition: str
    window: str = "5m"
    severity: str = "warning"
    actions: Sequence[str] = ()
    for_: str = ""
    cooldown: str = "0s"
    no_data: str = "keep"
    labels: Mapping[str, str] = field(default_factory=dict)
    parsed: AlertCondition = field(init=False, repr=False, compare=False)
    window_ns: int = field(init=False, repr=False, compare=False)
    for_ns: int = field(init=False, repr=False, compare=False)
    cooldown_ns: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise AlertError(
                f"an alert's name is at most 100 letters, digits, '_', '-', '.', ':' and spaces, "
                f"not {str(self.name)[:120]!r}"
            )
        where = f'alert "{self.name}"'
        if isinstance(self.actions, str) or not all(isinstance(each, str) for each in self.actions):
            raise AlertError(f"{where}: actions are a list of names")
        for name in ("condition", "window", "severity", "for_", "cooldown", "no_data"):
            if not isinstance(getattr(self, name), str):
                raise AlertError(f"{where}: {name.rstrip('_')} is a text")
        _one_of(self.severity, SEVERITIES, f"{where}: severity")
        _one_of(self.no_data, NO_DATA, f"{where}: no_data")
        try:
            parsed = parse_alert(self.condition)
            window_ns, cooldown_ns = parse_time(self.window), parse_time(self.cooldown)
            for_ns = parse_time(self.for_) if self.for_ else parsed.for_ns or 0
        except AlertError as error:
            raise AlertError(f"{where}: {error}") from None
        if self.for_ and parsed.for_ns not in (None, for_ns):
            raise AlertError(f'{where}: for is "{self.for_}", and its condition says another one')
        if not 1_000_000_000 <= window_ns <= LONGEST_WINDOW_NS:
            raise AlertError(f"{where}: a window is between 1s and 168h, not {self.window!r}")
        actions = tuple(dict.fromkeys((*self.actions, *parsed.actions)))
        for name, value in (
            ("actions", actions),
            ("labels", _labels(self.labels, where)),
            ("parsed", parsed),
            ("window_ns", window_ns),
            ("for_ns", for_ns),
            ("cooldown_ns", cooldown_ns),
        ):
            object.__setattr__(self, name, value)


_KEYS = tuple(
    each.name.rstrip("_") for each in fields(AlertRule) if each.init
)  # as TOML and JSON spell them
_NEEDED = ("name", "condition")


def rule_from(entry: object, where: str = "an alert") -> AlertRule:
    """The rule that a mapping states, as of TOML or JSON; keys it does not know are refused."""
    if not isinstance(entry, Mapping):
        raise AlertError(f"{where}: a table of {', '.join(_KEYS)} was expected")
    check_keys(entry, _KEYS, where)
    for name in _NEEDED:
        if name not in entry:
            raise AlertError(f"{where} has no {name}")
    given = {("for_" if name == "for" else name): value for name, value in entry.items()}
    return AlertRule(**given)


def plain_rule(rule: AlertRule) -> dict[str, Any]:
    """The rule as a mapping that rule_from() takes."""
    found: dict[str, Any] = {
        name: getattr(rule, "for_" if name == "for" else name) for name in _KEYS
    }
    return {**found, "actions": list(rule.actions), "labels": dict(rule.labels)}


def check_keys(entry: Mapping[str, object], known: Sequence[str], where: str) -> None:
    """Raises AlertError for a key that is none of these, with the one that was probably meant."""
    for key in entry:
        if key not in known:
            near = get_close_matches(str(key), known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise AlertError(f"{where}: there is no key {str(key)[:100]!r} here; {hint}")


def _one_of(value: str, known: Sequence[str], where: str) -> None:
    if value not in known:
        raise AlertError(f"{where} is {', '.join(known[:-1])} or {known[-1]}, not {value[:50]!r}")


def _labels(labels: object, where: str) -> dict[str, str]:
    if not isinstance(labels, Mapping) or len(labels) > _MOST_LABELS:
        raise AlertError(f"{where}: labels are a table of at most {_MOST_LABELS} texts")
    for name, value in labels.items():
        if not isinstance(name, str) or not _LABEL.fullmatch(name):
            raise AlertError(f"{where}: a label is named by letters, digits and '_', not {name!r}")
        if not isinstance(value, str) or len(value) > 1_000 or not value.isprintable():
            raise AlertError(f"{where}: the label {name} is one line of text")
    return dict(labels)
