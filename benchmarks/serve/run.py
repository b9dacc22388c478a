"""Measures `whence serve`: its memory and CPU at rest, and requests beside their sizes."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks.figure import Target
from benchmarks.run import machine

__all__ = ["main"]

TARGETS = {"T36 memory": Target(150, 100), "T36 CPU": Target(1, 0.3)}
SETTLE_S = 3.0
CLIENTS = 4


class Latencies(NamedTuple):
    """What one sort of request took, in milliseconds, and how many there were a second."""

    name: str
    sent_bytes: int
    answer_bytes: int
    each_ms: Sequence[float]
    a_second: float

    def __str__(self) -> str:
        p50, p99 = (statistics.quantiles(self.each_ms, n=100)[at] for at in (49, 98))
        return (
            f"{self.name:34} {self.sent_bytes:>7,} {self.answer_bytes:>9,} "
            f"{self.a_second:>8,.0f} {p50:>8.1f} {p99:>8.1f}"
        )


class Server:
    """A `whence serve` of its own."""

    def __init__(self, folder: Path) -> None:
        env = {**os.environ, "WHENCE_DIR": str(folder / "whence")}
        command = [sys.executable, "-m", "whence", "serve", str(folder / "traces"), "--port", "0"]
        self.process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
        self.address = self._word(r" at http://(\S+)/api/v1")
        self.token = self._word(r"token, shown this once: (\S+)")
        self._watched = psutil.Process(self.process.pid)

    def _word(self, pattern: str) -> str:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := re.search(pattern, line):
                return found[1]
        raise SystemExit("whence serve did not start")

    @property
    def megabytes(self) -> float:
        """Its resident memory, pages of libraries included."""
        return float(self._watched.memory_info().rss) / 2**20

    def cpu_share(self, seconds: float) -> float:
        """How much of a core it takes, in per cent."""
        return float(self._watched.cpu_percent(seconds))

    def end(self) -> None:
        """Ends it in order."""
        self.process.terminate()
        self.process.communicate(timeout=30)


class Asker:
    """One client on one connection."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection(server.address, timeout=60)
        self._headers = {
            "Authorization": f"Bearer {server.token}", "Content-Type": "application/json"
        }  # fmt: skip

    def ask(self, method: str, path: str, value: Any = None) -> bytes:
        """The body of an answer that is no problem."""
        body = None if value is None else json.dumps(value).encode()
        self._connection.request(method, f"/api/v1{path}", body, self._headers)
        response = self._connection.getresponse()
        found = response.read()
        if response.status >= 300:
            raise SystemExit(f"{method} {path}: {response.status} {found[:200]!r}")
        return found


Request = Callable[[Asker], tuple[int, bytes]]


def measured(server: Server, name: str, request: Request, count: int) -> Latencies:
    """So many requests of several clients, each one after the other."""
    each_ms: list[float] = []
    sizes: list[tuple[int, int]] = []

    def run() -> None:
        asker = Asker(server)
        for _ in range(count // CLIENTS):
            began = time.perf_counter()
            sent, answer = request(asker)
            each_ms.append((time.perf_counter() - began) * 1e3)
            sizes.append((sent, len(answer)))

    threads = [threading.Thread(target=run) for _ in range(CLIENTS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    sent, answered = (round(statistics.mean(each)) for each in zip(*sizes, strict=True))
    return Latencies(name, sent, answered, each_ms, len(each_ms) / seconds)


def requests(server: Server, count: int) -> Iterator[Latencies]:
    """Creating, recording, getting and querying."""
    first = Asker(server)
    trace = json.loads(first.ask("POST", "/traces", {"name": "measured"}))["trace_id"]
    new = {"name": "Release", "trace_type": "workflow_execution", "metadata": {"plan": [1, 2]}}
    step = {
        "event_type": "stage_completed", "message": "Built for 3 platforms, none of them new",
        "data": {"stage": "build", "platforms": 3, "seconds": 8.4}, "duration_ms": 8400,
    }  # fmt: skip
    batch = {"events": [step] * 100}

    def post(path: str, value: Any) -> Request:
        size = len(json.dumps(value))
        return lambda asker: (size, asker.ask("POST", path, value))

    def get(path: str) -> Request:
        return lambda asker: (0, asker.ask("GET", path))

    yield measured(server, "create a trace, durable", post("/traces", new), count)
    path = f"/traces/{trace}/events"
    yield measured(server, "record an event, durable", post(path, step), count)
    yield measured(server, "record 100 events, durable", post(f"{path}/batch", batch), count // 10)
    yield measured(server, "health", get("/healthz"), count)
    yield measured(server, "get a trace, 10 events", get(f"/traces/{trace}?events=10"), count)
    yield measured(server, "get a trace, 1,000 events", get(f"/traces/{trace}?events=1000"), count)
    yield measured(server, "query 20 traces", get("/traces?limit=20&status=active"), count)
    yield measured(server, "query 100 events", get("/events?limit=100"), count)


def main() -> int:
    """`python -m benchmarks.serve.run`; 1 when a target is missed. R5.27"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=400, help="requests of each sort")
    parser.add_argument("--idle", type=float, default=20.0, help="seconds at rest")
    options = parser.parse_args()
    for line in machine():
        print(line)
    missed = False
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as kept:
        server = Server(Path(name))
        kept.callback(server.end)
        time.sleep(SETTLE_S)
        print(f"\n{'at rest':34} {'result':>10} {'must':>6} {'aim':>6}  verdict")
        cpu = server.cpu_share(options.idle)
        for figure, value, unit in (
            ("T36 memory", server.megabytes, "MB"),
            ("T36 CPU", cpu, "%"),
        ):
            target = TARGETS[figure]
            verdict = target.verdict(value)
            missed |= verdict == "MISSED"
            shown = f"{value:.2f} {unit}"
            print(f"{figure:34} {shown:>10} {target.must:>6} {target.aim:>6}  {verdict}")
        print(
            f"\n{f'request, {CLIENTS} clients':34} {'sent B':>7} {'answer B':>9} {'a second':>8} "
            f"{'p50 ms':>8} {'p99 ms':>8}"
        )
        for found in requests(server, options.count):
            print(found, flush=True)
        time.sleep(SETTLE_S)
        print(f"\nmemory after all that: {server.megabytes:.1f} MB")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
