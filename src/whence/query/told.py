"""Outcomes told later: which events they are, what they say, and a chain without them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from whence.model.event import TraceEvent
from whence.model.names import OUTCOME, OWN_COMPONENT
from whence.model.recording import Recording

__all__ = ["Told", "is_told", "told_of", "told_sentence", "untold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What somebody said became of a request, once it was known.

    `after_ns` counts from the chain's first event, None where that is not here. `wall_ns` is when
    it was told, None without a known clock; `service` and `pid` say by whom.
    """

    score: float | None
    label: str
    comment: str
    sentence: str
    after_ns: int | None
    wall_ns: int | None
    service: str
    pid: int
    event_id: str


def is_told(event: TraceEvent) -> bool:
    """Whether the event tells an outcome: nothing happened then, somebody spoke of what had."""
    return event.event_type == OUTCOME and event.component == OWN_COMPONENT


def untold(events: Sequence[TraceEvent]) -> Sequence[TraceEvent]:
    """The events of a chain as they happened, without outcomes; all of them if there is nothing
    else."""
    return [event for event in events if not is_told(event)] or events


def told_of(
    recording: Recording,
    events: Iterable[TraceEvent],
    begun_ns: int | None,
    times_ns: Iterable[int],
) -> Iterator[Told]:
    """What is told of a chain that began at that moment; the times are those of the events."""
    for event, at_ns in zip(events, times_ns, strict=True):
        if is_told(event):
            score, label, comment = _said(event)
            session = recording.session(event.session)
            yield Told(
                score=score,
                label=label,
                comment=comment,
                sentence=told_sentence(event),
                after_ns=None if begun_ns is None else at_ns - begun_ns,
                wall_ns=recording.wall_ns(event),
                service=session.service if session else "",
                pid=session.pid if session else 0,
                event_id=event.event_id,
            )


def told_sentence(event: TraceEvent) -> str:
    """The outcome in words: "accepted, score 0.92: as in the contract"."""
    score, label, comment = _said(event)
    number = "" if score is None else f"score {score:.4g}"
    said = ", ".join(part for part in (label, number) if part)
    return ": ".join(part for part in (said, comment) if part)


def _said(event: TraceEvent) -> tuple[float | None, str, str]:
    score = event.attributes.get("score")
    label, comment = (event.attributes.get(name, "") for name in ("label", "comment"))
    try:
        number = float(score) if isinstance(score, int | float | str) else None
    except ValueError:  # of a file that others wrote
        number = None
    return number, str(label), str(comment)
