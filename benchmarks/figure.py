"""A measured figure and the target it is held against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.ratio import Ratio

__all__ = ["TARGETS", "Measure", "Target", "verdict"]


@dataclass(frozen=True)
class Target:
    """The floor and what we go for. `more` says that larger is better."""

    must: float
    aim: float
    more: bool = False

    def verdict(self, value: float) -> str:
        """ "aim", "must" or "MISSED"."""
        if self.more:
            return "aim" if value >= self.aim else "must" if value >= self.must else "MISSED"
        return "aim" if value <= self.aim else "must" if value <= self.must else "MISSED"


TARGETS = {
    "T1 emit": Target(2.5, 1.9),
    "T1 kind": Target(3.0, 2.2),
    "T2 emit": Target(1.3, 1.1),
    "T2 kind": Target(1.8, 1.5),
    "T3": Target(0.6, 0.4),
    "T4 texts": Target(6, 4),
    "T4 unique": Target(6, 4),
    "T4 decision": Target(4, 3),
    "T5": Target(12, 6),
    "T6": Target(2.5, 3.5, more=True),
    "T7": Target(50, 150, more=True),
    "T8": Target(100, 200, more=True),
    "T9 viztracer": Target(20, 30, more=True),
    "T9 picologging": Target(40, 100, more=True),
    "T9 structlog": Target(80, 200, more=True),
    "T9 loguru": Target(200, 500, more=True),
    "T9 logging": Target(100, 300, more=True),
    "T10": Target(5, 3),
    "T11": Target(1.2, 1.05),
    "T12": Target(2.5, 1.5),
    "T13": Target(4, 2.5),
    "T20": Target(6, 2.5),
    "T23": Target(2, 0.7),
    "T24": Target(0.6, 0.2),
    "T27": Target(3.0, 1.5),
    "T26": Target(8, 3),
}


@dataclass(frozen=True)
class Measure:
    """A figure that can be taken: its name in TARGETS, what is compared, and how."""

    name: str
    compared: str
    take: Callable[[], Ratio]


def verdict(name: str, ratio: Ratio) -> str:
    """How a result stands to its target; void where the machine was too busy to tell."""
    return TARGETS[name].verdict(ratio.median) if ratio.valid else "VOID"
