"""Admission control: whether a request can be promised its deadline, with the numbers why."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypedDict

import whence
from whence.demo import events
from whence.demo.jobs import ModelProfile, Request

__all__ = ["AdmissionControl", "Analysis", "Reason"]


class Reason(Enum):
    """What decided an admission, in words for those who ask."""

    Schedulable = "every test passed"
    Expired = "its deadline passed before it was asked for"
    Memory = "it needs more memory than its model may use"
    Utilisation = "more work than the workers can promise"
    Response = "it would end after its deadline"


@dataclass(frozen=True, slots=True)
class Analysis:
    """The verdict on one request, and what it rests on."""

    admitted: bool
    reason: Reason
    utilisation: float
    utilisation_bound: float
    wcrt_ns: int
    max_blocking_ns: int
    detail: str


@dataclass(slots=True)
class _Share:
    """What one stream asks of one model: a part of one worker, until it falls silent."""

    utilisation: float
    until_ns: int


class AdmissionControl:
    """Three tests, each necessary: memory, utilisation, response time.

    Utilisation: a stream that sends requests of a model with execution time C every T counts as
    C/T, once, from its first admitted request until a period after its last. The sum must not
    exceed m - (m - 1) * u for m workers, u being the largest single part: the bound under which
    global earliest-deadline-first keeps every deadline of preemptive tasks (Goossens, Funk and
    Baruah 2003). Ours do not preempt, so the bound alone promises nothing.

    Response time: what runs and what waits with an earlier deadline is played forward over the
    workers with the measured worst execution times. The request must end before its deadline.
    Requests that come later with earlier deadlines, executions beyond their estimate and memory
    limits are not in it. That is how an admitted request may still end late.

    Not thread-safe: the scheduler calls it under its lock.
    """

    def __init__(self, profiles: Mapping[str, ModelProfile], workers: int) -> None:
        self._profiles = profiles
        self._workers = workers
        self._shares: dict[tuple[str, str], _Share] = {}

    def admit(
        self, request: Request, now_ns: int, running: Sequence[Request], waiting: Sequence[Request]
    ) -> Analysis:
        """Analyse the request, count its stream if it is admitted, and record the decision."""
        analysis = self.analyse(request, now_ns, running, waiting)
        if analysis.admitted:
            request.wcrt_ns = analysis.wcrt_ns
            self._shares[request.stream, request.model] = _Share(
                self._utilisation(request),
                max(request.deadline_ns, now_ns + request.period_ns),
            )
        self._record(request, analysis, now_ns)
        return analysis

    def analyse(
        self, request: Request, now_ns: int, running: Sequence[Request], waiting: Sequence[Request]
    ) -> Analysis:
        """The verdict alone; the same arguments give the same verdict."""
        self._forget_silent_streams(now_ns)
        parts = {key: share.utilisation for key, share in self._shares.items()}
        parts[request.stream, request.model] = self._utilisation(request)
        utilisation = sum(parts.values())
        bound = self._workers - (self._workers - 1) * min(1.0, max(parts.values()))
        wcrt_ns = self._end_ns(request, now_ns, running, waiting) - request.released_ns

        if request.deadline_ns < now_ns:
            reason = Reason.Expired
        elif request.need_bytes > self._profiles[request.model].budget.memory_limit_bytes:
            reason = Reason.Memory
        elif utilisation > bound:
            reason = Reason.Utilisation
        elif request.released_ns + wcrt_ns > request.deadline_ns:
            reason = Reason.Response
        else:
            reason = Reason.Schedulable
        return Analysis(
            admitted=reason is Reason.Schedulable,
            reason=reason,
            utilisation=utilisation,
            utilisation_bound=bound,
            wcrt_ns=wcrt_ns,
            max_blocking_ns=self._blocking_ns(request, now_ns, running),
            detail=_detail(parts, utilisation),
        )

    def _end_ns(
        self, request: Request, now_ns: int, running: Sequence[Request], waiting: Sequence[Request]
    ) -> int:
        free_ns = [now_ns] * (self._workers - len(running))
        free_ns += [now_ns + self._left_ns(other, now_ns) for other in running]
        heapq.heapify(free_ns)
        ahead = [other for other in waiting if other.deadline_ns <= request.deadline_ns]
        for other in sorted(ahead, key=lambda other: other.deadline_ns):
            heapq.heapreplace(free_ns, free_ns[0] + self._profiles[other.model].wcet_ns)
        return free_ns[0] + self._profiles[request.model].wcet_ns

    def _blocking_ns(self, request: Request, now_ns: int, running: Sequence[Request]) -> int:
        """The longest that a running request with a later deadline can keep its worker."""
        return max(
            (
                self._left_ns(other, now_ns)
                for other in running
                if other.deadline_ns > request.deadline_ns
            ),
            default=0,
        )

    def _left_ns(self, other: Request, now_ns: int) -> int:
        return max(0, other.started_ns + self._profiles[other.model].wcet_ns - now_ns)

    def _utilisation(self, request: Request) -> float:
        return self._profiles[request.model].wcet_ns / request.period_ns

    def _forget_silent_streams(self, now_ns: int) -> None:
        for key in [key for key, share in self._shares.items() if share.until_ns < now_ns]:
            del self._shares[key]

    def _record(self, request: Request, analysis: Analysis, now_ns: int) -> None:
        budget = self._profiles[request.model].budget
        common = _Common(
            model_id=request.model,
            admitted=analysis.admitted,
            reason=analysis.reason.value,
            utilisation=analysis.utilisation,
            utilisation_bound=analysis.utilisation_bound,
            wcrt_ns=analysis.wcrt_ns,
            max_blocking_ns=analysis.max_blocking_ns,
            analysis_detail=analysis.detail,
            caused_by=request.caused_by,
        )
        with whence.request(request.id, lineage_id=request.lineage_id):
            match analysis.reason:
                case Reason.Expired:
                    events.rejected_as_expired(
                        shared_with=request.caused_by,
                        lateness_ns=now_ns - request.deadline_ns,
                        **common,
                    )
                case Reason.Memory:
                    events.rejected_by_budget(
                        need_bytes=request.need_bytes,
                        limit_bytes=budget.memory_limit_bytes,
                        **common,
                    )
                case reason:
                    _KINDS[reason](
                        wcet_ns=budget.compute_budget.to_nanos(),
                        period_ns=request.period_ns,
                        deadline_ns=request.deadline_ns - request.released_ns,
                        **common,
                    )


class _Common(TypedDict):
    """What every admission decision carries, whatever decided it."""

    model_id: str
    admitted: bool
    reason: str
    utilisation: float
    utilisation_bound: float
    wcrt_ns: int
    max_blocking_ns: int
    analysis_detail: str
    caused_by: str


_KINDS = {
    Reason.Schedulable: events.admitted,
    Reason.Utilisation: events.rejected_by_utilisation,
    Reason.Response: events.rejected_by_response,
}


def _detail(parts: Mapping[tuple[str, str], float], utilisation: float) -> str:
    """The sum with its parts: "U=0.742: 0.051 magika of files + 0.691 ocr_det of scanner-1"."""
    terms = " + ".join(f"{part:.3f} {model} of {stream}" for (stream, model), part in parts.items())
    return f"U={utilisation:.3f}: {terms}"
