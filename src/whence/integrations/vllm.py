"""vLLM: its scheduler's admissions, choices, preemptions and ends, as decisions with options."""

from __future__ import annotations

import time
from itertools import islice
from typing import Any

from whence.emit.kind import kind
from whence.integrations.plain_values import safe_text
from whence.model.option import Option
from whence.model.severity import Severity

__all__ = ["traced"]  # and TracedScheduler and TracedAsyncScheduler, which are made when asked for

COMPONENT = "vLLM"
MOST_OPTIONS = 16
_UNKNOWN = 0  # vLLM promises no bounds: neither response times nor blocking


@kind(name="request_queued", component=COMPONENT, rationale="Waits, {ahead} ahead of it")
def _request_queued(request_id: str, model: str, prompt_tokens: int, ahead: int) -> None: ...


@kind(name="admission_decision", component=COMPONENT, decision=True)
def _admission_decision(
    request_id: str,
    model: str,
    rationale: str,
    admitted: bool,
    reason: str,
    utilisation: float,
    wcrt_ns: int,
    max_blocking_ns: int,
    waited_ns: int,
) -> None: ...


@kind(name="scheduling_decision", component=COMPONENT, decision=True)
def _scheduling_decision(
    request_id: str, model: str, rationale: str, tokens: int, options: list[Option]
) -> None: ...


@kind(name="preemption_decision", component=COMPONENT, decision=True, severity=Severity.Warning)
def _preemption_decision(
    request_id: str, model: str, rationale: str, free_blocks: int, options: list[Option]
) -> None: ...


@kind(
    name="execution_started",
    component=COMPONENT,
    rationale="{cached_tokens} of {prompt_tokens} prompt tokens were cached",
)
def _execution_started(
    request_id: str, model: str, prompt_tokens: int, cached_tokens: int
) -> None: ...


@kind(
    name="execution_completed",
    component=COMPONENT,
    rationale="{output_tokens} tokens, ended by {reason}",
)
def _execution_completed(
    request_id: str,
    model: str,
    duration_ns: int,
    deadline_met: bool,
    reason: str,
    output_tokens: int,
    preemptions: int,
) -> None: ...


@kind(name="fault_recorded", component=COMPONENT, severity=Severity.Error)
def _fault_recorded(request_id: str, model: str, rationale: str, reason: str) -> None: ...


def traced(scheduler: type[Any]) -> type[Any]:
    """A subclass of one of vLLM's schedulers that records what it decides, and decides the same.

    `vllm serve --scheduler-cls whence.integrations.vllm.TracedAsyncScheduler` uses that of the
    default scheduler, `TracedScheduler` that of the one without async scheduling. The interface is
    vLLM's own and no promise of theirs: this was written against 0.33.
    """

    class Traced(scheduler):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            config = self.vllm_config.model_config
            self._whence_model = safe_text(
                getattr(config, "served_model_name", None) or config.model
            )
            self._whence_began: dict[str, int] = {}  # requests that run or ran, until they end
            self._whence_no_room = ""  # the last request in this step that found no blocks
            allocate = self.kv_cache_manager.allocate_slots

            def noted(request: Any, *args: Any, **kwargs: Any) -> Any:
                found = allocate(request, *args, **kwargs)
                if found is None:
                    self._whence_no_room = request.request_id
                return found

            self.kv_cache_manager.allocate_slots = noted

        def add_request(self, request: Any) -> Any:
            known = request.request_id in self.requests
            ahead = len(self.waiting)
            answer = super().add_request(request)
            if not known:
                _request_queued(
                    request.request_id, self._whence_model, request.num_prompt_tokens, ahead
                )
            return answer

        def schedule(self, *args: Any, **kwargs: Any) -> Any:
            self._whence_no_room = ""
            output = super().schedule(*args, **kwargs)
            fresh = {each.req_id: each.num_computed_tokens for each in output.scheduled_new_reqs}
            again = list(getattr(output.scheduled_cached_reqs, "resumed_req_ids", ()))
            if fresh or again:
                others = self._whence_left(output)
                for request_id in [*fresh, *again]:
                    cached = fresh.get(request_id, 0)
                    self._whence_chosen(self.requests[request_id], output, others, cached)
            return output

        def _preempt_request(self, request: Any, *args: Any, **kwargs: Any) -> Any:
            free = self.kv_cache_manager.block_pool.get_num_free_blocks()
            answer = super()._preempt_request(request, *args, **kwargs)
            needs = self._whence_no_room
            who = "it" if needs == request.request_id else needs
            why = f"{who} found no KV blocks, {free} are free" if needs else "its cache is reset"
            kept = islice(reversed(self.running), MOST_OPTIONS - 1)
            options = [
                Option(request.request_id, _scores(request), True, why),
                *(Option(each.request_id, _scores(each), False, "keeps running") for each in kept),
            ]
            _preemption_decision(
                request.request_id, self._whence_model, f"Preempted: {why}", free, options
            )
            return answer

        def _free_request(self, request: Any, *args: Any, **kwargs: Any) -> Any:
            answer = super()._free_request(request, *args, **kwargs)
            self._whence_ended(request)
            return answer

        def _whence_left(self, output: Any) -> list[Option]:
            """Who waits still, and why, as the scheduler's own figures tell."""
            used, most = output.total_num_scheduled_tokens, self.max_num_scheduled_tokens
            running, seats = len(self.running), self.max_num_running_reqs
            skipped = getattr(self, "deferred_waiting", ())
            options = []
            for request in islice(self.waiting, MOST_OPTIONS - 1):
                if request in skipped:
                    why = f"not ready: {request.status.name.lower()}"
                elif request.request_id == self._whence_no_room:
                    why = "found no KV blocks"
                elif running >= seats:
                    why = f"{running} of {seats} requests run"
                elif used >= most:
                    why = f"the step's {most} tokens are used"
                elif self._whence_no_room:
                    why = f"behind {self._whence_no_room}, which found no KV blocks"
                else:
                    why = "its turn did not come"
                options.append(Option(request.request_id, _scores(request), False, why))
            return options

        def _whence_chosen(
            self, request: Any, output: Any, others: list[Option], cached: int
        ) -> None:
            name, model, now_ns = request.request_id, self._whence_model, time.monotonic_ns()
            tokens = output.num_scheduled_tokens.get(name, 0)
            waited_ns = max(0, round((time.time() - request.arrival_time) * 1e9))
            usage = float(self.kv_cache_manager.usage)
            first = name not in self._whence_began
            if first:
                why = f"Admitted after {waited_ns / 1e6:.1f} ms, KV cache {usage:.1%} used"
                _admission_decision(
                    name, model, why, True, "it fits", usage, _UNKNOWN, _UNKNOWN, waited_ns
                )
            behind = f", {len(others)} wait" if others else ""
            why = f"{'Scheduled' if first else 'Resumed'}: {tokens} tokens{behind}"
            options = [Option(name, _scores(request), True), *others]
            _scheduling_decision(name, model, why, tokens, options)
            if first:
                self._whence_began[name] = now_ns
                _execution_started(name, model, request.num_prompt_tokens, cached)

        def _whence_ended(self, request: Any) -> None:
            name, model, reason = request.request_id, self._whence_model, request.status.name
            reason = reason.removeprefix("FINISHED_").lower()
            began_ns = self._whence_began.pop(name, None)
            if reason in ("aborted", "error"):
                state = "it waited" if began_ns is None else "it ran"
                _fault_recorded(name, model, f"Ended as {reason} while {state}", reason)
            elif began_ns is None:
                usage = float(self.kv_cache_manager.usage)
                why = f"Not admitted: {reason}"
                _admission_decision(name, model, why, False, reason, usage, _UNKNOWN, _UNKNOWN, 0)
            else:
                lasted_ns = time.monotonic_ns() - began_ns
                met = _deadline_met(request)
                count = request.num_output_tokens
                _execution_completed(
                    name, model, lasted_ns, met, reason, count, request.num_preemptions
                )

    Traced.__name__ = Traced.__qualname__ = f"Traced{scheduler.__name__}"
    return Traced


def __getattr__(name: str) -> type[Any]:
    """The traced schedulers, made when vLLM asks for them: nothing is imported before."""
    if name == "TracedScheduler":
        from vllm.v1.core.sched.scheduler import Scheduler as scheduler
    elif name == "TracedAsyncScheduler":
        from vllm.v1.core.sched.async_scheduler import AsyncScheduler as scheduler
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()[name] = traced(scheduler)
    return made


def _scores(request: Any) -> dict[str, float]:
    return {
        "tokens_left": float(max(0, request.num_tokens - request.num_computed_tokens)),
        "waited_ms": round((time.time() - request.arrival_time) * 1e3, 1),
        "priority": float(request.priority),
    }


def _deadline_met(request: Any) -> bool:
    """Against `deadline_ms` in the sampling parameters' extra_args; without one none is missed."""
    given = (getattr(request.sampling_params, "extra_args", None) or {}).get("deadline_ms")
    if not isinstance(given, int | float):
        return True
    return bool((time.time() - request.arrival_time) * 1e3 <= given)
