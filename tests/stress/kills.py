"""Kills programs at random instants while they record: figure T40.

usage: kills.py [SECONDS] [--kills N] [--seed N]
It goes on until it has killed N programs and SECONDS have passed.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.system.figures import Figures
from tests.system.kills import Kill, kill_once


def main() -> int:
    """Prints the figures; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=0.0)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1_000_000)
    wanted = parser.parse_args()
    end = time.monotonic() + wanted.seconds
    kills: list[Kill] = []
    while len(kills) < wanted.kills or time.monotonic() < end:
        kills.append(kill_once(wanted.seed + len(kills)))
        for fault in kills[-1].proof.faults:
            print(f"{kills[-1].setup}: {fault}")
    return report(kills)


def report(kills: list[Kill]) -> int:
    """Prints what was found."""
    figures = Figures()
    rings = sum(kill.proof.rings for kill in kills)
    events = sum(kill.proof.events for kill in kills)
    bad = sum(1 for kill in kills if kill.proof.faults)
    in_flight = sum(kill.proof.in_flight for kill in kills)
    busy = sum(kill.proof.busy for kill in kills)
    what = f"{len(kills):,} kills, {rings:,} rings, {events:,} events"
    figures.line(
        "T40 kill -9: programs with a gap, a bad slot or a wrong count",
        f"0 of {len(kills):,}",
        f"{bad} of {what}",
        bad == 0,
    )
    figures.line(
        "T40 in-flight events per thread and kill",
        "<= 1",
        f"{in_flight} in {rings:,} rings, {busy} slots half-written",
        bad == 0 and in_flight <= rings,
    )
    live = sum(kill.live for kill in kills)
    figures.line("P10 dead sessions that look alive", "0", str(live), live == 0)
    laps = sum(kill.proof.laps for kill in kills)
    lost = sum(kill.proof.text_lost for kill in kills)
    print(f"     ({laps:,} rings had wrapped; {lost:,} events had lost their text, and said so)")
    return figures.status


if __name__ == "__main__":
    sys.exit(main())
