"""Admission rests on memory, utilisation and response time, and shows its numbers."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.demo.made_up import MS, profile, request
from whence.demo.admission import AdmissionControl, Reason
from whence.demo.jobs import Request

NOW = 1_000 * MS
PROFILES = {
    "small": profile("small", 10),
    "large": profile("large", 60),
    "heavy": profile("heavy", 10, memory_bytes=1_000),
}


def control(workers: int = 2) -> AdmissionControl:
    return AdmissionControl(PROFILES, workers)


def test_a_request_alone_is_admitted_with_its_own_execution_time_as_response_time() -> None:
    """Nothing runs, nothing waits: R = C, no blocking, U = C/T, and the bound is m - (m-1)u."""
    analysis = control().analyse(request("large", period_ms=120), NOW, [], [])
    assert analysis.admitted
    assert analysis.reason is Reason.Schedulable
    assert analysis.wcrt_ns == 60 * MS
    assert analysis.max_blocking_ns == 0
    assert analysis.utilisation == pytest.approx(0.5)
    assert analysis.utilisation_bound == pytest.approx(1.5)
    assert "U=0.500" in analysis.detail


def test_a_running_request_with_a_later_deadline_blocks() -> None:
    """On one worker, R is what is left of the running request, and C."""
    running = request("large", deadline_ms=500, started_ms_ago=20)
    analysis = control(workers=1).analyse(request("small", deadline_ms=55), NOW, [running], [])
    assert analysis.max_blocking_ns == 40 * MS
    assert analysis.wcrt_ns == 50 * MS
    assert analysis.admitted


def test_a_request_that_would_end_too_late_is_rejected_with_the_times() -> None:
    """The same request with a tighter deadline is rejected, for its response time."""
    running = request("large", deadline_ms=500, started_ms_ago=20)
    analysis = control(workers=1).analyse(request("small", deadline_ms=49), NOW, [running], [])
    assert analysis.reason is Reason.Response
    assert not analysis.admitted
    assert analysis.wcrt_ns == 50 * MS


def test_what_waits_with_a_later_deadline_does_not_count() -> None:
    """Only requests that go first add to the response time."""
    earlier, later = request("large", deadline_ms=70), request("large", deadline_ms=300)
    analysis = control(workers=1).analyse(
        request("small", deadline_ms=200), NOW, [], [earlier, later]
    )
    assert analysis.wcrt_ns == 70 * MS


def test_a_stream_counts_once_however_many_requests_it_sends() -> None:
    """The declared period is taken on trust."""
    admission = control()
    for _ in range(3):
        asked = request("small", stream="camera", period_ms=50, deadline_ms=500)
        assert admission.admit(asked, NOW, [], []).utilisation == pytest.approx(0.2)


def test_streams_beyond_the_bound_are_rejected_with_every_part_in_the_detail() -> None:
    """U = 0.5 + 0.5 + 0.6 exceeds 2 - 0.6; the detail names each stream's part."""
    admission = control()
    for stream in ("one", "two"):
        asked = request("large", stream=stream, period_ms=120, deadline_ms=500)
        assert admission.admit(asked, NOW, [], []).admitted
    analysis = admission.admit(
        request("large", stream="three", period_ms=100, deadline_ms=500), NOW, [], []
    )
    assert analysis.reason is Reason.Utilisation
    assert analysis.utilisation == pytest.approx(1.6)
    assert analysis.utilisation_bound == pytest.approx(1.4)
    assert analysis.detail == (
        "U=1.600: 0.500 large of one + 0.500 large of two + 0.600 large of three"
    )


def test_a_rejected_stream_does_not_count_afterwards() -> None:
    """What was refused asks for nothing."""
    admission = control()
    admission.admit(request("large", stream="one", period_ms=120, deadline_ms=500), NOW, [], [])
    refused = request("large", stream="two", period_ms=20, deadline_ms=500)
    assert not admission.admit(refused, NOW, [], []).admitted
    again = request("small", stream="three", period_ms=100, deadline_ms=500)
    assert admission.analyse(again, NOW, [], []).utilisation == pytest.approx(0.6)


def test_a_stream_that_falls_silent_is_forgotten() -> None:
    """After its deadline and a period without a request, a stream no longer counts."""
    admission = control()
    admission.admit(request("large", stream="one", period_ms=120, deadline_ms=100), NOW, [], [])
    later = NOW + 121 * MS
    asked = request("small", now_ns=later, period_ms=100)
    assert admission.analyse(asked, later, [], []).utilisation == pytest.approx(0.1)


def test_a_request_larger_than_its_models_memory_is_rejected() -> None:
    """Even alone it could never run. R3.15"""
    assert control().analyse(request("heavy", need_bytes=1_000), NOW, [], []).admitted
    analysis = control().analyse(request("heavy", need_bytes=1_001), NOW, [], [])
    assert analysis.reason is Reason.Memory


@given(
    workers=st.integers(1, 4),
    running=st.lists(st.tuples(st.sampled_from(["small", "large"]), st.integers(0, 80))),
    waiting=st.lists(st.tuples(st.sampled_from(["small", "large"]), st.integers(1, 200))),
    deadline_ms=st.integers(1, 200),
)
def test_the_response_time_is_that_of_a_simulation_of_the_workers(
    workers: int,
    running: list[tuple[str, int]],
    waiting: list[tuple[str, int]],
    deadline_ms: int,
) -> None:
    """R equals what a step by step simulation of the queue under worst times ends with."""
    runs = [request(model, started_ms_ago=ago) for model, ago in running[:workers]]
    waits = [request(model, deadline_ms=ms) for model, ms in waiting]
    asked = request("small", deadline_ms=deadline_ms)
    analysis = control(workers).analyse(asked, NOW, runs, waits)
    assert analysis.wcrt_ns == simulated_end_ns(asked, runs, waits, workers) - NOW


def simulated_end_ns(
    asked: Request, running: list[Request], waiting: list[Request], workers: int
) -> int:
    """The oracle: move from one end of an execution to the next, starting whoever is due."""
    ends = [max(NOW, other.started_ns + PROFILES[other.model].wcet_ns) for other in running]
    heapq.heapify(ends)
    # Equal deadlines: what waits already goes first.
    queue = sorted([*waiting, asked], key=lambda other: (other.deadline_ns, other is asked))
    now_ns = NOW
    for other in queue:
        if len(ends) == workers:
            now_ns = max(now_ns, heapq.heappop(ends))
        end_ns = now_ns + PROFILES[other.model].wcet_ns
        if other is asked:
            return end_ns
        heapq.heappush(ends, end_ns)
    raise AssertionError("the request is in the queue")
