"""Holds ledgers against what producers say they did, under load and after kill -9: figure T42.

usage: ledger.py [SECONDS] [--rounds N] [--seed N]
Each round runs a program of several threads with two readers attached; every other one is killed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.system import producer
from tests.system.figures import Figures
from tests.system.follower import RingFollower, done_by
from tests.system.host import Host, memory_folder, read, sessions, until
from tests.system.producer import KINDS, kind_of
from tests.system.proof import new_log, prove
from whence.model.recording import RingLedger
from whence.ring.folders import ring_files

SECOND_READER = """
    import sys
    from pathlib import Path
    from whence.collect.sessions import SessionStream
    stream = SessionStream(Path(sys.argv[1]))
    print("reading", flush=True)
    while stream.poll() or stream.info.live: pass
"""


@dataclass
class Residues:
    """What did not add up, in all rounds of one sort."""

    rings: int = 0
    recorded: int = 0
    by_ring: Counter[int] = field(default_factory=Counter)  # ahead of the log -> rings
    by_kind: Counter[int] = field(default_factory=Counter)
    readers: Counter[int] = field(default_factory=Counter)  # delivered + lost - complete
    faults: list[str] = field(default_factory=list)


def main() -> int:
    """Prints the figures; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=0.0)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    end = time.monotonic() + wanted.seconds
    at_rest, killed = Residues(), Residues()
    done = 0
    while done < wanted.rounds or time.monotonic() < end:
        run_round(wanted.seed + done, killed if done % 2 else at_rest, kill=done % 2 == 1)
        done += 1
    figures = Figures()
    report(figures, "at rest", at_rest, allowed=0)
    report(figures, "after kill -9", killed, allowed=1)
    return figures.status


def run_round(seed: int, residues: Residues, kill: bool) -> None:
    """Runs one producer with its readers and adds what was found."""
    draw = random.Random(seed)
    threads, chunk = draw.randint(2, 6), draw.choice((1, 64, 512))
    ring_slots, text_bytes = draw.choice((100, 1000, 10_000)), draw.choice((4096, 262_144))
    with memory_folder() as base:
        log = new_log(base / "log", threads)
        with Host(producer_path(), log, threads, chunk, ring_slots, text_bytes, base=base) as host:
            host.line()
            until(lambda: min(done_by(log)) > 0, "all threads record")
            (folder,) = sessions(base)
            with Host(SECOND_READER, folder, base=base) as second:
                second.line()
                followers = [RingFollower(folder, name, chunk) for name in ring_files(folder)]
                end = time.monotonic() + draw.uniform(0.2, 0.8)
                while time.monotonic() < end:
                    for follower in followers:
                        follower.follow()
                host.kill() if kill else host.finish()
                for follower in followers:
                    follower.follow()
                second.finish()
        recording = read(base)
        proof = prove(recording, log, chunk)
        residues.faults += [f"seed {seed}: {fault}" for fault in proof.faults]
        ends = {follower.reader.ring: follower.reader for follower in followers}
        for ledger in recording.rings:
            complete = ledger.recorded - ledger.in_flight
            reader = ends[ledger.ring]
            residues.readers[reader.delivered + reader.lost - complete] += 1
            add(residues, ledger, complete, chunk)


def producer_path() -> Path:
    """The program that records."""
    return Path(producer.__file__)


def add(residues: Residues, ledger: RingLedger, complete: int, chunk: int) -> None:
    """Adds one ring: what its counters are ahead of the events that are complete."""
    residues.rings += 1
    residues.recorded += ledger.recorded
    residues.by_ring[ledger.recorded - complete] += 1
    counted = {counts.kind: counts.recorded for counts in ledger.per_kind}
    rounds, rest = divmod(complete, 3 * chunk)
    begun = Counter(kind_of(n, chunk) for n in range(0, rest, chunk))
    for kind in KINDS:
        partly = kind_of(rest, chunk) == kind and rest % chunk
        expected = rounds * chunk + begun[kind] * chunk - (chunk - rest % chunk if partly else 0)
        residues.by_kind[counted.get(kind, 0) - expected] += 1


def report(figures: Figures, when: str, found: Residues, allowed: int) -> None:
    """Prints the figures of one sort of round."""
    for fault in found.faults:
        print(fault)
    target = f"<= {allowed}" if allowed else "0"
    what = f"{found.rings} rings, {found.recorded:,} events"
    for name, counts in (("per ring", found.by_ring), ("per ring and kind", found.by_kind)):
        worst = max(counts, key=abs, default=0)
        figures.line(
            f"T42 ledger residue {when}, {name}",
            target,
            f"{worst} ({counts.total() - counts[0]} not 0) of {what}",
            0 <= worst <= allowed and found.rings > 0,
        )
    worst = max(found.readers, key=abs, default=0)
    figures.line(
        f"T42 delivered + lost - complete, {when}, by attached readers",
        "0",
        f"{worst} of {what}",
        worst == 0,
    )
    figures.line(
        f"T42 rings that contradict the producer's own log, {when}",
        "0",
        str(len(found.faults)),
        not found.faults,
    )


if __name__ == "__main__":
    sys.exit(main())
