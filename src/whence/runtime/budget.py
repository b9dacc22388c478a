"""How much memory, how many streams and how much time a model may use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from whence.model.time import Duration

__all__ = ["ResourceBudget"]


@dataclass(frozen=True, slots=True)
class ResourceBudget:
    """Three limits, all required; immutable.

    Any numbers can be held, so that a budget read from somewhere can be judged: ask `is_valid()`.
    Wrong types raise TypeError.
    """

    memory_limit_bytes: int
    stream_limit: int
    compute_budget: Duration

    def __post_init__(self) -> None:
        for name in ("memory_limit_bytes", "stream_limit"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name} must be an int, not {type(value).__name__}")
        if not isinstance(self.compute_budget, Duration):
            raise TypeError(
                f"compute_budget must be a Duration, not {type(self.compute_budget).__name__}"
            )

    @classmethod
    def default_budget(cls) -> Self:
        """512 MiB, 4 streams and 100 ms."""
        return cls(
            memory_limit_bytes=512 * 1024 * 1024,
            stream_limit=4,
            compute_budget=Duration.from_millis(100),
        )

    def is_valid(self) -> bool:
        """Whether all three limits are greater than zero."""
        return not self.validation_error()

    def validation_error(self) -> str:
        """What is wrong with the first limit that is not above zero; empty if all are.

        The order is memory, streams, compute.
        """
        limits = (
            ("memory_limit_bytes", self.memory_limit_bytes),
            ("stream_limit", self.stream_limit),
            ("compute_budget", self.compute_budget.nanos),
        )
        for name, limit in limits:
            if limit <= 0:
                return f"{name} must be greater than zero, not {limit}"
        return ""
