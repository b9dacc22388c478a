"""Metrics and dashboards of a trace service."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.apps import run_program
from tests.traces.test_queries import Clock, fill
from whence.model.errors import AlreadyStarted
from whence.model.result import ErrorCode
from whence.traces.service import TraceService

HOUR_NS = 3_600_000_000_000


def test_metrics_are_of_what_is_stored() -> None:
    """R4.8 R4.30 R4.41 Counts and rates of the traces of the time that is asked for."""
    with TraceService("memory") as traces:
        for number in range(4):
            with traces.trace("work") as t:
                if number == 3:
                    t.event("broken", level="error")
        found = traces.get_metrics("1h", ["application"]).unwrap()
        now = found.history.application_now
        assert now is not None
        assert (now.request_count, now.error_rate, now.active_traces) == (4, 0.25, 0)
        assert now.response_time_avg is not None
        assert traces.get_metrics("1h", ["nonsense"]).error.code is ErrorCode.InvalidArgument
        assert traces.get_metrics({"end": time.time_ns()}).error.code is ErrorCode.InvalidArgument


def test_without_collection_there_are_no_metrics() -> None:
    """R4.30 Whoever asks is told why."""
    with TraceService("memory", enable_metrics_collection=False) as traces:
        assert traces.get_metrics().error.code is ErrorCode.Conflict
        with pytest.raises(AlreadyStarted, match="enable_metrics_collection"):
            _ = traces.metrics


def test_a_programs_own_metrics_are_kept_with_the_others(tmp_path: Path) -> None:
    """R4.8 R4.33 R4.35 R4.42 Kept in the store, by their names; only the sorts wanted."""
    source = f"""
        import time
        from whence.traces.service import TraceService
        config = {{"collection_interval": 20, "metric_types": ["custom", "system"]}}
        with TraceService({str(tmp_path / "traces")!r}, metrics_config=config) as traces:
            traces.metrics.gauge("workflow_success_rate", "Share of them.").set(95.5)
            traces.complete(traces.create_trace("ctx").unwrap().trace_id)
            end = time.monotonic() + 60
            while time.monotonic() < end:
                time.sleep(0.05)
                traces.complete(traces.create_trace("ctx").unwrap().trace_id)
                history = traces.get_metrics("1h").unwrap().history
                if history.custom and history.system:
                    break
            (own,) = history.custom
            print(own.name, own.points[-1].value, len(history.application))
            print("memory_usage" in [each.name for each in history.system])
    """
    assert run_program(source, tmp_path).stdout.splitlines() == [
        "workflow_success_rate 95.5 0", "True",
    ]  # fmt: skip


def test_a_dashboard_has_a_point_for_each_hour() -> None:
    """R4.10 R4.46 R4.47 R4.48 R4.49 R4.50 Summary, series, commonest errors and trends."""
    clock = Clock()
    with TraceService("memory", clock=clock) as traces:
        began = clock.now_ns
        fill(traces, [("a", "custom", "complete", ["error", "error"], ())] * 3)
        clock.now_ns = began + 2 * HOUR_NS
        fill(traces, [("b", "api_request", "fail", [], ()), ("b", "custom", "open", [], ())])
        found = traces.get_dashboard_data({"start": began - HOUR_NS}).unwrap()
        assert (found.total_traces, found.success_rate, found.error_count) == (5, 3 / 4, 6)
        assert found.bucket_ns == HOUR_NS
        starts = [point.wall_ns for point in found.timeseries]
        assert starts == list(range(starts[0], starts[-1] + 1, HOUR_NS))
        full = [point for point in found.timeseries if point.values["throughput"]]
        assert [point.values["throughput"] for point in full] == [3 / 3600, 2 / 3600]
        assert [point.values["error_rate"] for point in full] == [1.0, 0.5]
        assert full[0].values["response_time"] is not None
        empty = next(point for point in found.timeseries if point not in full)
        assert (empty.values["response_time"], empty.values["error_rate"]) == (None, None)
        assert [(top.event_type, top.count) for top in found.top_errors] == [("step-error", 6)]
        assert [trend.keys["trace_type"] for trend in found.performance_trends] == [
            "custom", "api_request", "custom",
        ]  # fmt: skip
        for wrong in ({"metrics": ["colour"]}, {"group_by": "fortnight"}, {"time_range": None}):
            answer = traces.get_dashboard_data(**wrong)
            assert answer.error.code is ErrorCode.InvalidArgument
