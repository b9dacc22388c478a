"""Every kind of event that the demo's runtime records, with the sentence each is told in."""

from __future__ import annotations

from collections.abc import Sequence

import whence

__all__ = [
    "admitted",
    "alloc",
    "context_created",
    "context_destroyed",
    "deadline_miss",
    "deferred_by_earlier",
    "deferred_by_later",
    "deferred_by_limit",
    "deferred_by_memory",
    "deferred_by_overdue",
    "deferred_by_running",
    "dropped",
    "execution_completed",
    "execution_started",
    "fault_recorded",
    "free",
    "performance_metric",
    "rejected_as_expired",
    "rejected_by_budget",
    "rejected_by_response",
    "rejected_by_utilisation",
    "selected",
    "selected_past_held",
    "selected_when_overtaken",
]

# Names and parameters are data: they become the columns of the recording. Where one event type has
# several sentences, each is a kind of its own, so that the caller passes numbers and never text.


@whence.kind(
    name="admission_decision",
    component="AdmissionController",
    decision=True,
    rationale="Admitted: U={utilisation:.3f} <= {utilisation_bound:.3f} [EDF], adding {model_id} "
    "(C={wcet_ns:ns}, T={period_ns:ns}); R={wcrt_ns:ns} <= {deadline_ns:ns}",
)
def admitted(
    model_id: str,
    admitted: bool,
    reason: str,
    utilisation: float,
    utilisation_bound: float,
    wcet_ns: int,
    period_ns: int,
    wcrt_ns: int,
    max_blocking_ns: int,
    deadline_ns: int,
    analysis_detail: str,
    caused_by: str,
) -> None:
    """The request may wait for a worker; `deadline_ns` counts from the request's release."""


@whence.kind(
    name="admission_decision",
    component="AdmissionController",
    decision=True,
    severity=whence.Severity.Warning,
    rationale="Rejected: U={utilisation:.3f} > {utilisation_bound:.3f} [EDF], adding {model_id} "
    "(C={wcet_ns:ns}, T={period_ns:ns})",
)
def rejected_by_utilisation(
    model_id: str,
    admitted: bool,
    reason: str,
    utilisation: float,
    utilisation_bound: float,
    wcet_ns: int,
    period_ns: int,
    wcrt_ns: int,
    max_blocking_ns: int,
    deadline_ns: int,
    analysis_detail: str,
    caused_by: str,
) -> None:
    """With this stream the workers would be asked for more than they can promise."""


@whence.kind(
    name="admission_decision",
    component="AdmissionController",
    decision=True,
    severity=whence.Severity.Warning,
    rationale="Rejected: R={wcrt_ns:ns} > {deadline_ns:ns} to its deadline, adding {model_id} "
    "(C={wcet_ns:ns}, blocking {max_blocking_ns:ns}); U={utilisation:.3f}",
)
def rejected_by_response(
    model_id: str,
    admitted: bool,
    reason: str,
    utilisation: float,
    utilisation_bound: float,
    wcet_ns: int,
    period_ns: int,
    wcrt_ns: int,
    max_blocking_ns: int,
    deadline_ns: int,
    analysis_detail: str,
    caused_by: str,
) -> None:
    """Behind what runs and waits already, it would end too late."""


@whence.kind(
    name="admission_decision",
    component="AdmissionController",
    decision=True,
    severity=whence.Severity.Warning,
    rationale="Rejected: the deadline that {model_id} shares with {shared_with} passed "
    "{lateness_ns:ns} ago; U={utilisation:.3f}",
)
def rejected_as_expired(
    model_id: str,
    admitted: bool,
    reason: str,
    shared_with: str,
    lateness_ns: int,
    utilisation: float,
    utilisation_bound: float,
    wcrt_ns: int,
    max_blocking_ns: int,
    analysis_detail: str,
    caused_by: str,
) -> None:
    """What called for the request ended late itself; there is nothing left to be in time for."""


@whence.kind(
    name="admission_decision",
    component="AdmissionController",
    decision=True,
    severity=whence.Severity.Warning,
    rationale="Rejected: {model_id} may use {limit_bytes:bytes}, the request needs "
    "{need_bytes:bytes}",
)
def rejected_by_budget(
    model_id: str,
    admitted: bool,
    reason: str,
    need_bytes: int,
    limit_bytes: int,
    utilisation: float,
    utilisation_bound: float,
    wcrt_ns: int,
    max_blocking_ns: int,
    analysis_detail: str,
    caused_by: str,
) -> None:
    """Even alone it would not fit the memory that its model may use."""


@whence.kind(
    name="scheduling_decision",
    component="Scheduler",
    decision=True,
    rationale="Selected {model_id}: {slack_ns:ns} to its deadline, the least",
)
def selected(
    model_id: str,
    policy: str,
    worker: int,
    slack_ns: int,
    wcet_ns: int,
    wcrt_ns: int,
    latency_ns: int,
    overtaken: int,
    options: Sequence[whence.Option],
) -> None:
    """A free worker takes this request; `latency_ns` is what the choice itself took."""


@whence.kind(
    name="scheduling_decision",
    component="Scheduler",
    decision=True,
    rationale="Selected {model_id}: {slack_ns:ns} to its deadline, the least; {overtaken} that "
    "came later went first",
)
def selected_when_overtaken(
    model_id: str,
    policy: str,
    worker: int,
    slack_ns: int,
    wcet_ns: int,
    wcrt_ns: int,
    latency_ns: int,
    overtaken: int,
    options: Sequence[whence.Option],
) -> None:
    """A free worker takes this request at last: later ones with less time left went before."""


@whence.kind(
    name="scheduling_decision",
    component="Scheduler",
    decision=True,
    rationale="Selected {model_id}: {slack_ns:ns} to its deadline, the least within budget "
    "({held} held back)",
)
def selected_past_held(
    model_id: str,
    policy: str,
    worker: int,
    slack_ns: int,
    wcet_ns: int,
    wcrt_ns: int,
    latency_ns: int,
    overtaken: int,
    held: int,
    options: Sequence[whence.Option],
) -> None:
    """A free worker takes this request, because budgets hold back those with less time left."""


@whence.kind(
    name="scheduling_decision",
    component="Scheduler",
    decision=True,
    rationale="Deferred: blocked by {blocked_by} ({blocking_model}, non-preemptive, "
    "{left_ns:ns} left)",
)
def deferred_by_running(
    model_id: str, policy: str, slack_ns: int, blocked_by: str, blocking_model: str, left_ns: int
) -> None:
    """Every worker is busy; the one named is the first to be free, if it keeps to its estimate."""


@whence.kind(
    name="scheduling_decision",
    component="Scheduler",
    decision=True,
    rationale="Deferred: blocked by {blocked_by} ({blocking_model}, non-preemptive, "
    "{over_ns:ns} over its estimate)",
)
def deferred_by_overdue(
    model_id: str, policy: str, slack_ns: int, blocked_by: str, blocking_model: str, over_ns: int
) -> None:
    """Every worker is busy, and the first that should be free is behind its estimate."""


@whence.kind(
    name="scheduling_decision",
    component="Scheduler",
    decision=True,
    rationale="Deferred: behind {ahead} with less time left, first {blocked_by} ({blocking_model})",
)
def deferred_by_earlier(
    model_id: str, policy: str, slack_ns: int, ahead: int, blocked_by: str, blocking_model: str
) -> None:
    """A worker is free, but what waits with less time left is served before."""


@whence.kind(
    name="scheduling_decision",
    component="Scheduler",
    decision=True,
    rationale="Deferred: {blocked_by} ({blocking_model}) came later, but has only "
    "{other_slack_ns:ns} left",
)
def deferred_by_later(
    model_id: str,
    policy: str,
    slack_ns: int,
    blocked_by: str,
    blocking_model: str,
    other_slack_ns: int,
) -> None:
    """The first time that a later request is dispatched before; afterwards they are counted."""


@whence.kind(
    name="scheduling_decision",
    component="Scheduler",
    decision=True,
    rationale="Deferred: {model_id} runs {running} of {stream_limit} at once; {blocked_by} has "
    "{left_ns:ns} left",
)
def deferred_by_limit(
    model_id: str,
    policy: str,
    slack_ns: int,
    running: int,
    stream_limit: int,
    blocked_by: str,
    left_ns: int,
) -> None:
    """The model already runs as often at once as its budget allows."""


@whence.kind(
    name="scheduling_decision",
    component="Scheduler",
    decision=True,
    rationale="Deferred: over memory budget of {model_id} ({used_bytes:bytes} used by "
    "{blocked_by}, {need_bytes:bytes} more needed, {limit_bytes:bytes} allowed)",
)
def deferred_by_memory(
    model_id: str,
    policy: str,
    slack_ns: int,
    used_bytes: int,
    need_bytes: int,
    limit_bytes: int,
    blocked_by: str,
) -> None:
    """The model's memory is in use by a request that runs; a worker may stay idle meanwhile."""


@whence.kind(
    name="scheduling_decision",
    component="Scheduler",
    decision=True,
    rationale="Dropped {model_id}: its deadline passed while it waited {waited_ns:ns} for a worker",
)
def dropped(model_id: str, policy: str, slack_ns: int, waited_ns: int, overtaken: int) -> None:
    """Nobody is served by an answer that begins after the deadline, so it is not begun."""


@whence.kind(
    component="Scheduler",
    severity=whence.Severity.Warning,
    rationale="{lateness_ns:ns} late before it was dispatched",
)
def deadline_miss(model_id: str, lateness_ns: int, deadline_ns: int, waited_ns: int) -> None:
    """The request was admitted but never dispatched; `deadline_ns` counts from its release."""


@whence.kind(component="ExecutionContext", rationale="worker {worker}")
def execution_started(model_id: str, worker: int) -> None:
    """Preparing the input, running the model and reading its answer begin."""


@whence.kind(
    component="ExecutionContext",
    rationale="{duration_ns:ns} of {budget_ns:ns} budget; {verdict}",
)
def execution_completed(
    model_id: str,
    duration_ns: int,
    budget_ns: int,
    response_ns: int,
    deadline_ns: int,
    deadline_met: bool,
    verdict: str,
    answer: str,
) -> None:
    """An answer; `response_ns` and `deadline_ns` both count from the request's release."""


@whence.kind(
    component="ExecutionContext",
    severity=whence.Severity.Error,
    rationale="{error}",
)
def fault_recorded(model_id: str, error: str, duration_ns: int) -> None:
    """The input could not be read, or the model refused it; there is no answer."""


@whence.kind(component="ExecutionContext", rationale="{package} {version}, {size_bytes:bytes}")
def context_created(
    model_id: str, package: str, version: str, size_bytes: int, duration_ns: int
) -> None:
    """A model was loaded and can be executed."""


@whence.kind(component="ExecutionContext", rationale="after {executions} executions")
def context_destroyed(model_id: str, executions: int) -> None:
    """A model was unloaded."""


@whence.kind(component="MemoryPool", rationale="{size_bytes:bytes} for {owner_model_id}")
def alloc(tensor_id: int, size_bytes: int, alignment: int, owner_model_id: str) -> None:
    """A tensor has its memory."""


@whence.kind(component="MemoryPool", rationale="{size_bytes:bytes} of {owner_model_id}")
def free(tensor_id: int, size_bytes: int, alignment: int, owner_model_id: str) -> None:
    """A tensor's memory is given back."""


@whence.kind(
    component="Profiler",
    rationale="{metric_name} of {model_id}: {metric_value} {metric_unit}, the most of {runs} runs",
)
def performance_metric(
    model_id: str, metric_name: str, metric_value: int, metric_unit: str, runs: int
) -> None:
    """A figure measured before the load begins; schedules rest on it."""
