"""Metrics and dashboards of a trace service."""

from __future__ import annotations

from tests.traces.test_queries import Clock, fill
from whence.model.result import ErrorCode
from whence.traces.service import TraceService

HOUR_NS = 3_600_000_000_000


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
