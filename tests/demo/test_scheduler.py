"""The scheduler admits, dispatches and drops by deadline, and gives its reasons each time."""

from __future__ import annotations

import threading

import pytest

from tests.demo.made_up import MS, Clock, MadeUpTask, profile, request
from tests.demo.recorded import chain_of
from whence.demo.jobs import Ended, Request
from whence.demo.scheduler import Scheduler
from whence.model.severity import Severity

PROFILES = {
    "small": profile("small", 10),
    "large": profile("large", 60),
    "single": profile("single", 60, streams=1),
    "heavy": profile("heavy", 60, memory_bytes=1_000),
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


def scheduler(clock: Clock, workers: int = 1) -> Scheduler:
    return Scheduler(PROFILES, workers, clock)


def told(asked: Request) -> list[tuple[str, str]]:
    """Type and sentence of every event recorded for the request, in order."""
    return [(event.event_type, event.rationale) for event in chain_of(asked.id)]


def test_requests_run_in_order_of_their_deadlines(clock: Clock) -> None:
    """Three requests wait; they are taken earliest deadline first, whatever came first."""
    line = scheduler(clock)
    asked = [request("small", now_ns=clock(), deadline_ms=ms) for ms in (300, 100, 200)]
    assert all(line.submit(one) for one in asked)
    taken = []
    for _ in asked:
        one = line.take(1)
        assert one is not None
        taken.append(one)
        line.finish(one, Ended.Met)
    assert taken == [asked[1], asked[2], asked[0]]
    assert line.ended[Ended.Met] == 3


def test_an_admission_is_recorded_with_the_numbers_it_rests_on(clock: Clock) -> None:
    """The rationale holds U, bound, C, T, R and D; the attributes hold the same as numbers."""
    asked = request("large", now_ns=clock(), deadline_ms=100, period_ms=120, caused_by="req-cause")
    scheduler(clock, workers=2).submit(asked)
    (event,) = chain_of(asked.id)
    assert event.rationale == (
        "Admitted: U=0.500 <= 1.500 [EDF], adding large (C=60 ms, T=120 ms); R=60 ms <= 100 ms"
    )
    assert event.decision
    assert event.model_id == "large"
    assert event.caused_by == "req-cause"
    assert event.attributes["admitted"] is True
    assert event.attributes["wcrt_ns"] == 60 * MS
    assert event.attributes["reason"] == "every test passed"
    assert "0.500 large" in str(event.attributes["analysis_detail"])


def test_a_rejection_is_an_event_with_its_numbers_and_tells_the_task(clock: Clock) -> None:
    """A rejection is a decision of its own, of severity Warning, and the task is given up. R5.8"""
    line = scheduler(clock)
    line.submit(request("large", now_ns=clock(), deadline_ms=500))
    line.take(1)
    task = MadeUpTask("small")
    refused = request("small", now_ns=clock(), deadline_ms=65, task=task)
    assert not line.submit(refused)
    (event,) = chain_of(refused.id)
    assert event.rationale == (
        "Rejected: R=70 ms > 65 ms to its deadline, adding small (C=10 ms, blocking 60 ms); U=0.070"
    )
    assert event.severity is Severity.Warning
    assert event.attributes["admitted"] is False
    assert task.notes == ["given up"]
    assert line.ended[Ended.Rejected] == 1


def test_a_deferral_names_the_request_that_blocks_and_what_it_has_left(clock: Clock) -> None:
    """While the only worker is busy, an admitted request is told by whom and for how long."""
    line = scheduler(clock)
    first = request("large", now_ns=clock(), deadline_ms=500)
    line.submit(first)
    assert line.take(1) is first
    clock.advance(20)
    second = request("small", now_ns=clock(), deadline_ms=100)
    line.submit(second)
    deferral = chain_of(second.id)[-1]
    assert deferral.event_type == "scheduling_decision"
    assert deferral.rationale == (
        f"Deferred: blocked by {first.id} (large, non-preemptive, 40 ms left)"
    )


def test_a_deferral_behind_an_execution_over_its_estimate_says_so(clock: Clock) -> None:
    """What should have ended is not shown as ending in a negative time."""
    line = scheduler(clock)
    first = request("large", now_ns=clock(), deadline_ms=500)
    line.submit(first)
    assert line.take(1) is first
    clock.advance(64)
    second = request("small", now_ns=clock(), deadline_ms=100)
    line.submit(second)
    assert told(second)[-1][1] == (
        f"Deferred: blocked by {first.id} (large, non-preemptive, 4 ms over its estimate)"
    )


def test_a_selection_holds_the_options_and_why_the_others_lost(clock: Clock) -> None:
    """The chosen option comes first; the loser's score and reason are kept. R5.8"""
    line = scheduler(clock)
    late = request("small", now_ns=clock(), deadline_ms=300)
    early = request("large", now_ns=clock(), deadline_ms=200)
    line.submit(late)
    line.submit(early)
    assert line.take(1) is early
    selection = chain_of(early.id)[-1]
    assert selection.rationale == "Selected large: 200 ms to its deadline, the least"
    assert [(option.name, option.chosen, option.reason) for option in selection.options] == [
        (f"large {early.id}", True, ""),
        (f"small {late.id}", False, "later deadline"),
    ]
    assert dict(selection.options[1].scores) == {"slack_ms": 300.0}


def test_a_request_over_its_models_memory_waits_although_a_worker_is_free(clock: Clock) -> None:
    """The deferral says who uses the memory, how much is needed and how much is allowed. R3.15"""
    line = scheduler(clock, workers=2)
    first = request("heavy", now_ns=clock(), deadline_ms=500, need_bytes=800)
    second = request("heavy", now_ns=clock(), deadline_ms=500, need_bytes=300)
    third = request("small", now_ns=clock(), deadline_ms=900)
    line.submit(first)
    assert line.take(1) is first
    line.submit(second)
    line.submit(third)
    assert line.take(2) is third
    assert chain_of(second.id)[-1].rationale == (
        f"Deferred: over memory budget of heavy (800 B used by {first.id}, 300 B more "
        "needed, 1000 B allowed)"
    )
    assert chain_of(third.id)[-1].rationale == (
        "Selected small: 900 ms to its deadline, the least within budget (1 held back)"
    )


def test_a_request_overtaken_by_later_ones_says_by_whom_and_by_how_many(clock: Clock) -> None:
    """The first that overtakes is named at once, their number when the request is selected."""
    line = scheduler(clock)
    patient = request("large", now_ns=clock(), deadline_ms=500)
    line.submit(patient)
    overtakers = []
    for _ in range(3):
        clock.advance(1)
        other = request("small", now_ns=clock(), deadline_ms=60)
        overtakers.append(other)
        line.submit(other)
        assert line.take(1) is other
        line.finish(other, Ended.Met)
    assert line.take(1) is patient
    _, first, last = told(patient)
    assert first[1] == (f"Deferred: {overtakers[0].id} (small) came later, but has only 60 ms left")
    assert last[1] == (
        "Selected large: 497 ms to its deadline, the least; 3 that came later went first"
    )


def test_a_request_behind_another_with_less_time_is_told_so(clock: Clock) -> None:
    """Before any worker asks, the queue itself is the reason to wait."""
    line = scheduler(clock)
    first = request("small", now_ns=clock(), deadline_ms=100)
    second = request("small", now_ns=clock(), deadline_ms=200)
    line.submit(first)
    line.submit(second)
    assert (
        told(second)[-1][1] == f"Deferred: behind 1 with less time left, first {first.id} (small)"
    )


def test_a_hold_is_told_once_for_each_blocking_request(clock: Clock) -> None:
    """Choosing again does not repeat what was said."""
    line = scheduler(clock, workers=2)
    first = request("single", now_ns=clock(), deadline_ms=500)
    held = request("single", now_ns=clock(), deadline_ms=500)
    line.submit(first)
    assert line.take(1) is first
    line.submit(held)
    for deadline_ms in (700, 800):
        other = request("small", now_ns=clock(), deadline_ms=deadline_ms)
        line.submit(other)
        assert line.take(2) is other
        line.finish(other, Ended.Met)
    assert [kind for kind, _ in told(held)] == ["admission_decision", "scheduling_decision"]


def test_a_request_whose_deadline_passed_is_dropped_and_says_how_late(clock: Clock) -> None:
    """Dropping is a decision, the miss a fact with its lateness; the task is given up unrun."""
    line = scheduler(clock)
    task = MadeUpTask("small")
    asked = request("small", now_ns=clock(), deadline_ms=50, task=task)
    line.submit(asked)
    clock.advance(80)
    other = request("small", now_ns=clock(), deadline_ms=500)
    line.submit(other)
    assert line.take(1) is other
    _, decision, miss = chain_of(asked.id)
    assert (
        decision.rationale
        == "Dropped small: its deadline passed while it waited 80 ms for a worker"
    )
    assert miss.event_type == "deadline_miss"
    assert miss.severity is Severity.Warning
    assert miss.rationale == "30 ms late before it was dispatched"
    assert miss.attributes["lateness_ns"] == 30 * MS
    assert miss.attributes["waited_ns"] == 80 * MS
    assert task.notes == ["given up"]
    assert line.ended[Ended.Missed] == 1


def test_what_an_answer_calls_for_is_admitted_before_the_worker_is_given_away(
    clock: Clock,
) -> None:
    """Follow-ups are submitted in the same step as the end, with the cause they name."""
    line = scheduler(clock)
    first = request("small", now_ns=clock(), deadline_ms=500)
    line.submit(first)
    assert line.take(1) is first
    follow_up = request("small", now_ns=clock(), deadline_ms=400, caused_by=first.id)
    line.finish(first, Ended.Met, [follow_up])
    assert line.take(1) is follow_up
    assert chain_of(follow_up.id)[0].caused_by == first.id


def test_a_follow_up_of_a_late_answer_is_rejected_with_the_deadline_it_shares(
    clock: Clock,
) -> None:
    """Nothing is left to be in time for; the rejection says since when."""
    line = scheduler(clock)
    first = request("small", now_ns=clock(), deadline_ms=50)
    line.submit(first)
    assert line.take(1) is first
    clock.advance(60)
    follow_up = request("large", now_ns=clock(), deadline_ms=-10, caused_by=first.id)
    line.finish(first, Ended.Late, [follow_up])
    (event,) = chain_of(follow_up.id)
    assert event.rationale == (
        f"Rejected: the deadline that large shares with {first.id} passed 10 ms ago; U=0.070"
    )


def test_closing_lets_what_is_admitted_finish(clock: Clock) -> None:
    """After close, workers get what waits and then nothing."""
    line = scheduler(clock)
    asked = request("small", now_ns=clock(), deadline_ms=500)
    line.submit(asked)
    line.close()
    assert line.take(1) is asked
    line.finish(asked, Ended.Met)
    assert line.take(1) is None
    assert line.wait_until_idle(0)


def test_a_worker_that_waits_is_woken_by_a_submission_and_by_closing(clock: Clock) -> None:
    """take blocks until there is something to run; nobody polls."""
    line = scheduler(clock)
    asked = request("small", now_ns=clock(), deadline_ms=500)
    taken: list[Request | None] = []

    def work() -> None:
        while (one := line.take(1)) is not None:
            taken.append(one)
            line.finish(one, Ended.Met)

    thread = threading.Thread(target=work)
    thread.start()
    line.submit(asked)
    assert line.wait_until_idle(10)
    line.close()
    thread.join(10)
    assert not thread.is_alive()
    assert taken == [asked]
