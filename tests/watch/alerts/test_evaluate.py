"""The figures of alert rules: those of the store, null where nothing is known, by any clock."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.query.build import WALL_NS
from tests.watch.growing import Program
from tests.watch.traced import MS, SECOND, trace
from whence.model.names import spellings
from whence.query.engines.folder import FolderEngine
from whence.query.engines.memory_store import MemoryEngine
from whence.store.folder import FolderStore
from whence.store.memory import MemoryStore
from whence.watch.alerts.checked import checked
from whence.watch.alerts.evaluate import Figures, Losses, shown
from whence.watch.alerts.grammar import METRICS, Measured
from whence.watch.alerts.rules import AlertRule
from whence.watch.metrics.history import METRIC

NOTHING = Measured(None)
LIVES = st.tuples(
    st.integers(-20, 20),
    st.sampled_from(["completed", "failed", "cancelled", "active"]),
    st.integers(1, 50),
    st.integers(0, 2),
)


def figures(engine: MemoryEngine | FolderEngine, *stretches: tuple[int, int]) -> Figures:
    """Of these stretches, in seconds since the store began."""
    return Figures(
        engine,
        [(WALL_NS + since * SECOND, WALL_NS + until * SECOND) for since, until in stretches],
        lost=lambda: NOTHING,
        lag=lambda: NOTHING,
    )


@settings(deadline=None, max_examples=40)
@given(st.lists(LIVES, max_size=12), st.integers(-5, 15))
def test_figures_are_those_of_the_traces_that_began_then(
    lives: list[tuple[int, str, int, int]], cut: int
) -> None:
    """As read one by one; and the same of one stretch and of two that make it up. R4.52 R4.68"""
    store = MemoryStore()
    program = Program(store)
    program.commit(
        [
            event
            for number, (at, status, lasts, errors) in enumerate(lives, 1)
            for event in trace(
                program, number, at * SECOND, status=status, lasts_ns=lasts * MS, errors=errors
            )
        ]
    )
    inside = [each for each in lives if -10 <= each[0] <= 16]
    lasted = [lasts * MS for _, status, lasts, _ in inside if status != "active"]
    wrong = [each for each in inside if each[3] or each[1] == "failed"]
    engine = MemoryEngine(store)
    one = figures(engine, (-10, 16))
    other = Figures(
        engine,
        [
            (WALL_NS - 10 * SECOND, WALL_NS + cut * SECOND),
            (WALL_NS + cut * SECOND + 1, WALL_NS + 16 * SECOND),
        ],
        lost=lambda: NOTHING,
        lag=lambda: NOTHING,
    )
    for found in (one, other):
        rate = found.measure("error_rate").value
        assert rate == (pytest.approx(len(wrong) / len(inside)) if inside else None)
        average = found.measure("avg_response_time").value
        assert average == (pytest.approx(sum(lasted) / len(lasted)) if lasted else None)
        assert found.measure("throughput").value == pytest.approx(len(inside) / 26, rel=1e-6)
    p95 = one.measure("p95_response_time").value
    assert other.measure("p95_response_time").value == (None if p95 is None else pytest.approx(p95))


def test_of_nothing_nothing_is_known() -> None:
    """Null is no data and never 0; counts of nothing are 0. R4.52"""
    empty = figures(MemoryEngine(MemoryStore()), (0, 10))
    known = {name for name in METRICS if empty.measure(name).value is not None}
    assert known == {"throughput", "active_traces", "events_per_second"}
    found = empty.measure("queue_depth")
    assert (found.value, "no metric queue_depth" in found.why) == (None, True)
    assert "unknown" in shown("error_rate", empty.measure("error_rate"))


def test_custom_metrics_are_read_in_their_units() -> None:
    """Times in nanoseconds and shares of 1, so that a rule may be written in another. R4.53"""
    store = MemoryStore()
    program = Program(store)
    program.commit(
        [
            program.event(
                at,
                event_type=spellings(METRIC)[0],
                attributes={"metric_name": name, "metric_value": value, "metric_unit": unit},
            )
            for at, (name, value, unit) in enumerate(
                [("wait", 4.0, "ms"), ("wait", 8.0, "ms"), ("load", 95.5, "%"), ("depth", 7.0, "")]
            )
        ]
    )
    found = figures(MemoryEngine(store), (-1, 1))
    assert found.measure("wait") == Measured(6e6, "ns")
    assert found.measure("load") == Measured(0.955, "%")
    assert found.measure("depth") == Measured(7.0, "")
    for condition, holds in (
        ("wait > 5000us", True),
        ("wait > 1s", False),
        ("load >= 95%", True),
        ("depth > 6", True),
        ("depth > 6ms", None),
    ):
        rule = AlertRule(name="a", condition=condition)
        assert rule.parsed.holds(found.measure) is holds


def test_losses_are_those_within_the_window() -> None:
    """Only what was lost since; a counter that falls is no loss. R5.25"""
    losses = Losses(100)
    assert losses.lost(0, 10).value is None
    for at, lost in ((0, 50), (10, 50), (20, 57), (30, 7), (40, 9)):
        losses.saw_lost(at, lost)
    assert losses.lost(40, 100).value == 9
    assert losses.lost(40, 15).value == 2
    assert losses.lost(41, 1).value == 0
    assert losses.lag(40, 100).value is None
    losses.saw_lag(40, 5)
    losses.saw_lag(45, 3)
    assert losses.lag(46, 100) == Measured(5, "ns")
    assert losses.lag(46, 6).value == 3


def test_a_check_says_what_each_rule_would_say(tmp_path: Path) -> None:
    """Whether it holds, by what, and of which traces. R4.51"""
    with FolderStore(tmp_path / "traces", write=True) as store:
        program = Program(store)
        program.commit([*trace(program, 1), *trace(program, 2, status="failed", errors=1)])
    rules = [
        AlertRule(name="errors", condition="error_rate > 5%"),
        AlertRule(name="slow", condition="avg_duration > 5000ms or collector_lag > 1s"),
        AlertRule(name="lost", condition="lost_events > 0"),
    ]
    with FolderEngine(tmp_path / "traces") as engine:
        found = checked(rules, engine, wall_clock_ns=lambda: WALL_NS + SECOND)
    assert [each.holds for each in found] == [True, None, False]
    assert found[0].values == {"error_rate": "50%"}
    assert [cause.id for cause in found[0].causes] == [f"{2:032x}"]
