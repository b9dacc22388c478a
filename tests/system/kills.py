"""Kills a producer at a random instant and proves what its rings hold then."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from typing import NamedTuple

from tests.system import producer
from tests.system.host import DEADLINE_S, environment, memory_folder, read
from tests.system.proof import Proof, new_log, prove

__all__ = ["Kill", "kill_once"]


class Kill(NamedTuple):
    """One killed producer: how it was set up, and what was found."""

    setup: str
    proof: Proof
    live: bool  # did its session still look alive?


def kill_once(seed: int) -> Kill:
    """Starts a producer with settings drawn from `seed`, and kills it."""
    draw = random.Random(seed)
    threads, chunk = draw.randint(1, 4), draw.choice((1, 64, 512))
    ring_slots = draw.choice((1, 7, 100, 700, 3000))
    text_bytes = draw.choice((4096, 40_000, 262_144))
    early = draw.random() < 0.1  # perhaps before its session is complete
    delay_s = draw.uniform(0.03, 0.1) if early else draw.uniform(0, 0.06)
    with memory_folder() as base:
        log = new_log(base / "log", threads)
        arguments = (log, threads, chunk, ring_slots, text_bytes)
        process = subprocess.Popen(
            [sys.executable, producer.__file__, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(base),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        if not early:
            process.stdout.readline()
        time.sleep(delay_s)
        process.kill()
        process.wait(DEADLINE_S)
        process.stdin.close()
        process.stdout.close()
        recording = read(base)
        live = any(session.live for session in recording.sessions)
        return Kill(
            f"seed {seed}: {threads} threads, chunk {chunk}, {ring_slots} slots, {text_bytes} text",
            prove(recording, log, chunk),
            live,
        )
