"""The scheduler: requests wait here, free workers take them, and every decision is recorded."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

import whence
from whence.demo import edf, events
from whence.demo.admission import AdmissionControl
from whence.demo.jobs import Ended, ModelProfile, Request

__all__ = ["Scheduler"]

_POLICY = "EDF"


class Scheduler:
    """Non-preemptive earliest-deadline-first over a fixed number of workers.

    All public methods may be called from any thread; only `take` and `wait_until_idle` wait.
    `clock` returns monotonic nanoseconds. `ended` counts requests by how they ended.
    """

    def __init__(
        self,
        profiles: Mapping[str, ModelProfile],
        workers: int,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._profiles = profiles
        self._workers = workers
        self._clock = clock
        self._admission = AdmissionControl(profiles, workers)
        self._changed = threading.Condition()
        self._waiting: list[Request] = []
        self._running: list[Request] = []
        self._closed = False
        self.ended: Counter[Ended] = Counter()

    def submit(self, request: Request) -> bool:
        """Admit the request and let it wait, or reject it. Returns whether it was admitted."""
        with self._changed:
            return self._admit(request)

    def take(self, worker: int) -> Request | None:
        """Wait for the next request to run on this worker; None once closed and nothing is left."""
        with self._changed:
            while True:
                request = self._dispatch(worker)
                if request is not None:
                    return request
                if self._closed and not self._waiting and not self._running:
                    self._changed.notify_all()
                    return None
                self._changed.wait()

    def finish(self, request: Request, ended: Ended, follow_ups: Sequence[Request] = ()) -> None:
        """Give the worker back and submit what the answer calls for, as one step."""
        with self._changed:
            self._running.remove(request)
            self.ended[ended] += 1
            for follow_up in follow_ups:
                self._admit(follow_up)
            self._changed.notify_all()

    def wait_until_idle(self, timeout_seconds: float) -> bool:
        """Wait until nothing waits and nothing runs; False if that takes longer."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._waiting and not self._running, timeout_seconds
            )

    def close(self) -> None:
        """Let the workers finish what is admitted, then go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _admit(self, request: Request) -> bool:
        now_ns = self._clock()
        if not self._admission.admit(request, now_ns, self._running, self._waiting).admitted:
            self.ended[Ended.Rejected] += 1
            request.task.give_up()
            return False
        self._waiting.append(request)
        self._tell_what_it_waits_for(request, now_ns)
        self._changed.notify_all()
        return True

    def _dispatch(self, worker: int) -> Request | None:
        began_ns = self._clock()
        choice = edf.choose(self._waiting, self._running, self._profiles, began_ns)
        for expired in choice.expired:
            self._drop(expired, began_ns)
        for held, hold in choice.held:
            self._tell_hold(held, hold, began_ns)
        request = choice.selected
        if request is None:
            return None
        self._waiting.remove(request)
        self._running.append(request)
        request.started_ns = self._clock()
        self._tell_selection(request, choice, worker, began_ns)
        self._count_overtaken(request, began_ns)
        return request

    def _tell_selection(
        self, request: Request, choice: edf.Choice, worker: int, began_ns: int
    ) -> None:
        common = _Selection(
            model_id=request.model,
            policy=_POLICY,
            worker=worker,
            slack_ns=request.deadline_ns - began_ns,
            wcet_ns=self._profiles[request.model].wcet_ns,
            wcrt_ns=request.wcrt_ns,
            latency_ns=request.started_ns - began_ns,
            overtaken=request.overtaken,
            options=choice.options,
        )
        with whence.request(request.id):
            if choice.held:
                events.selected_past_held(held=len(choice.held), **common)
            elif request.overtaken:
                events.selected_when_overtaken(**common)
            else:
                events.selected(**common)

    def _count_overtaken(self, dispatched: Request, now_ns: int) -> None:
        """Note with every request that came before the dispatched one that it still waits."""
        for other in self._waiting:
            if other.released_ns >= dispatched.released_ns:
                continue
            other.overtaken += 1
            if other.overtaken > 1 or other.deferred_for:
                continue
            with whence.request(other.id):
                events.deferred_by_later(
                    model_id=other.model,
                    policy=_POLICY,
                    slack_ns=other.deadline_ns - now_ns,
                    blocked_by=dispatched.id,
                    blocking_model=dispatched.model,
                    other_slack_ns=dispatched.deadline_ns - now_ns,
                )

    def _drop(self, request: Request, now_ns: int) -> None:
        self._waiting.remove(request)
        self.ended[Ended.Missed] += 1
        waited_ns = now_ns - request.released_ns
        with whence.request(request.id):
            events.dropped(
                model_id=request.model,
                policy=_POLICY,
                slack_ns=request.deadline_ns - now_ns,
                waited_ns=waited_ns,
                overtaken=request.overtaken,
            )
            events.deadline_miss(
                model_id=request.model,
                lateness_ns=now_ns - request.deadline_ns,
                deadline_ns=request.deadline_ns - request.released_ns,
                waited_ns=waited_ns,
            )
        request.task.give_up()
        self._changed.notify_all()  # someone may wait for the queue to be empty

    def _tell_what_it_waits_for(self, request: Request, now_ns: int) -> None:
        """Record a deferral if the request, just admitted, does not run at once."""
        hold = edf.hold_of(request, self._running, self._profiles, now_ns)
        if hold is not None:
            self._tell_hold(request, hold, now_ns)
            return
        free = self._workers - len(self._running)
        ahead = sorted(
            (
                other
                for other in self._waiting
                if (other.deadline_ns, other.id) < (request.deadline_ns, request.id)
            ),
            key=lambda other: other.deadline_ns,
        )
        if free > len(ahead):
            return
        slack_ns = request.deadline_ns - now_ns
        with whence.request(request.id):
            if free:
                events.deferred_by_earlier(
                    model_id=request.model,
                    policy=_POLICY,
                    slack_ns=slack_ns,
                    ahead=len(ahead),
                    blocked_by=ahead[0].id,
                    blocking_model=ahead[0].model,
                )
                return
            self._tell_busy(request, slack_ns, now_ns)

    def _tell_busy(self, request: Request, slack_ns: int, now_ns: int) -> None:
        """Record whose end the request waits for, now that every worker is busy."""
        first = min(self._running, key=lambda other: edf.left_ns(other, self._profiles, now_ns))
        left_ns = edf.left_ns(first, self._profiles, now_ns)
        if left_ns >= 0:
            events.deferred_by_running(
                model_id=request.model,
                policy=_POLICY,
                slack_ns=slack_ns,
                blocked_by=first.id,
                blocking_model=first.model,
                left_ns=left_ns,
            )
            return
        events.deferred_by_overdue(
            model_id=request.model,
            policy=_POLICY,
            slack_ns=slack_ns,
            blocked_by=first.id,
            blocking_model=first.model,
            over_ns=-left_ns,
        )

    def _tell_hold(self, request: Request, hold: edf.Hold, now_ns: int) -> None:
        """Record what holds a request back, once for each blocking request."""
        if request.deferred_for == hold.blocker.id:
            return
        request.deferred_for = hold.blocker.id
        budget = self._profiles[request.model].budget
        same = [other for other in self._running if other.model == request.model]
        slack_ns = request.deadline_ns - now_ns
        with whence.request(request.id):
            if hold.what == "limit":
                events.deferred_by_limit(
                    model_id=request.model,
                    policy=_POLICY,
                    slack_ns=slack_ns,
                    running=len(same),
                    stream_limit=budget.stream_limit,
                    blocked_by=hold.blocker.id,
                    left_ns=edf.left_ns(hold.blocker, self._profiles, now_ns),
                )
            else:
                events.deferred_by_memory(
                    model_id=request.model,
                    policy=_POLICY,
                    slack_ns=slack_ns,
                    used_bytes=edf.used_bytes(same),
                    need_bytes=request.need_bytes,
                    limit_bytes=budget.memory_limit_bytes,
                    blocked_by=hold.blocker.id,
                )


class _Selection(TypedDict):
    """What every selection carries."""

    model_id: str
    policy: str
    worker: int
    slack_ns: int
    wcet_ns: int
    wcrt_ns: int
    latency_ns: int
    overtaken: int
    options: Sequence[whence.Option]
