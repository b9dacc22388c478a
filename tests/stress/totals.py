"""Many threads record a known number of sampled events each: the totals are exact, or it fails.

usage: totals.py [SECONDS] [--threads N] [--events N]
By default 100 threads of a million events each, however long that takes; SECONDS has no effect.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

__all__ = ["totals"]

OUTCOMES = ("recorded", "sampled_out", "below_minimum", "rejected", "nested", "throttled")


def main() -> int:
    """Prints the totals; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float)
    parser.add_argument("--threads", type=int, default=100)
    parser.add_argument("--events", type=int, default=1_000_000)
    wanted = parser.parse_args()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as base:
        os.environ["WHENCE_DIR"] = base
        found, called = totals(wanted.threads, wanted.events)
    for kind, counts in found.items():
        print(kind, *(f"{name} {counts[name]:,}" for name in OUTCOMES if counts[name]))
    exact = all(sum(counts.values()) == called for counts in found.values())
    print(f"{called:,} calls of each kind: {'exact' if exact else 'NOT EXACT'}")
    return 0 if exact else 1


def totals(threads: int, events: int) -> tuple[dict[str, dict[str, int]], int]:
    """The outcomes by kind, summed over all rings, and how often each kind was called."""
    import whence

    plain = whence.kind("totals_plain", component="Totals", n=int)
    sampled = whence.kind("totals_sampled", component="Totals", n=int, strength=float)
    strong = whence.kind("totals_strong", component="Totals", n=int, strength=float)
    sampled.enable(0.1)
    strong.enable(min_strength=0.5)

    def work() -> None:
        for n in range(events):
            plain(n)
            sampled(n, 0.5)
            strong(n, n % 10 / 10)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = {k.name: dict.fromkeys(OUTCOMES, 0) for k in (plain, sampled, strong)}
    for ring in whence.collector().recording().rings:
        for row in ring.per_kind:
            if row.kind in found:
                for name in OUTCOMES:
                    found[row.kind][name] += getattr(row, name)
    return found, threads * events


if __name__ == "__main__":
    sys.exit(main())
