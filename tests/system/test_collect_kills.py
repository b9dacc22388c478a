"""A collector killed at any instant loses nothing uncounted and doubles nothing in files."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.apps import AppRun
from whence.collect.sessions import read_recording
from whence.ring.folders import session_folders

STRESS = bool(os.environ.get("WHENCE_STRESS"))
KILLS = 67 if STRESS else 8  # in each of three tests: 201 with stress
pytestmark = pytest.mark.timeout(1_800 if STRESS else 120)
ENOUGH_SLOTS = 1_000_000 if STRESS else 200_000  # for what is recorded meanwhile

PRODUCER = """
    import sys, threading, whence
    whence.start(ring_slots=int(sys.argv[1]))
    tick = whence.kind("tick", component="X", n=int, thread=int, text=str)
    over = threading.Event()

    def record(thread):
        n = 0
        while not over.wait(0.004):
            for n in range(n, n + 10):
                tick(n, thread, "x" * (n % 90))
            n += 1

    threads = [threading.Thread(target=record, args=(t,)) for t in range(2)]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
"""


def collect(base: Path, *arguments: str) -> subprocess.Popen[str]:
    """A collector of these sessions."""
    command = [sys.executable, "-m", "whence", "collect", "--keep", "--json", *arguments]
    environment = {**os.environ, "WHENCE_DIR": str(base)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The events in a file."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in data.splitlines()]


def killed_and_continued(
    base: Path, out: Path, slots: int, seed: int
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The events in the file, and the sink's ledger, after many kills and a last whole run."""
    producer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PRODUCER), str(slots)],
        env={**os.environ, "WHENCE_DIR": str(base)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    chance = random.Random(seed)
    arguments = ("--to", str(out), "--interval", "1ms", "--batch", "100")
    try:
        assert producer.stdout is not None
        producer.stdout.readline()
        for _ in range(KILLS):
            collector = collect(base, *arguments)
            grown = out.stat().st_size if out.exists() else 0
            while collector.poll() is None:  # at work, then a moment more
                if out.exists() and out.stat().st_size > grown:
                    break
            try:
                collector.wait(chance.random() * 0.2)
            except subprocess.TimeoutExpired:
                collector.send_signal(signal.SIGKILL)
            assert collector.wait(60) == -signal.SIGKILL
            assert collector.stdout is not None
            collector.stdout.close()
    finally:
        producer.communicate("")
    last = collect(base, *arguments, "--once")
    told = json.loads(last.communicate(timeout=60)[0])
    assert last.returncode == 0
    (ledger,) = told["sinks"]
    assert ledger["closes"]
    return lines_of(out), ledger


@pytest.mark.parametrize("name", ["out.ndjson", "out.ndjson.gz"])
def test_a_killed_collector_goes_on_where_it_was(base: Path, name: str) -> None:
    """Every event is in the file exactly once, and the ledger says so. R1.39 R1.40 R1.47"""
    events, ledger = killed_and_continued(base, base / name, ENOUGH_SLOTS, seed=len(name))
    recording = read_recording(list(session_folders(base)))
    recorded = {event.event_id for event in recording.events}
    assert sum(ring.lost for ring in recording.rings) == 0
    times = Counter(event["event_id"] for event in events)
    assert set(times) == recorded
    assert max(times.values()) == 1
    assert ledger["lost"] == 0
    assert ledger["delivered"] == ledger["read"] == len(recorded)


def test_what_is_overwritten_while_no_collector_runs_is_counted(base: Path) -> None:
    """No event is doubled; each that is not in the file is counted as lost. R1.39 R5.10"""
    events, ledger = killed_and_continued(base, base / "out.ndjson", 300, seed=4)
    recording = read_recording(list(session_folders(base)))
    recorded = sum(ring.recorded for ring in recording.rings)
    times = Counter(event["event_id"] for event in events)
    assert max(times.values()) == 1
    assert len(events) < recorded
    assert ledger["read"] + ledger["lost"] == recorded
    # what was written, not acknowledged, and then overwritten is found in the file
    assert ledger["delivered"] == len(events)


EACH_STEP = """
    import os, sys, whence
    from pathlib import Path
    from click.testing import CliRunner
    from whence.cli.main import cli
    whence.start(ring_slots=64)
    tick = whence.kind("tick", component="X", n=int, text=str)
    out = str(Path(__file__).with_name("NAME"))
    words = ["collect", "--once", "--keep", "--json", "--to", out, "--batch", "10"]

    def dying(call, name, left):
        def run(*args):
            left[0] -= 1
            if left[0] == 0:
                if name == "pwrite":
                    call(args[0], args[1][: len(args[1]) // 2], *args[2:])
                os._exit(9)
            result = call(*args)
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)
            return result
        return run

    def collect(dies_at):
        child = os.fork()
        if child == 0:
            left = [dies_at]
            for name in ("pwrite", "fdatasync", "fsync", "replace", "ftruncate"):
                setattr(os, name, dying(getattr(os, name), name, left))
            done = CliRunner().invoke(cli, words)
            print(done.output if dies_at == 0 else "", end="", flush=True)
            os._exit(done.exit_code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    killed = 0
    for dies_at in range(1, 70):
        for n in range(MORE):
            tick(n, "x" * n)
        killed += collect(dies_at) == 9
    assert killed > 25, killed
    assert collect(0) == 0
"""


@pytest.mark.parametrize(
    ("name", "more"), [("out.ndjson", 31), ("out.ndjson", 90), ("out.ndjson.gz", 63)]
)
def test_a_kill_at_each_step_of_a_delivery_is_made_good(
    run_app: Callable[..., AppRun], tmp_path: Path, name: str, more: int
) -> None:
    """Torn write, sync, save, rename: what is in the file is what was delivered. R1.39 R5.10"""
    run = run_app(EACH_STEP.replace("NAME", name).replace("MORE", str(more)))
    (ledger,) = json.loads(run.stdout)["sinks"]
    times = Counter(event["event_id"] for event in lines_of(next(tmp_path.rglob(name))))
    (ring,) = run.recording().rings
    assert ledger["closes"]
    assert max(times.values()) == 1
    assert ledger["delivered"] == ledger["read"] == len(times)
    assert ledger["read"] + ledger["lost"] == ring.recorded == 69 * more
    assert ledger["lost"] > 0
