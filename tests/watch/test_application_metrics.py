"""ApplicationMetrics: computed from what is stored, and null where nothing is known."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.query.build import WALL_NS
from tests.watch.growing import Program
from tests.watch.traced import MS, SECOND, trace
from whence.model.event import TraceEvent
from whence.query.engines.folder import FolderEngine
from whence.query.engines.memory_store import MemoryEngine
from whence.query.engines.shapes import Budget
from whence.store.folder import FolderStore
from whence.store.memory import MemoryStore
from whence.watch.metrics.application import ApplicationMetrics
from whence.watch.metrics.history import COMPONENT, METRIC

HOUR = 3_600 * SECOND


def test_figures_are_those_of_the_window(tmp_path: Path) -> None:
    """Traces that started in it, their average, their errors, and events a second. R4.41"""
    with FolderStore(tmp_path / "traces", write=True) as store:
        program = Program(store)
        events = [
            *trace(program, 1, 0, lasts_ns=10 * MS),
            *trace(program, 2, 10 * SECOND, lasts_ns=30 * MS, status="failed", errors=2),
            *trace(program, 3, 20 * SECOND, status="active"),
            *trace(program, 4, -HOUR, status="active"),
            *trace(program, 5, -2 * HOUR, lasts_ns=MS),
            program.event(SECOND, event_type=METRIC, component=COMPONENT),
        ]
        program.commit(events)
    with FolderEngine(tmp_path / "traces") as engine:
        read = ApplicationMetrics(engine, 100.0, wall_clock_ns=lambda: WALL_NS + 100 * SECOND)
        found = read.read()
    assert (found.since_ns, found.until_ns) == (WALL_NS, WALL_NS + 100 * SECOND)
    assert found.request_count == 3
    assert found.response_time_avg == 20.0
    assert found.error_rate == pytest.approx(1 / 3)
    assert found.active_traces == 2
    assert found.events_per_second == pytest.approx(7 / 100)
    assert found.missing == {}
    assert {each.name: each.value for each in found.readings()}["response_time_avg"] == 20.0


def test_of_nothing_there_is_no_average() -> None:
    """Where no trace was, counts are 0, and averages and rates are None. R4.41"""
    found = ApplicationMetrics(MemoryEngine(MemoryStore())).within(0, SECOND)
    assert (found.request_count, found.active_traces, found.events_per_second) == (0, 0, 0)
    assert (found.response_time_avg, found.error_rate) == (None, None)
    assert "response_time_avg" not in {each.name for each in found.readings()}


def test_what_would_cost_too_much_is_none_and_said() -> None:
    """Figures past the budget are not guessed from some of the traces. R4.41"""
    store = MemoryStore()
    program = Program(store)
    program.commit([event for n in range(1, 5) for event in trace(program, n, n)])
    metrics = ApplicationMetrics(MemoryEngine(store), budget=Budget(rows=0))
    found = metrics.within(WALL_NS - SECOND, WALL_NS + SECOND)
    assert (found.request_count, found.response_time_avg, found.error_rate) == (None, None, None)
    assert "more than 0 rows" in found.missing["request_count"]
    with pytest.raises(ValueError, match="no time"):
        metrics.within(5, 5)


LIVES = st.tuples(
    st.integers(-20, 20),
    st.sampled_from(["completed", "failed", "cancelled", "expired", "active"]),
    st.integers(1, 50),
    st.integers(0, 2),
)


@settings(max_examples=50)
@given(st.lists(LIVES, max_size=12), st.integers(-20, 10), st.integers(1, 30))
def test_figures_agree_with_counting_by_hand(
    lives: list[tuple[int, str, int, int]], since_s: int, length_s: int
) -> None:
    """Held against the plainest sums over random traces. R4.41 R4.68"""
    store = MemoryStore()
    program = Program(store)
    events: list[TraceEvent] = []
    for number, (at_s, status, lasts_ms, errors) in enumerate(lives, 1):
        lasts_ns = lasts_ms * MS
        at_ns = at_s * SECOND
        events += trace(program, number, at_ns, status=status, lasts_ns=lasts_ns, errors=errors)
    program.commit(events)
    since_ns, until_ns = WALL_NS + since_s * SECOND, WALL_NS + (since_s + length_s) * SECOND
    found = ApplicationMetrics(MemoryEngine(store)).within(since_ns, until_ns)
    started = [life for life in lives if since_s <= life[0] < since_s + length_s]
    ended = [life[2] for life in started if life[1] != "active"]
    wrong = [life for life in started if life[3] or life[1] == "failed"]
    assert found.request_count == len(started)
    assert found.active_traces == sum(
        life[1] == "active" and life[0] < since_s + length_s for life in lives
    )
    if ended:
        assert found.response_time_avg == pytest.approx(sum(ended) / len(ended))
    else:
        assert found.response_time_avg is None
    assert found.error_rate == (pytest.approx(len(wrong) / len(started)) if started else None)
