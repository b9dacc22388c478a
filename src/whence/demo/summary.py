"""Reads from a recording alone how the demo's requests ended and what was decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from whence.demo.admission import Reason
from whence.demo.jobs import Ended
from whence.model.event import TraceEvent
from whence.model.recording import Recording
from whence.query.chain import Chain, chains
from whence.query.index import Index

__all__ = ["Summary", "summarise"]


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts, all taken from the recording.

    `ended` counts requests by model and end, `choices` the decisions that tell their options.
    `worst_ns` is the longest execution of each model. `rejected` and `late` are requests worth
    explaining, empty if there are none: the newest that its own analysis rejected, and the latest
    of the late.
    """

    requests: int
    ended: Mapping[tuple[str, Ended], int]
    worst_ns: Mapping[str, int]
    decisions: Mapping[str, int]
    choices: int
    events: int
    recorded: int
    lost: int
    rings: int
    rejected: str
    late: str

    def total(self, ended: Ended) -> int:
        """Requests of all models that ended so."""
        return sum(count for (_, end), count in self.ended.items() if end is ended)


def summarise(index: Index) -> Summary:
    """Count what the recording holds. Costs one pass over its chains."""
    recording: Recording = index.recording
    ended: Counter[tuple[str, Ended]] = Counter()
    worst_ns: Counter[str] = Counter()
    decisions: Counter[str] = Counter()
    telling: dict[Ended, tuple[int, str]] = {}
    requests = 0
    for chain in chains(index):
        if not any(event.event_type == "admission_decision" for event in chain.events):
            continue
        requests += 1
        for event in chain.events:
            if index.is_decision(event):
                decisions[event.rationale.partition(":")[0].partition(" ")[0]] += 1
            if event.event_type == "execution_completed":
                worst_ns[event.model_id] = max(worst_ns[event.model_id], event.duration.nanos)
            end = _end(event)
            if end is None:
                continue
            ended[event.model_id, end] += 1
            weight = _weight(chain, event)
            if weight >= telling.get(end, (0, ""))[0]:
                telling[end] = weight, chain.request_id
    return Summary(
        requests=requests,
        ended=ended,
        worst_ns=worst_ns,
        decisions=decisions,
        choices=sum(bool(event.options) for event in recording.events),
        events=len(recording.events),
        recorded=sum(ring.recorded for ring in recording.rings),
        lost=sum(ring.lost for ring in recording.rings),
        rings=len(recording.rings),
        rejected=telling.get(Ended.Rejected, (0, ""))[1],
        late=telling.get(Ended.Late, telling.get(Ended.Missed, (0, "")))[1],
    )


def _end(event: TraceEvent) -> Ended | None:
    """How a request ended, if this is the event that says so."""
    if event.event_type == "execution_completed":
        return Ended.Met if event.attributes["deadline_met"] else Ended.Late
    if event.event_type == "admission_decision" and not event.attributes["admitted"]:
        return Ended.Rejected
    if event.event_type == "deadline_miss":
        return Ended.Missed
    return Ended.Faulted if event.event_type == "fault_recorded" else None


def _weight(chain: Chain, end: TraceEvent) -> int:
    """How much a chain has to tell. Rejections that another's fate decided come last.

    Of late requests the latest come first, of others those with most decisions and options.
    """
    if end.attributes.get("reason") == Reason.Expired.value:
        return 0
    if end.event_type == "execution_completed":
        return _nanos(end, "response_ns") - _nanos(end, "deadline_ns")
    return sum(
        1 + len(event.options)
        for event in chain.events
        if event.event_type in ("scheduling_decision", "admission_decision")
    )


def _nanos(event: TraceEvent, name: str) -> int:
    value = event.attributes[name]
    assert isinstance(value, int)
    return value
