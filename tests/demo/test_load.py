"""The load follows from measured costs, is the same for a seed, and stops asking at its limits."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

pytest.importorskip("numpy")
pytest.importorskip("PIL")

from tests.demo.made_up import MS, profile
from whence.demo.files import find_files
from whence.demo.load import Rhythm, plan_load

PROFILES = {
    "magika": profile("magika", 4),
    "ocr_det": profile("ocr_det", 100),
    "ocr_cls": profile("ocr_cls", 2),
    "ocr_rec": profile("ocr_rec", 18),
}
RHYTHM = Rhythm.for_costs(PROFILES, workers=2)


def test_periods_and_deadlines_follow_from_costs() -> None:
    """A page costs 100 + 3.5 * 20 ms and may ask for 45 % of two workers."""
    assert RHYTHM.page_period_ns == round(170 * MS / 0.9)
    assert RHYTHM.page_deadline_ns == 200 * MS
    assert RHYTHM.file_deadline_ns == 44 * MS


def test_a_machine_twice_as_slow_gets_half_the_pages() -> None:
    """The load is as heavy on every machine."""
    slow = {model: profile(model, 2 * cost.wcet_ns // MS) for model, cost in PROFILES.items()}
    assert Rhythm.for_costs(slow, 2).page_period_ns == pytest.approx(
        2 * RHYTHM.page_period_ns, rel=1e-6
    )


def test_four_workers_get_two_scanners_of_the_same_pace() -> None:
    """One scanner for two workers: a single faster one could not be promised anything."""
    wide = Rhythm.for_costs(PROFILES, workers=4)
    assert (wide.scanners, wide.page_period_ns) == (2, RHYTHM.page_period_ns)
    assert Rhythm.for_costs(PROFILES, workers=1).scanners == 1


def test_the_same_seed_plans_the_same_load() -> None:
    """Arrivals are in order of time and depend on the seed alone."""
    plans = [plan_load(RHYTHM, 3, 1_000, random.Random(seed)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]
    assert plans[0] == sorted(plans[0])


def test_bursts_come_at_one_and_two_thirds() -> None:
    """Around each there are more arrivals than in any calm tenth of the time."""
    at = [arrival.at_ns for arrival in plan_load(RHYTHM, 6, 10_000, random.Random(1))]

    def count(from_ms: int, to_ms: int) -> int:
        return sum(from_ms * MS <= ns < to_ms * MS for ns in at)

    calm = count(1_000, 1_200)
    assert count(2_000, 2_200) > 4 * calm
    assert count(4_000, 4_200) > 4 * calm
    assert {arrival.stream for arrival in plan_load(RHYTHM, 6, 10_000, random.Random(1))} == {
        "scanner-1",
        "scanner-2",
        "folder",
    }


def test_no_more_arrivals_are_planned_than_asked_for() -> None:
    """The first ones are kept."""
    plan = plan_load(RHYTHM, 6, 1_000, random.Random(1))
    assert plan_load(RHYTHM, 6, 10, random.Random(1)) == plan[:10]


def test_files_are_real_small_and_of_many_suffixes(tmp_path: Path) -> None:
    """At most a dozen of each suffix, none above a megabyte, no links, shuffled by the seed."""
    for number in range(20):
        (tmp_path / f"{number:02d}.txt").write_text("text")
    (tmp_path / "large.bin").write_bytes(bytes((1 << 20) + 1))
    (tmp_path / "link.md").symlink_to(tmp_path / "00.txt")
    found = find_files(random.Random(1), [tmp_path])
    assert len(found) == 12
    assert {path.suffix for path in found} == {".txt"}
    assert found == find_files(random.Random(1), [tmp_path])
    assert found != find_files(random.Random(2), [tmp_path])


def test_this_machine_has_enough_files_for_the_demo() -> None:
    """The standard library alone gives dozens."""
    assert len(find_files(random.Random(1))) >= 50
