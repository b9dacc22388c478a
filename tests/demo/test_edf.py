"""Who runs next is decided by deadlines and budgets, and the others are told why they do not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.demo.made_up import MS, profile, request
from whence.demo.edf import choose, hold_of, left_ns, used_bytes

NOW = 1_000 * MS
PROFILES = {
    "small": profile("small", 5),
    "single": profile("single", 50, streams=1),
    "heavy": profile("heavy", 50, memory_bytes=1_000),
}


def test_the_earliest_deadline_is_selected_and_told_first() -> None:
    """The least slack wins; the options hold everyone's slack, and why the others lose. R5.8"""
    late, early = request(deadline_ms=90), request(deadline_ms=40)
    choice = choose([late, early], [], PROFILES, NOW)
    assert choice.selected is early
    assert [(option.name, option.chosen, option.reason) for option in choice.options] == [
        (f"small {early.id}", True, ""),
        (f"small {late.id}", False, "later deadline"),
    ]
    assert [dict(option.scores) for option in choice.options] == [
        {"slack_ms": 40.0},
        {"slack_ms": 90.0},
    ]


@given(st.lists(st.integers(-5, 60), max_size=12))
def test_the_selected_has_the_least_deadline_that_has_not_passed(deadlines: list[int]) -> None:
    """Against a plain minimum: the first of the earliest; those that passed are expired."""
    waiting = [request(deadline_ms=deadline) for deadline in deadlines]
    choice = choose(waiting, [], PROFILES, NOW)
    in_time = [asked for asked in waiting if asked.deadline_ns >= NOW]
    assert set(choice.expired) == set(waiting) - set(in_time)
    least = min(in_time, key=lambda asked: (asked.deadline_ns, asked.id), default=None)
    assert choice.selected is least
    assert len(choice.options) == min(4, len(in_time))


def test_a_model_at_its_stream_limit_is_held_back_and_named() -> None:
    """The next deadline runs instead; the hold names the request that keeps the model busy."""
    busy = request("single", started_ms_ago=10)
    first, second = request("single", deadline_ms=20), request(deadline_ms=80)
    choice = choose([first, second], [busy], PROFILES, NOW)
    assert choice.selected is second
    ((held, hold),) = choice.held
    assert (held, hold.what, hold.blocker) == (first, "limit", busy)
    assert choice.options[1].reason == "runs 1 of 1 at once"


def test_a_model_over_its_memory_budget_is_held_back() -> None:
    """What runs and what would run together must fit the model's memory. R3.15"""
    busy = request("heavy", need_bytes=700, started_ms_ago=10)
    fits, too_much = request("heavy", need_bytes=300), request("heavy", need_bytes=301)
    assert hold_of(fits, [busy], PROFILES, NOW) is None
    hold = hold_of(too_much, [busy], PROFILES, NOW)
    assert hold is not None
    assert (hold.what, hold.blocker) == ("memory", busy)
    choice = choose([too_much], [busy], PROFILES, NOW)
    assert choice.selected is None
    assert choice.options == ()
    assert choice.held == ((too_much, hold),)


def test_the_blocker_named_is_the_one_that_ends_first() -> None:
    """Of several running requests of a model, the one with least left is named."""
    older = request("heavy", need_bytes=500, started_ms_ago=30)
    newer = request("heavy", need_bytes=500, started_ms_ago=10)
    hold = hold_of(request("heavy"), [newer, older], PROFILES, NOW)
    assert hold is not None
    assert hold.blocker is older


def test_what_is_left_becomes_negative_beyond_the_estimate() -> None:
    """An execution longer than its estimate is shown as such, not as finished."""
    assert left_ns(request("single", started_ms_ago=10), PROFILES, NOW) == 40 * MS
    assert left_ns(request("single", started_ms_ago=60), PROFILES, NOW) == -10 * MS


def test_memory_used_is_the_sum_of_what_requests_hold() -> None:
    """Needs add up."""
    assert used_bytes([request(need_bytes=3), request(need_bytes=4)]) == 7
