"""Budgets: three required limits, judged in a fixed order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.model.time import Duration
from whence.runtime.budget import ResourceBudget

around_zero = st.integers(-2, 2)


def test_all_limits_are_required() -> None:
    """R3.15 There is no budget by omission."""
    for arguments in ({}, {"memory_limit_bytes": 1}, {"memory_limit_bytes": 1, "stream_limit": 1}):
        with pytest.raises(TypeError, match="missing"):
            ResourceBudget(**arguments)  # type: ignore[call-arg, arg-type]


def test_a_budget_cannot_be_changed() -> None:
    """R3.15 Its limits are the ones it was made with."""
    budget = ResourceBudget(1, 2, Duration(3))
    assert (budget.memory_limit_bytes, budget.stream_limit) == (1, 2)
    assert budget.compute_budget == Duration(3)
    with pytest.raises(AttributeError):
        budget.stream_limit = 5  # type: ignore[misc]


@given(around_zero, around_zero, around_zero)
def test_the_first_limit_that_is_not_above_zero_is_named(
    memory: int, streams: int, compute: int
) -> None:
    """R3.16 R3.17 R3.44 Memory, streams, compute: the first that is wrong, with its value."""
    budget = ResourceBudget(memory, streams, Duration(compute))
    limits = {"memory_limit_bytes": memory, "stream_limit": streams, "compute_budget": compute}
    wrong = [name for name, limit in limits.items() if limit <= 0]
    assert budget.is_valid() is (not wrong)
    if wrong:
        assert budget.validation_error().startswith(wrong[0])
        assert budget.validation_error().endswith(f"not {limits[wrong[0]]}")
    else:
        assert budget.validation_error() == ""


def test_the_smallest_valid_budget_is_one_of_each() -> None:
    """R3.16 R3.44 One byte, one stream and one nanosecond are enough."""
    assert ResourceBudget(1, 1, Duration(1)).is_valid()


def test_the_default_budget_is_512_mib_4_streams_100_ms() -> None:
    """R3.18 The default has these numbers and is valid."""
    budget = ResourceBudget.default_budget()
    assert budget == ResourceBudget(536_870_912, 4, Duration.from_millis(100))
    assert budget.is_valid()


@pytest.mark.parametrize("limits", [(1.0, 1, Duration(1)), (1, True, Duration(1)), (1, 1, 100)])
def test_limits_of_other_types_are_refused(limits: Any) -> None:
    """R3.15 Floats, bools and bare nanoseconds are not limits."""
    with pytest.raises(TypeError, match="must be"):
        ResourceBudget(*limits)
