"""The ledger of a sink: every event read is delivered, filtered, refused, expired or queued."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

__all__ = ["SinkLedger"]


@dataclass(frozen=True, slots=True)
class SinkLedger:
    """What became of the events meant for one sink.

    read = delivered + filtered + refused + expired + queued, at every moment. Filtered events
    were not asked for, refused ones the other side will not take, expired ones were given up:
    `reasons` counts why. `lost` were overwritten before they could be read and are not in `read`.
    """

    read: int = 0
    delivered: int = 0
    filtered: int = 0
    refused: int = 0
    expired: int = 0
    queued: int = 0
    lost: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def closes(self) -> bool:
        """Whether the sum holds."""
        gone = self.delivered + self.filtered + self.refused + self.expired
        return self.read == gone + self.queued

    def plus(self, other: SinkLedger) -> SinkLedger:
        """The sums of both."""
        reasons = dict(self.reasons)
        for reason, count in other.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
        sums = {name: getattr(self, name) + getattr(other, name) for name in COUNTS}
        return SinkLedger(**sums, reasons=reasons)

    def with_more(self, what: str, count: int, reason: str = "") -> SinkLedger:
        """`count` more events of one sort, with the reason for it if there is one."""
        more = {what: getattr(self, what) + count}
        if reason and count:
            return replace(
                self, **more, reasons=self.reasons | {reason: self.reasons.get(reason, 0) + count}
            )
        return replace(self, **more)

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @staticmethod
    def from_plain(value: object) -> SinkLedger:
        """The ledger that `plain` gave. Raises ValueError for anything else."""
        if not isinstance(value, dict):
            raise ValueError("a ledger is an object")
        counts = {name: value.get(name, 0) for name in COUNTS}
        reasons = value.get("reasons", {})
        if not all(_is_count(n) for n in counts.values()) or not isinstance(reasons, dict):
            raise ValueError("a ledger holds counts")
        kept = {str(reason): count for reason, count in reasons.items() if _is_count(count)}
        return SinkLedger(**counts, reasons=kept)


COUNTS = ("read", "delivered", "filtered", "refused", "expired", "queued", "lost")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
