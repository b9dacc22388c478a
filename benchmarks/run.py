"""Runs every benchmark and prints each figure beside its target."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["machine", "main", "pinned"]


def main() -> int:
    """`python -m benchmarks.run [--only T1 ...]`; exit code 1 when a target is missed. R5.27"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="figures whose names begin so")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as base, pinned():
        os.environ["WHENCE_DIR"] = base
        for line in machine():
            print(line)
        missed = _report(options.only)
    return 1 if missed else 0


def _report(only: list[str]) -> bool:
    from benchmarks import absolute, collect, emit, lineage, memory, otlp, peers, program, read
    from benchmarks.figure import TARGETS, verdict

    print(f"\n{'figure':14} {'result':>7} {'95 % interval':>15} {'must':>6} {'aim':>6}  verdict")
    missed = False
    # The peers come last: some leave the interpreter slower than they found it.
    rooms = (emit, lineage, read, otlp, peers)
    for measure in (measure for room in rooms for measure in room.measures()):
        if only and not measure.name.startswith(tuple(only)):
            continue
        target = TARGETS[measure.name]
        try:
            ratio = measure.take()
        except ImportError as missing:
            print(f"{measure.name:14} SKIPPED: {missing.name} is not installed", flush=True)
            continue
        judged = verdict(measure.name, ratio)
        interval = f"{ratio.low:.2f}-{ratio.high:.2f}"
        print(
            f"{measure.name:14} {ratio.median:7.2f} {interval:>15} {target.must:6} {target.aim:6}"
            f"  {judged:7} null {ratio.null:.3f}  {measure.compared}"
            f"  ({ratio.subject_ns:,.1f} / {ratio.baseline_ns:,.1f} ns)",
            flush=True,
        )
        missed |= judged == "MISSED"
    if not only:
        print("\nfor the record")
        for room in (absolute, lineage, memory, collect, program):
            for what, target_text, result in room.lines():
                print(f"  {result:>24}  ({target_text})  {what}", flush=True)
    return missed


def machine() -> Iterator[str]:
    """Lines that say on what the figures were taken."""
    model = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if "model name" in line),
        "?",
    )
    clock = "".join(_lines("/sys/devices/system/clocksource/clocksource0/current_clocksource"))
    yield f"cpu      {model}, {os.cpu_count()} cores, on {sorted(os.sched_getaffinity(0))}"
    yield f"clock    {clock.strip()}"
    yield f"python   {platform.python_version()} {platform.python_compiler()}"
    yield f"load     {os.getloadavg()[0]:.2f} at the start"
    yield f"kernel   {platform.release()}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


@contextlib.contextmanager
def pinned() -> Iterator[None]:
    """Meanwhile on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _memory_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


if __name__ == "__main__":
    sys.exit(main())
