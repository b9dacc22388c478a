"""A worker executes what it takes, records how it went, and asks for what follows."""

from __future__ import annotations

import pytest

pytest.importorskip("numpy")

from tests.demo.made_up import (
    MS,
    Clock,
    MadeUpRunner,
    MadeUpTask,
    profile,
    request,
)
from tests.demo.recorded import chain_of
from whence.demo.jobs import Ended, FollowUp, Request, RequestNumbers
from whence.demo.pool import MemoryPool
from whence.demo.scheduler import Scheduler
from whence.demo.worker import Worker, need_bytes
from whence.model.recording import Recording
from whence.model.severity import Severity
from whence.query.contracts.check import COMPLETE
from whence.query.contracts.completeness import check_chain
from whence.query.contracts.declared import INFERENCE


class Bench:
    """One worker with a scheduler, on a clock that only the runner moves."""

    def __init__(self, cost_ms: int = 8, error: str = "") -> None:
        self.clock = Clock()
        self.pool = MemoryPool()
        self.scheduler = Scheduler({"small": profile("small", 10)}, 1, self.clock)
        self.worker = Worker(
            3,
            self.scheduler,
            MadeUpRunner(self.clock, cost_ms, error),
            self.pool,
            RequestNumbers(),
            lambda model: 10 * MS,
            self.clock,
        )

    def perform(self, task: MadeUpTask, deadline_ms: float = 100) -> tuple[Request, Ended]:
        asked = request(now_ns=self.clock(), deadline_ms=deadline_ms, task=task)
        assert self.scheduler.submit(asked)
        assert self.scheduler.take(3) is asked
        return asked, self.worker.perform(asked)


def types(asked: Request) -> list[str]:
    return [event.event_type for event in chain_of(asked.id)]


def test_an_execution_in_time_leaves_a_complete_chain() -> None:
    """Admitted, selected, started, memory lent and given back, completed: all one chain. R0.49"""
    asked, ended = Bench().perform(MadeUpTask("small"))
    assert ended is Ended.Met
    assert types(asked) == [
        "admission_decision",
        "scheduling_decision",
        "execution_started",
        "alloc",
        "alloc",
        "free",
        "free",
        "execution_completed",
    ]
    events = chain_of(asked.id)
    report = check_chain(events, INFERENCE, Recording(events=tuple(events)))
    assert report.verdict == COMPLETE


def test_a_completed_execution_tells_time_budget_and_deadline() -> None:
    """Duration, budget, response time, deadline and whether it was met are recorded."""
    asked, _ = Bench(cost_ms=8).perform(MadeUpTask("small"))
    done = chain_of(asked.id)[-1]
    assert done.rationale == "8 ms of 10 ms budget; deadline met"
    assert done.duration.nanos == 8 * MS
    assert done.attributes["response_ns"] == 8 * MS
    assert done.attributes["deadline_ns"] == 100 * MS
    assert done.attributes["deadline_met"] is True
    assert done.attributes["answer"] == "done"


def test_an_execution_that_ends_after_the_deadline_is_late() -> None:
    """The judgement is the clock's at the end, not the estimate's."""
    asked, ended = Bench(cost_ms=30).perform(MadeUpTask("small"), deadline_ms=20)
    assert ended is Ended.Late
    done = chain_of(asked.id)[-1]
    assert done.rationale == "30 ms of 10 ms budget; deadline missed"
    assert done.attributes["deadline_met"] is False


def test_an_unreadable_input_is_a_fault_with_its_cause() -> None:
    """The chain ends with the error; memory is given back, the task is told, the worker lives."""
    bench = Bench()
    task = MadeUpTask("small", error=OSError("image file is truncated"))
    asked, ended = bench.perform(task)
    assert ended is Ended.Faulted
    fault = chain_of(asked.id)[-1]
    assert fault.event_type == "fault_recorded"
    assert fault.severity is Severity.Error
    assert fault.attributes["error"] == "OSError: image file is truncated"
    assert fault.rationale == "OSError: image file is truncated"
    assert task.notes == ["prepare", "given up"]
    assert bench.pool.used_bytes("small") == 0
    assert bench.perform(MadeUpTask("small"))[1] is Ended.Met


def test_a_backend_error_is_a_fault_with_its_code() -> None:
    """A Result error of the backend is recorded as it reads."""
    asked, ended = Bench(error="out of memory").perform(MadeUpTask("small"))
    assert ended is Ended.Faulted
    assert "BackendError: out of memory" in chain_of(asked.id)[-1].rationale


def test_a_fault_of_any_type_leaves_the_worker_alive() -> None:
    """What a library raises for broken input is the request's fault, whatever its type."""
    bench = Bench()
    assert bench.perform(MadeUpTask("small", error=SyntaxError("broken PNG")))[1] is Ended.Faulted
    assert bench.perform(MadeUpTask("small"))[1] is Ended.Met


def test_an_answer_known_without_the_model_skips_it() -> None:
    """The task finishes without an output; nothing was executed for it."""
    task = MadeUpTask("small", needs_model=False)
    _, ended = Bench(error="never called").perform(task)
    assert ended is Ended.Met
    assert task.notes == ["prepare", "finish without the model"]


def test_follow_ups_share_stream_and_deadline_and_name_their_cause() -> None:
    """What an answer calls for is a request of its own, caused by the one answered."""
    bench = Bench()
    next_task = MadeUpTask("small")
    asked, _ = bench.perform(MadeUpTask("small", follow_ups=[FollowUp(next_task, 40 * MS)]))
    follow_up = bench.scheduler.take(3)
    assert follow_up is not None
    assert follow_up.task is next_task
    assert follow_up.caused_by == asked.id
    assert (follow_up.stream, follow_up.deadline_ns) == (asked.stream, asked.deadline_ns)
    assert follow_up.period_ns == 40 * MS


def test_memory_needed_is_input_and_output() -> None:
    """Shape times item size, and what the model answers."""
    assert need_bytes(MadeUpTask("small", input_shape=(2, 3), output_bytes=5)) == 29
