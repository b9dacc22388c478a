"""What `kill -9` leaves behind: everything but the one event each thread was writing."""

from __future__ import annotations

import os

import pytest

from tests.system.kills import kill_once

KILLS = 400 if os.environ.get("WHENCE_STRESS") else 40
ROUND = 10


@pytest.mark.parametrize("first", range(0, KILLS, ROUND))
def test_killed_program_leaves_its_newest_events_whole_and_counted(first: int) -> None:
    """Tickets without a gap, whole payloads, at most one event in flight. P5 P3 P2 P18 T40 T42"""
    for seed in range(first, first + ROUND):
        kill = kill_once(seed)
        assert kill.proof.faults == [], kill.setup
        assert not kill.live, kill.setup
