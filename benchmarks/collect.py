"""What collecting costs: its CPU at 100,000 events a second, and the producer's with one inside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import whence
from benchmarks.emit import bench_numbers
from benchmarks.ratio import Call, Ratio, compare_functions

__all__ = ["lines"]

OPERATIONS = 10_000_000  # about 0.4 s
SECONDS = 5
RATE = 100_000

# Bursts of a hundred every millisecond, as programs record, half of the events with a text.
PRODUCER = """
    import sys, time, whence
    tick = whence.kind("tick", component="Bench", n=int, share=float).emit
    say = whence.kind("say", component="Bench", rationale="took {name}", name=str).emit
    rate, seconds = int(sys.argv[1]), float(sys.argv[2])
    burst, names = rate // 2000, ["ocr_rec", "ocr_det", "layout", "a name that is seldom seen"]
    begin = time.perf_counter()
    for turn in range(int(seconds * 1000)):
        for n in range(burst):
            tick(n, 0.5)
            say(names[n % 4])
        ahead = begin + (turn + 1) / 1000 - time.perf_counter()
        if ahead > 0:
            time.sleep(ahead)
    print(time.process_time())
"""


def lines() -> Iterator[tuple[str, str, str]]:
    """(what, target, result) of each; about 30 s."""
    for form in ("o.ndjson", "o.ndjson.gz"):
        share, lost, read = _collector_share(form)
        yield (
            f"whence collect --to {form}: CPU at {RATE:,} events/s, and of {read:,} lost",
            "no target",
            f"{share:.0%} of a core, {lost} lost",
        )
    ratio = _with_one_inside()
    yield (
        "typed event with a BackgroundCollector every 100 ms / without",
        "T11: must 1.2, aim 1.05",
        f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f}), null {ratio.null:.3f}",
    )


def _collector_share(form: str) -> tuple[float, int, int]:
    """CPU seconds of a collector for each second of recording, less those of its start."""
    with tempfile.TemporaryDirectory(dir=os.environ["WHENCE_DIR"]) as folder:
        base, out = Path(folder) / "sessions", Path(folder) / form
        environment = {**os.environ, "WHENCE_DIR": str(base)}
        command = [sys.executable, "-m", "whence", "collect", "--keep", "--json", "--to", str(out)]
        idle, _ = _cpu_of(subprocess.Popen([*command, "--once"], env=environment, stdout=-1))
        for state in base.glob("*.state"):
            state.unlink()
        producer = [sys.executable, "-c", textwrap.dedent(PRODUCER), str(RATE), str(SECONDS)]
        collector = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        while not list(base.glob("*.state")):  # it is at work
            time.sleep(0.01)
        subprocess.run(producer, env=environment, check=True, capture_output=True)
        collector.send_signal(signal.SIGINT)
        used, told = _cpu_of(collector)
        (sink,) = json.loads(told)["sinks"]
        assert sink["read"] + sink["lost"] == SECONDS * RATE
        return (used - idle) / SECONDS, sink["lost"], sink["read"]


def _cpu_of(process: subprocess.Popen[bytes]) -> tuple[float, bytes]:
    """The CPU seconds of a process that is about to end, and what it says."""
    assert process.stdout is not None
    told = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime, told


def _with_one_inside() -> Ratio:
    """Each side over several of its intervals: not what it does once, when it starts."""
    plain = Call("emit(1, 2, 0.5)", {"emit": bench_numbers.emit}).timer(OPERATIONS)
    with tempfile.TemporaryDirectory(dir=os.environ["WHENCE_DIR"]) as folder:
        out = str(Path(folder) / "o.ndjson")

        def collected() -> float:
            with whence.BackgroundCollector(to=[out], interval_ms=100, grace_s=0.0):
                return plain()

        return compare_functions(collected, plain, 9)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir="/dev/shm") as base:
        os.environ["WHENCE_DIR"] = base
        for what, target, result in lines():
            print(f"  {result:>40}  ({target})  {what}")
