"""Each option of a trace service changes what it does."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.apps import run_program
from whence.model.errors import NotAStore
from whence.model.result import ErrorCode
from whence.model.trace import Event
from whence.store.folder import FolderStore
from whence.traces.module import initialize_trace_module
from whence.traces.options import TraceOptions
from whence.traces.service import TraceService


class Told:
    """A listener that keeps what it is told, and can be waited for."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait(self, event_type: str) -> Event:
        """The first event of that type."""

        def found() -> Event | None:
            return next((each for each in self.events if each.event_type == event_type), None)

        with self._changed:
            assert self._changed.wait_for(found, 30)
        event = found()
        assert event is not None
        return event


def test_a_module_has_both_faces_of_one_service() -> None:
    """R4.1 What one creates the other finds."""
    with initialize_trace_module("memory") as module:
        trace = module.service.create_trace("ctx").unwrap()
        assert module.async_service.service.get_trace_by_id(trace.trace_id).success


def test_listeners_are_told_while_monitoring_is_on() -> None:
    """R4.9 R4.29 R4.54 A listener gets the events that it asked for, until it is removed."""
    with TraceService("memory") as traces:
        told, errors = Told(), Told()
        every = traces.add_event_listener(told).unwrap()
        only = traces.add_event_listener(errors, level="error").unwrap()
        with traces.trace("work", context_id="ctx") as t:
            t.event("stage_started", stage="a")
            t.event("broken", level="error", message="no")
        assert told.wait("stage_started").data == {"stage": "a"}
        told.wait("trace_ended")
        assert errors.wait("broken").message == "no"
        assert [each.event_type for each in errors.events] == ["broken"]
        assert traces.remove_event_listener(only).unwrap()
        with traces.trace("work") as t:
            t.event("broken", level="error")
            t.event("last")
        told.wait("last")
        assert len(errors.events) == 1
        assert every.counts.dropped == 0


def test_without_monitoring_there_are_no_listeners() -> None:
    """R4.29 Whoever asks for one is told why."""
    with TraceService("memory", enable_real_time_monitoring=False) as traces:
        assert traces.add_event_listener(print).error.code is ErrorCode.Conflict


def test_with_aggregation_repeats_are_one_event() -> None:
    """R4.31 R4.35 The first is kept as it is, the rest within the window count; errors all stay."""

    def recorded(**options: Any) -> list[tuple[str, Any]]:
        now = time.time_ns()
        with TraceService("memory", **options) as traces:
            trace_id = traces.create_trace("ctx").unwrap().trace_id
            for at in (0, 1, 2, 3, 500):
                traces.record_event(
                    trace_id, "retry", message="again", data={"n": at},
                    timestamp=now + at * 1_000_000,
                )  # fmt: skip
            for _ in range(2):
                traces.record_event(trace_id, "broken", "error", timestamp=now + 10**9)
            found = traces.get_trace_by_id(trace_id).unwrap().events
            return [(each.event_type, dict(each.data)) for each in found]

    plain = [("retry", {"n": at}) for at in (0, 1, 2, 3, 500)]
    assert recorded() == [*plain, ("broken", {}), ("broken", {})]
    windows = {"metrics_config": {"aggregation_window": 100}}
    assert recorded(enable_event_aggregation=True, **windows) == [
        ("retry", {"n": 0}), ("retry", {"n": 3, "repeats": 3}), ("retry", {"n": 500}),
        ("broken", {}), ("broken", {}),
    ]  # fmt: skip


def test_events_below_the_least_level_are_not_kept() -> None:
    """R4.34 `min_level`, the component of events that name none, and the size of their data."""
    config = {"min_level": "warn", "component": "Planner", "max_data_bytes": 100, "max_events": 3}
    with TraceService("memory", event_config=config) as traces:
        trace_id = traces.create_trace("ctx").unwrap().trace_id
        for level in ("info", "warn", "error"):
            assert traces.record_event(trace_id, "step", level, data={"x": "y" * 500}).success
        found = traces.get_trace_by_id(trace_id).unwrap().events
        assert [each.level for each in found] == ["warn", "error"]
        assert found[0].component == "Planner"
        assert found[0].data == {"x": "y" * 100}
        for _ in range(3):
            traces.record_event(trace_id, "step", "error")
        assert traces.get_trace_by_id(trace_id).error.code is ErrorCode.BudgetExceeded


def test_half_a_ring_waits_at_most() -> None:
    """R4.34 A small ring loses nothing: recording waits until there is room."""
    with TraceService("memory", event_config={"buffer_size": 10}) as traces:
        trace_id = traces.create_trace("ctx").unwrap().trace_id
        for number in range(100):
            traces.record_event(trace_id, "step", data={"n": number})
        found = traces.get_trace_by_id(trace_id).unwrap().events
        assert [each.data["n"] for each in found] == list(range(100))


def test_retention_is_the_stores(tmp_path: Path) -> None:
    """R4.28 R4.32 The folder keeps the period among its settings, and gives up what is older."""
    source = f"""
        from whence.traces.service import TraceService
        traces = TraceService({str(tmp_path / "traces")!r}, retention_period_days=7)
        traces.complete(traces.create_trace("ctx").unwrap().trace_id)
        assert traces.flush().success
        traces.close()
    """
    run_program(source, tmp_path)
    with FolderStore(tmp_path / "traces") as store:
        assert store.manifest.settings["keep_days"] == 7


def test_in_memory_retention_drops_what_ended_long_ago() -> None:
    """R4.28 R4.32 R4.68 Whole traces that ended before the period; active ones stay."""
    now_ns = time.time_ns()
    with TraceService("memory", retention_period_days=7, clock=lambda: now_ns) as traces:
        traces.complete(traces.create_trace("old").unwrap().trace_id)
        traces.create_trace("active", timeout_ms=1e11)
        now_ns += 6 * 86_400 * 10**9
        traces.complete(traces.create_trace("new").unwrap().trace_id)
        assert traces.query_traces().unwrap().total == 3
        now_ns += 2 * 86_400 * 10**9
        left = traces.query_traces().unwrap().items
        assert [row.context_id for row in left] == ["new", "active"]


def test_a_cluster_is_only_read() -> None:
    """R4.28 What would write answers that it cannot."""
    traces = TraceService("clickhouse://127.0.0.1:1/nowhere")
    assert traces.create_trace("ctx").error.code is ErrorCode.Unavailable
    assert traces.query_traces().error.code is ErrorCode.Unavailable


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": 1}, {"metrics_config": {"collection_interval": 0}}, {"metrics_config": 7},
        {"metrics_config": {"metric_types": ["nonsense"]}}, {"event_config": {"min_level": "loud"}},
        {"event_config": {"buffer_size": 0}}, {"retention_period_days": -1},
        {"trace_timeout_s": 0}, {"event_config": {"unknown": 1}},
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    """R4.1 R4.35 Before anything is opened."""
    with pytest.raises((TypeError, ValueError)):
        TraceOptions.of(wrong)


def test_data_sources_that_are_none_are_refused(tmp_path: Path) -> None:
    """R4.28 Other URLs, and folders of other things."""
    with pytest.raises(ValueError, match="no data source"):
        TraceService("http://somewhere/")
    (tmp_path / "something").write_text("else")
    source = f"""
        from whence.traces.service import TraceService
        TraceService({str(tmp_path)!r})
    """
    assert NotAStore.__name__ in run_program(source, tmp_path, fails=True).stderr
