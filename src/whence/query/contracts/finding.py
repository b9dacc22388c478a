"""One thing that a chain lacks or has wrong, with the events it rests on and the known causes."""

from __future__ import annotations

from dataclasses import dataclass

from whence.query.contracts.causes import UNSURE, Cause
from whence.query.words import count_text, listed

__all__ = ["Finding", "gap_text"]

_MOST_IDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a chain lacks or has wrong.

    `kind` is "missing", "duplicate", "out of order", "empty rationale", "missing field",
    "wrong value", "time bound", "unguarded", "after the end", "undecided", "text lost" or
    "truncated"; `member` is the event type it is about and
    `event_ids` are the events that it rests on, in order; none where nothing of it is there.
    `causes` says what is known of why, the most telling first. A finding that is `optional` never
    makes a chain incomplete.
    """

    kind: str
    member: str
    sentence: str
    causes: tuple[Cause, ...] = ()
    event_ids: tuple[str, ...] = ()
    optional: bool = False

    @property
    def cause(self) -> Cause | None:
        """The most telling cause."""
        return self.causes[0] if self.causes else None

    @property
    def unsure(self) -> bool:
        """Whether it may only look so: the event or text may be lost, off or still to come."""
        return any(cause.kind in UNSURE for cause in self.causes)


def gap_text(finding: Finding) -> str:
    """What is wrong, all that is known of why, and the events that it rests on, as one."""
    optional = ", optional" if finding.optional else ""
    causes = " or ".join(cause.text for cause in finding.causes)
    notes = "; ".join(part for part in (causes, _events(finding.event_ids)) if part)
    return f"{finding.sentence}{optional}" + (f" ({notes})" if notes else "")


def _events(event_ids: tuple[str, ...]) -> str:
    shown = [event_id for event_id in event_ids[:_MOST_IDS] if event_id]
    if len(event_ids) > _MOST_IDS:
        shown.append(f"{count_text(len(event_ids) - _MOST_IDS)} more")
    return f"event{'s' if len(shown) > 1 else ''} {listed(shown)}" if shown else ""
