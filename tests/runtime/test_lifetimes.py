"""Lifetimes of tensors and the memory they take together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.runtime.lifetimes import TensorLifetime, peak_bytes

lifetimes = st.builds(
    lambda size, first, length: TensorLifetime("t", size, first, first + length),
    st.integers(0, 100),
    st.integers(0, 12),
    st.integers(0, 6),
)


@given(st.lists(lifetimes, max_size=20))
def test_the_peak_is_the_largest_sum_of_any_step(alive: list[TensorLifetime]) -> None:
    """R3.32 Adding up every step by itself gives the same."""
    by_step = [
        sum(life.size_bytes for life in alive if life.first_use <= step <= life.last_use)
        for step in range(20)
    ]
    assert peak_bytes(alive) == max(by_step)


def test_a_lifetime_keeps_what_it_is_given() -> None:
    """R3.32 Name, bytes, first and last step."""
    life = TensorLifetime(name="t", size_bytes=4, first_use=1, last_use=2)
    assert (life.name, life.size_bytes, life.first_use, life.last_use) == ("t", 4, 1, 2)


@pytest.mark.parametrize("wrong", [(-1, 0, 0), (1, 2, 1), (1, -1, 0)])
def test_impossible_lifetimes_are_refused(wrong: tuple[int, int, int]) -> None:
    """R3.32 Sizes are not negative and nothing ends before it begins."""
    with pytest.raises(ValueError, match="'t'"):
        TensorLifetime("t", *wrong)
