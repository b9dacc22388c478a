"""The life of an alert, held to a reading of its whole history; and that it outlives a restart."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from whence.watch.alerts.clocks import Stretches
from whence.watch.alerts.kept import Firing, Kept, read_kept, write_kept
from whence.watch.alerts.message import AlertMessage, Cause
from whence.watch.alerts.states import AlertState, Timing, later, step

SECOND = 10**9
STEPS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([True, True, False, None])), max_size=40
)
TIMINGS = st.builds(
    Timing, st.integers(0, 6), st.integers(0, 8), st.sampled_from(["keep", "ok", "fire"])
)


def by_history(steps: list[tuple[int, bool | None]], timing: Timing) -> list[tuple[int, str]]:
    """What is told, from the whole history anew at each moment."""
    said = {"keep": None, "ok": False, "fire": True}[timing.no_data]
    history = [(at, said if holds is None else holds) for at, holds in steps]
    told: list[tuple[int, str]] = []
    for number, (now, holds) in enumerate(history):
        fires = bool(told) and told[-1][1] == "firing"
        if fires and holds is False:
            told.append((now, "resolved"))
        if fires or not holds:
            continue
        run: list[int] = []
        for at, each in reversed(history[: number + 1]):
            if each is False:
                break
            if each:
                run.append(at)
        resolved = [at for at, what in told if what == "resolved"]
        cool = not resolved or now - resolved[-1] >= timing.cooldown_ns
        if now - min(run) >= timing.for_ns and cool:
            told.append((now, "firing"))
    return told


def at_times(steps: list[tuple[int, bool | None]]) -> list[tuple[int, bool | None]]:
    """Steps by how long after each other they are, as steps by when they are."""
    now, found = 0, []
    for after, holds in steps:
        now += after
        found.append((now, holds))
    return found


@given(STEPS, TIMINGS)
def test_the_states_are_those_of_the_whole_history(
    steps: list[tuple[int, bool | None]], timing: Timing
) -> None:
    """Pending, firing and resolved, for, cooldown and no data, as brute force has them. R4.68"""
    state, told = AlertState(), []
    for now, holds in at_times(steps):
        state, change = step(state, holds, now, timing)
        if change:
            told.append((now, change))
        assert (state.phase == "inactive") == (state.since_ns is None)
    assert told == by_history(at_times(steps), timing)
    assert [what for _, what in told] == ["firing", "resolved"] * (len(told) // 2) + ["firing"] * (
        len(told) % 2
    )


@given(STEPS, TIMINGS, st.integers(0, 40), st.integers(-(10**12), 10**12))
def test_a_restart_changes_nothing_but_the_time_nobody_looked(
    steps: list[tuple[int, bool | None]], timing: Timing, at: int, by_ns: int
) -> None:
    """Wherever it comes, and whatever the new clock begins at, the same is told. R4.68"""
    state, told, ahead = AlertState(), [], 0
    for number, (now, holds) in enumerate(at_times(steps)):
        if number == at:
            state, ahead = later(state, by_ns), by_ns
        state, change = step(state, holds, now + ahead, timing)
        if change:
            told.append((now, change))
    assert told == by_history(at_times(steps), timing)


def message(**more: object) -> AlertMessage:
    """A message with all it can have."""
    values: dict[str, object] = {
        "id": "1", "name": "a", "status": "firing", "severity": "high", "condition": "x > 1",
        "window": "5m", "started_wall_ns": 2**60 + 1, "values": {"x": "2"}, "labels": {"a": "b"},
        "causes": (Cause("trace", "ab", "whence why ab", "http://h/ab"),), "note": "n",
    }  # fmt: skip
    return AlertMessage(**{**values, **more})  # type: ignore[arg-type]


def test_what_is_kept_comes_back_by_another_clock(tmp_path: Path) -> None:
    """States, what they fire by and what nobody has got yet, to the nanosecond. R4.51"""
    path = tmp_path / "alerts.json"
    kept = Kept(
        {"a": Firing(AlertState("firing", 70, 30, 2), message()), "b": Firing()},
        {"webhook": [message(status="resolved", ended_wall_ns=2**60 + 5)], "log": []},
    )
    write_kept(path, kept, 100)
    found = read_kept(path, 7)
    assert found.firings == {"a": Firing(AlertState("firing", -23, -63, 2), message())}
    assert found.undelivered == {"webhook": kept.undelivered["webhook"]}
    assert read_kept(tmp_path / "none", 0) == Kept()


def test_a_damaged_file_is_set_aside_and_said(tmp_path: Path) -> None:
    """The service begins all the same, at any byte that is missing. R4.51"""
    path = tmp_path / "alerts.json"
    write_kept(path, Kept({"a": Firing(AlertState("pending", 1, None, 0))}), 5)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        found = read_kept(path, 5)
        assert found.firings == {}
        assert "damaged" in found.trouble
        assert not path.exists()


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(-10_000, 10_000)), max_size=6),
    st.integers(1, 300),
)
def test_no_setting_of_the_clock_loses_any_of_a_window(
    jumps: list[tuple[int, int]], window_s: int
) -> None:
    """Each moment of the window, by the clock as it was then, lies in a stretch of it. R4.51"""
    clock = {"now": 0, "ahead": 10**18}
    found = Stretches(
        10_000 * SECOND,
        clock_ns=lambda: clock["now"],
        wall_clock_ns=lambda: clock["now"] + clock["ahead"],
    )
    moments = []
    for after_s, jump_s in jumps:
        for _ in range(after_s + 1):
            clock["now"] += SECOND
            moments.append((clock["now"], clock["now"] + clock["ahead"]))
            found.see()
        clock["ahead"] += jump_s * SECOND
        found.see()
    stretches = found.within(window_s * SECOND)
    assert all(since < until for since, until in stretches)
    assert stretches == sorted(stretches)
    for now, wall in moments:
        if now > clock["now"] - window_s * SECOND:
            assert any(
                since - 2 * SECOND <= wall <= until + 2 * SECOND for since, until in stretches
            )
