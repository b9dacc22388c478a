"""A process that takes events in from outside is killed at each of its steps on the disk."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

from tests.store.failing import KillingDisk
from tests.store.test_intake import Bench, rows
from whence.store.doctor import examine

PUTS = 4 if os.environ.get("WHENCE_STRESS") else 2


def put_until_killed(path: Path, at: int, acknowledge: int) -> None:
    """Says after each receipt how many puts were acknowledged; killed at an operation."""
    bench = Bench(path, KillingDisk(at))
    for number in range(PUTS):
        # each sends the last event of the one before again
        bench.put(rows(range(3 * number, 3 * number + 4)))
        os.write(acknowledge, bytes([number + 1]))
    os.write(acknowledge, b"\xff")


def killed(path: Path, at: int) -> tuple[int, bool]:
    """How many puts a process acknowledged, and whether it came to its end."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            put_until_killed(path, at, writing)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        said = told.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if said.endswith(b"\xff"):
        return PUTS, True
    assert code == -signal.SIGKILL
    return (said[-1] if said else 0), False


def test_no_kill_loses_or_doubles_what_was_acknowledged(tmp_path: Path) -> None:
    """At whichever step it is killed: what it said is there once, and sent again still is. R5.18"""
    kills = 0
    for at in itertools.count(1):
        path = tmp_path / str(at)
        acknowledged, done = killed(path, at)
        kills += not done
        bench = Bench(path)
        found = bench.ids() if path.exists() else []
        assert len(found) == len(set(found))
        promised = {f"e-{n}" for n in range(3 * acknowledged + 1)} if acknowledged else set()
        assert promised <= set(found), at
        for number in range(PUTS):
            bench.put(rows(range(3 * number, 3 * number + 4)))
        assert bench.ids() == sorted(f"e-{n}" for n in range(3 * PUTS + 1)), at
        tickets = sorted(event.ticket for event in bench.events())
        assert tickets == list(range(3 * PUTS + 1)), at
        assert bench.store.trouble == []
        bench.store.close()
        assert examine(path).is_sound
        if done:
            break
    assert kills >= 14 * PUTS
