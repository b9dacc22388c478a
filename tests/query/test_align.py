"""aligned() against the plain table of longest common subsequences."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.query import align
from whence.query.align import aligned

WORDS = st.text("abc", max_size=14)


def longest(a: Sequence[str], b: Sequence[str]) -> int:
    """The length of a longest common subsequence, by the table."""
    above = [0] * (len(b) + 1)
    for one in a:
        row = [0]
        for at, other in enumerate(b):
            row.append(above[at] + 1 if one == other else max(row[-1], above[at + 1]))
        above = row
    return above[-1]


def assert_sound(a: Sequence[str], b: Sequence[str]) -> int:
    """Each place once, in order, and pairs alike; gives the number of pairs."""
    found = list(aligned(a, b))
    assert [i for i, _ in found if i is not None] == list(range(len(a)))
    assert [j for _, j in found if j is not None] == list(range(len(b)))
    pairs = [(i, j) for i, j in found if i is not None and j is not None]
    assert all(a[i] == b[j] for i, j in pairs)
    return len(pairs)


@given(WORDS, WORDS)
def test_as_many_places_are_paired_as_can_be(a: str, b: str) -> None:
    """R5.14 Neither a place is lost nor a pair missed."""
    assert assert_sound(a, b) == longest(a, b)


@given(WORDS, WORDS)
def test_beyond_the_limit_no_place_is_lost(a: str, b: str) -> None:
    """R5.14 Very long chains are paired by counting; fewer pairs, no wrong ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(align, "MOST_PAIRS", 4)
        assert assert_sound(a, b) <= longest(a, b)


def test_steps_left_out_of_a_long_loop_are_found() -> None:
    """R5.14 Thousands of steps of few types, of which every seventh is gone."""
    whole = ["admit", "schedule", "start", "complete"] * 1_000
    thinned = [step for at, step in enumerate(whole) if at % 7]
    assert assert_sound(whole, thinned) == len(thinned)
    assert assert_sound(thinned, whole) == len(thinned)
