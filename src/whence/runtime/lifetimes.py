"""When tensors must be in memory during an execution, and how many bytes that takes at most."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

__all__ = ["TensorLifetime", "peak_bytes"]


@dataclass(frozen=True, slots=True)
class TensorLifetime:
    """A tensor and the steps of an execution, first and last included, that need it in memory.

    ValueError if the size is negative or the steps are not in order.
    """

    name: str
    size_bytes: int
    first_use: int
    last_use: int

    def __post_init__(self) -> None:
        if self.size_bytes < 0:
            raise ValueError(f"{self.name!r} has a negative size: {self.size_bytes}")
        if not 0 <= self.first_use <= self.last_use:
            raise ValueError(f"{self.name!r} is used from {self.first_use} to {self.last_use}")


def peak_bytes(lifetimes: Iterable[TensorLifetime]) -> int:
    """The most bytes that are needed at one step; 0 for no tensors. Cost: one sort of the steps."""
    change: defaultdict[int, int] = defaultdict(int)
    for lifetime in lifetimes:
        change[lifetime.first_use] += lifetime.size_bytes
        change[lifetime.last_use + 1] -= lifetime.size_bytes
    return max(accumulate((change[step] for step in sorted(change)), initial=0))
