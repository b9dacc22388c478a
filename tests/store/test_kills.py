"""A store that is killed at random, over and over, while it commits, merges, drops and deletes."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.store.rows import NOON, SECOND, UUID, rows, tickets_in
from whence.collect.sink_ledger import SinkLedger
from whence.store import compaction
from whence.store.doctor import examine
from whence.store.folder import FolderStore
from whence.store.upkeep import Upkeep

KILLS = 200 if os.environ.get("WHENCE_STRESS") else 12
EACH = 5
_DAY_OF = 400  # tickets


def clock() -> Iterator[int]:
    """Time that goes half a minute a look, so that replaced files are deleted soon."""
    now_ns = time.monotonic_ns()
    while True:
        now_ns += 30 * SECOND
        yield now_ns


def append_for_ever(path: Path, acknowledge: int) -> NoReturn:
    """Says after each commit up to which ticket all is stored."""
    ticks = clock()
    with FolderStore(path, write=True) as store:
        upkeep = Upkeep(store, clock=lambda: 0.0, clock_ns=lambda: next(ticks))
        while True:
            first = store.manifest.positions.get(UUID, {}).get(0, 0)
            upto = first + EACH
            day_ns = NOON + first // _DAY_OF * 86_400 * SECOND
            ledger = SinkLedger(read=upto, delivered=upto)
            store.append(rows(range(first, upto), day_ns), {UUID: {0: upto}}, ledger)
            os.write(acknowledge, upto.to_bytes(8, "little"))
            for _ in range(4):
                upkeep._next_s = 0.0
                upkeep.step()


def killed_after(path: Path, wait_s: float) -> int:
    """Up to which ticket a process acknowledged that was killed after that time."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            append_for_ever(path, writing)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        first = told.read(8)
        time.sleep(wait_s)
        os.kill(child, signal.SIGKILL)
        everything = first + told.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    whole = everything[: len(everything) // 8 * 8]
    return int.from_bytes(whole[-8:], "little")


def test_no_kill_loses_or_doubles_what_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each kill every acknowledged row is there once, and the next owner goes on. R5.24"""
    monkeypatch.setattr(compaction, "FAN_IN", 4)
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    path = tmp_path / "traces"
    for number in range(KILLS):
        acknowledged = killed_after(path, chance.uniform(0, 0.15))
        snapshot = FolderStore(path).snapshot()
        found = tickets_in(snapshot)
        assert snapshot.trouble == "", (seed, number)
        assert found == list(range(len(found))), (seed, number)
        assert acknowledged <= len(found) <= acknowledged + EACH, (seed, number)
        assert snapshot.manifest.positions == {UUID: {0: len(found)}}, (seed, number)
    with FolderStore(path, write=True) as store:
        assert store.trouble == []
        levels = {each.level for each in store.manifest.files}
    assert levels & {1, 2}, "files were merged"
    assert examine(path).is_sound
