"""What alert rules would say of a store now: each looked at once, and nobody told."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from whence.query.contracts.contract import Contract
from whence.query.contracts.declared import BUILT_IN
from whence.query.engines.engine import Engine
from whence.watch.alerts.evaluate import Figures, Losses, shown
from whence.watch.alerts.grammar import Measured
from whence.watch.alerts.message import Cause
from whence.watch.alerts.rules import AlertRule

__all__ = ["CheckedRule", "checked"]

_NO_LAG = Measured(None, why="lag is known only where the store is watched as it grows")


@dataclass(frozen=True, slots=True)
class CheckedRule:
    """Whether a rule's condition holds (None where that is unknown), by which figures, and of what.

    `values` are as they are shown, `causes` empty unless it holds.
    """

    rule: AlertRule
    holds: bool | None
    values: dict[str, str]
    causes: tuple[Cause, ...]

    def plain(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "name": self.rule.name,
            "condition": self.rule.condition,
            "window": self.rule.window,
            "holds": self.holds,
            "values": self.values,
            "causes": [cause.command for cause in self.causes],
        }


def checked(
    rules: Sequence[AlertRule],
    engine: Engine,
    *,
    store: str = "",
    contracts: Sequence[Contract] = BUILT_IN,
    wall_clock_ns: Callable[[], int] = time.time_ns,
) -> list[CheckedRule]:
    """Each rule by the figures of its window up to now; of losses, all that there ever were."""
    losses = Losses(1, start=0)
    losses.saw_lost(1, sum(ring.lost for ring in engine.ledger()))
    until_ns = wall_clock_ns()
    windows: dict[int, Figures] = {}
    found = []
    for rule in rules:
        figures = windows.setdefault(
            rule.window_ns,
            Figures(
                engine,
                [(until_ns - rule.window_ns, until_ns)],
                lost=lambda: losses.lost(1, 1),
                lag=lambda: _NO_LAG,
                contracts=contracts,
                store=store,
            ),
        )
        holds = rule.parsed.holds(figures.measure)
        metrics = rule.parsed.metrics
        values = {metric: shown(metric, figures.measure(metric)) for metric in metrics}
        causes = figures.causes(metrics) if holds else ()
        found.append(CheckedRule(rule, holds, values, causes))
    return found
