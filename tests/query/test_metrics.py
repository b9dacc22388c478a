"""MetricsAggregator against plain arithmetic and numpy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from tests.query.build import SESSION, at_ms, event, late_chain, recording
from whence.model.event import TraceEvent
from whence.model.recording import Recording
from whence.model.time import Duration, Timestamp
from whence.query.metrics import LatencyStats, MetricsAggregator

MS = 1_000_000
DURATIONS = st.lists(st.integers(0, 10**15), min_size=1, max_size=60)


def executions(durations_ns: list[int], weights: list[float] | None = None) -> Recording:
    """One execution of the model m a millisecond."""
    return recording(
        TraceEvent(
            event_type="execution_completed",
            component="Worker",
            timestamp=Timestamp(at_ms(number)),
            duration=Duration(length),
            model_id="m",
            request_id=f"req-{number}",
            weight=weights[number] if weights else 1.0,
        )
        for number, length in enumerate(durations_ns)
    )


def stats(source: Recording) -> LatencyStats:
    """What is computed of all executions."""
    return MetricsAggregator(source).compute_latency_stats("m")


def test_utilisation_is_execution_time_over_the_window() -> None:
    """R5.13 The executions that ended in the window, of that model alone."""
    other = event("execution_completed", 5, "x", model_id="other", duration_ms=50)
    held = executions([10 * MS, 20 * MS, 30 * MS])
    source = recording([*held.events, other])
    metrics = MetricsAggregator(source)
    found = metrics.compute_utilisation("m", (Timestamp(at_ms(1)), Timestamp(at_ms(101))))
    assert (found.executed_ns, found.window_ns, found.executions) == (50 * MS, 100 * MS, 2)
    assert found.share == 0.5
    assert found.text == "0.500: 50.0 ms of 100.0 ms in 2 executions"
    assert metrics.compute_utilisation("m", Duration(1_000 * MS)).executed_ns == 60 * MS


@given(DURATIONS)
def test_percentiles_are_those_of_numpy(durations_ns: list[int]) -> None:
    """R5.13 Linear interpolation between sorted samples; mean and deviation of the samples."""
    numpy = pytest.importorskip("numpy")
    found = stats(executions(durations_ns))
    values = numpy.array(durations_ns, dtype=float)
    p50, p99, p999 = numpy.percentile(values, [50, 99, 99.9])
    assert found.sample_count == found.population == len(durations_ns)
    for ours, theirs in (
        (found.p50_ns, p50),
        (found.p99_ns, p99),
        (found.p999_ns, p999),
        (found.mean_ns, values.mean()),
        (found.stddev_ns, values.std()),
    ):
        assert isinstance(ours, int)
        assert ours == pytest.approx(theirs, abs=1, rel=1e-9)
    assert not found.weighted


def test_large_times_lose_no_digit() -> None:
    """R5.13 Sums and squares beyond 64 bits are whole numbers still."""
    base = 2**62
    found = stats(executions([base + 1, base + 3]))
    assert (found.mean_ns, found.stddev_ns, found.p50_ns) == (base + 2, 1, base + 2)


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 5)), min_size=1, max_size=20))
def test_a_row_counts_as_often_as_it_stands_for(rows: list[tuple[int, int]]) -> None:
    """R5.5 R5.13 Sampled rows give what the whole would have given, and the answer says so."""
    lengths, times = [length for length, _ in rows], [float(times) for _, times in rows]
    found = stats(executions(lengths, times))
    whole = stats(executions([length for length, times in rows for _ in range(times)]))
    assert (found.sample_count, found.population) == (len(rows), whole.population)
    assert found.weighted == any(each != 1 for each in times)
    for name in ("mean_ns", "stddev_ns", "p50_ns", "p99_ns", "p999_ns"):
        assert getattr(found, name) == pytest.approx(getattr(whole, name), abs=1, rel=1e-6)
    assert ("sampled" in found.text) == found.weighted


def test_sampled_rows_are_estimates_everywhere() -> None:
    """R5.5 R5.13 One row in four kept stands for four, in utilisation and miss rate, too."""
    source = executions([10 * MS], [4.0])
    metrics = MetricsAggregator(source)
    used = metrics.compute_utilisation("m", Duration(100 * MS))
    assert (used.executed_ns, used.executions, used.weighted) == (40 * MS, 4, True)
    assert used.text.endswith(", estimated from sampled rows")
    missed = metrics.compute_deadline_miss_rate()
    assert (missed.misses, missed.executions, missed.weighted) == (0, 4, True)


def test_the_miss_rate_is_misses_over_executions() -> None:
    """R5.13 A request that missed counts once, also if it was executed after that."""
    events = [
        *executions([MS] * 6).events,
        *late_chain(),
        event("deadline_miss", 50, "req-8", model_id="ocr_rec"),
        event("deadline_miss", 51, "req-9", model_id="m"),
        event("execution_completed", 52, "req-9", attributes={"deadline_met": False}),
    ]
    metrics = MetricsAggregator(recording(events))
    found = metrics.compute_deadline_miss_rate()
    assert (found.misses, found.executions, found.rate) == (3, 8, 0.375)
    assert found.text == "0.375: 3 misses, 8 executions"
    assert metrics.compute_deadline_miss_rate(model_id="m").misses == 1


def test_an_empty_window_has_an_answer() -> None:
    """R5.13 What cannot be divided says so in words; nothing crashes."""
    metrics = MetricsAggregator(executions([MS]))
    nothing = (Timestamp(0), Timestamp(10))
    assert stats(Recording()).text == "no samples"
    assert metrics.compute_latency_stats("m", nothing).p50_ns is None
    assert metrics.compute_deadline_miss_rate(nothing).rate is None
    assert metrics.compute_deadline_miss_rate(nothing).text.startswith("no execution: 0 misses")
    idle = metrics.compute_utilisation("m", nothing)
    assert (idle.share, idle.executed_ns) == (0.0, 0)
    assert "no execution" in idle.text
    for window in (Duration(0), (Timestamp(5), Timestamp(5)), (Timestamp(9), Timestamp(5))):
        none = metrics.compute_utilisation("m", window)
        assert none.share is None
        assert none.text == "the window has no length"
    with pytest.raises(ValueError, match="name a window"):
        metrics.compute_utilisation("m", None)


def test_other_lengths_than_durations_are_measured() -> None:
    """R5.13 A whole number among the attributes; events without it are no samples."""
    metrics = MetricsAggregator(recording(late_chain()))
    found = metrics.compute_latency_stats(of="response_ns")
    assert (found.sample_count, found.p50_ns) == (1, 46_800_000)
    assert metrics.compute_latency_stats(of="deadline_met").sample_count == 0
    waited = metrics.compute_latency_stats(event_type="scheduling_decision", of="left_ns")
    assert waited.mean_ns == 31_400_000


def test_a_store_has_the_same_figures(tmp_path: Path) -> None:
    """R5.13 R5.5 Utilisation, latencies and misses from a folder, as from the recording itself."""
    pytest.importorskip("duckdb")
    from tests.query.stores import stored
    from whence.query.engines.folder import FolderEngine

    weighted = executions([n * MS for n in range(50)], [1.0 + n % 3 for n in range(50)])
    held = recording(
        replace(e, session=SESSION, ring=0, ticket=n) for n, e in enumerate(weighted.events)
    )
    with FolderEngine(stored(tmp_path / "store", held), threads=1) as engine:
        ours, theirs = MetricsAggregator(engine), MetricsAggregator(held)
        for window in (Duration(20 * MS), (Timestamp(at_ms(3)), Timestamp(at_ms(30)))):
            for question in ("compute_utilisation", "compute_latency_stats"):
                found = getattr(ours, question)("m", window)
                assert found == getattr(theirs, question)("m", window)
                assert found.weighted
            rate = ours.compute_deadline_miss_rate(window)
            assert rate == theirs.compute_deadline_miss_rate(window)


def test_the_view_looks_anew_each_time() -> None:
    """R5.13 It holds no state: what was recorded since is in the next answer."""
    collector = whence.TraceCollector(16)
    metrics = whence.MetricsAggregator(collector)
    assert metrics.compute_latency_stats("m").sample_count == 0
    collector.record_now("execution_completed", "W", model_id="m", duration=Duration(5))
    assert metrics.compute_latency_stats("m").p999_ns == 5
