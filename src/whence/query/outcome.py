"""Reads what became of a chain from its recorded outcome fields and severities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from whence.model.condition import field_value
from whence.model.event import TraceEvent
from whence.model.names import canonical
from whence.model.severity import Severity
from whence.query.words import duration_text, part_text

__all__ = [
    "BAD_STATUS",
    "NO_OUTCOME",
    "OUTCOME_FIELDS",
    "SAYS_NO",
    "Outcome",
    "outcome_of",
    "says",
    "went_wrong",
]

NO_OUTCOME = "no outcome recorded"

SAYS_NO = ("admitted", "deadline_met", "success")
OUTCOME_FIELDS = frozenset({*SAYS_NO, "status"})
BAD_STATUS = frozenset(
    {"failure", "failed", "error", "cancelled", "canceled", "expired", "timeout", "rejected"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a request.

    `word` is "LATE", "REJECTED", "FAILED", "MET deadline", "SUCCEEDED", a severity in capitals,
    "UNFINISHED", "TOLD" by somebody later, or "no outcome recorded"; `detail` completes it:
    "by 6.8 ms (46.8 of 40.0 ms)". The times are those of a deadline, in nanoseconds, None where
    they were not recorded.
    """

    word: str
    detail: str = ""
    wrong: bool = False
    late_ns: int | None = None
    elapsed_ns: int | None = None
    allowed_ns: int | None = None

    @property
    def text(self) -> str:
        """Word and detail as one."""
        return f"{self.word} {self.detail}".rstrip()


def went_wrong(event: TraceEvent) -> bool:
    """Whether an event says that something went wrong.

    Its severity is Warning or more, or one of its outcome fields is negative: `admitted`,
    `deadline_met` or `success` is false, or `status` is one of the words for failure.
    """
    if event.severity >= Severity.Warning:
        return True
    return any(says(event, name, False) for name in SAYS_NO) or _failed_status(event)


def outcome_of(events: Sequence[TraceEvent]) -> Outcome:
    """The outcome that the chain's events record; of several the gravest.

    Failure is graver than a missed deadline, that than a rejection; then come severities from
    Error, a deadline that was met, Warnings, and nothing at all.
    """
    for read in (_failure, _lateness, _rejection, _severity, _deadline_met, _warning):
        if outcome := read(events):
            return outcome
    succeeded = any(says(event, "success", True) for event in events)
    return Outcome(word="SUCCEEDED" if succeeded else NO_OUTCOME)


def _failure(events: Sequence[TraceEvent]) -> Outcome | None:
    for event in reversed(events):
        by_status = _failed_status(event)
        if (
            by_status
            or canonical(event.event_type) == "fault_recorded"
            or says(event, "success", False)
        ):
            error = _first_text(event, "error", "reason")
            if error:
                return Outcome(word="FAILED:", detail=error, wrong=True)
            if by_status:
                detail = f"with status {event.attributes['status']}"
                return Outcome(word="FAILED", detail=detail, wrong=True)
            return _worded("FAILED", _trouble(events, Severity.Error))
    return None


def _lateness(events: Sequence[TraceEvent]) -> Outcome | None:
    for event in reversed(events):
        if canonical(event.event_type) == "deadline_miss" or says(event, "deadline_met", False):
            elapsed_ns, allowed_ns = _times(event)
            late_ns = _nanos(event, "lateness_ns")
            if late_ns is None and elapsed_ns is not None and allowed_ns is not None:
                late_ns = elapsed_ns - allowed_ns
            detail = "" if late_ns is None else f"by {duration_text(late_ns)} "
            return Outcome(
                word="LATE",
                detail=(detail + _of(elapsed_ns, allowed_ns)).strip(),
                wrong=True,
                late_ns=late_ns,
                elapsed_ns=elapsed_ns,
                allowed_ns=allowed_ns,
            )
    return None


def _rejection(events: Sequence[TraceEvent]) -> Outcome | None:
    last = next((event for event in reversed(events) if "admitted" in event.attributes), None)
    if last is None or not says(last, "admitted", False):
        return None
    reason = _first_text(last, "reason")
    return Outcome(word="REJECTED:" if reason else "REJECTED", detail=reason, wrong=True)


def _deadline_met(events: Sequence[TraceEvent]) -> Outcome | None:
    for event in reversed(events):
        if says(event, "deadline_met", True):
            elapsed_ns, allowed_ns = _times(event)
            return Outcome(
                word="MET deadline",
                detail=_of(elapsed_ns, allowed_ns),
                elapsed_ns=elapsed_ns,
                allowed_ns=allowed_ns,
            )
    return None


def _severity(events: Sequence[TraceEvent]) -> Outcome | None:
    return _worst(events, Severity.Error)


def _warning(events: Sequence[TraceEvent]) -> Outcome | None:
    return _worst(events, Severity.Warning)


def _worst(events: Sequence[TraceEvent], least: Severity) -> Outcome | None:
    worst = max((event.severity for event in events), default=Severity.Info)
    return _worded(worst.name.upper(), _trouble(events, worst)) if worst >= least else None


def _worded(word: str, detail: str) -> Outcome:
    return Outcome(word=f"{word}:" if detail else word, detail=detail, wrong=True)


def _trouble(events: Sequence[TraceEvent], least: Severity) -> str:
    """What the newest event as severe as that recorded of itself: how a span failed, a log's words.

    Decisions are left out: their rationale says why they were made, not what went wrong.
    """
    told = (
        event.status_message or event.rationale
        for event in reversed(events)
        if event.severity >= least and not event.decision
    )
    return next(filter(None, told), "")


def _times(event: TraceEvent) -> tuple[int | None, int | None]:
    """Time spent and time allowed, both counted from the request's release."""
    elapsed_ns = _nanos(event, "response_ns")
    if elapsed_ns is None:
        elapsed_ns = _nanos(event, "waited_ns")
    return elapsed_ns, None if elapsed_ns is None else _nanos(event, "deadline_ns")


def _of(elapsed_ns: int | None, allowed_ns: int | None) -> str:
    if elapsed_ns is None or allowed_ns is None:
        return ""
    return f"({part_text(elapsed_ns, allowed_ns)})"


def says(event: TraceEvent, name: str, wanted: bool) -> bool:
    """Whether the event has that truth value in the field, be it written as text."""
    value = event.attributes.get(name)
    if isinstance(value, str):
        return value.strip().lower() == str(wanted).lower()
    return value is wanted


def _failed_status(event: TraceEvent) -> bool:
    return str(event.attributes.get("status", "")).strip().lower() in BAD_STATUS


def _nanos(event: TraceEvent, name: str) -> int | None:
    value = field_value(event, name)
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal() and len(value) < 20:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _first_text(event: TraceEvent, *names: str) -> str:
    return next((str(event.attributes[name]) for name in names if event.attributes.get(name)), "")
