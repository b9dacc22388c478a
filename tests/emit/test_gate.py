"""Switching kinds off and on: nothing is recorded meanwhile, and the gates log proves it."""

from __future__ import annotations

from collections.abc import Callable

import whence
from tests.apps import AppRun
from tests.own_events import OwnEvents

RunApp = Callable[..., AppRun]


def test_a_kind_that_is_off_records_nothing(recorded: OwnEvents) -> None:
    """Both spellings of the call do nothing, and bool(kind) says so. R0.2"""
    tick = whence.kind("gated", component="Gate", n=int)
    tick(1)
    tick.disable()
    assert (tick.on, bool(tick), repr(tick)) == (False, False, "<kind gated of Gate, off>")
    tick(2)
    tick.emit(3)
    tick("not looked at")  # type: ignore[arg-type]
    tick()  # type: ignore[call-arg]
    tick.enable()
    assert (tick.on, bool(tick)) == (True, True)
    tick(4)
    assert [event.attributes["n"] for event in recorded()] == [1, 4]
    assert recorded.count("rejected") == 0


def test_every_change_is_in_the_gates_log(run_app: RunApp) -> None:
    """Each switch is logged with its time, in order; switching twice is one change. P3"""
    run = run_app("""
        import whence
        first = whence.kind("first", component="Gate", n=int)
        second = whence.kind("second", component="Gate", n=int)
        whence.start()
        times = []
        def change(how):
            times.append(whence.Timestamp.now().value_ns)
            how()
        change(first.disable)
        change(first.disable)
        change(second.disable)
        change(first.enable)
        change(first.enable)
        change(first.disable)
        times.append(whence.Timestamp.now().value_ns)
        print(*times)
    """)
    times = [int(each) for each in run.stdout.split()]
    (session,) = run.recording().sessions
    changes = run.recording().gate_changes
    assert [(change.session, change.kind, change.on) for change in changes] == [
        (session.name, "first", False),
        (session.name, "second", False),
        (session.name, "first", True),
        (session.name, "first", False),
    ]
    moments = [change.monotonic_ns for change in changes]
    for moment, before, after in zip(moments, [0, 2, 3, 5], [1, 3, 4, 6], strict=True):
        assert times[before] - 1000 <= moment <= times[after] + 1000  # two clocks, < 1 us apart


def test_a_kind_switched_off_before_the_session_stays_off(run_app: RunApp) -> None:
    """The first event of another kind makes the session; the switch holds in it. P3"""
    run = run_app("""
        import whence
        quiet = whence.kind("quiet", component="Gate", n=int)
        loud = whence.kind("loud", component="Gate", n=int)
        quiet.disable()
        quiet(1)
        assert whence.session() is None
        loud(2)
        quiet(3)
        quiet.enable()
        quiet(4)
    """)
    assert [event.attributes["n"] for event in run.recording().events] == [2, 4]
    assert [(c.kind, c.on) for c in run.recording().gate_changes] == [
        ("quiet", False),
        ("quiet", True),
    ]
