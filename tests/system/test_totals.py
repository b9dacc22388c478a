"""Totals over many threads are exact, whatever became of each call."""

from __future__ import annotations

from tests.stress.totals import totals


def test_the_totals_of_a_hundred_threads_are_exact() -> None:
    """R1.60 R1.57 R1.26 Recorded, sampled out and below the minimum add up to the calls."""
    found, called = totals(threads=100, events=500)
    assert called == 50_000
    assert {name: sum(counts.values()) for name, counts in found.items()} == dict.fromkeys(
        ("totals_plain", "totals_sampled", "totals_strong"), called
    )
    assert found["totals_plain"]["recorded"] == called
    assert found["totals_strong"]["below_minimum"] == called // 2
    assert 4000 < found["totals_sampled"]["recorded"] < 6000
