"""What reading costs: T20 draining, T23 JSON, T26 recovering, T11 being read meanwhile."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

import whence
from benchmarks.emit import REQUEST, bench_numbers
from benchmarks.figure import Measure
from benchmarks.ratio import Call, Ratio, Timer, compare_functions
from whence import _native
from whence.collect.local import local_session
from whence.collect.session_reader import SessionReader
from whence.model.recording import SessionInfo

__all__ = ["EVENTS", "measures", "median_of", "own_ring"]

EVENTS = 10_000
RECOVERED_BYTES = 1 << 30


@whence.kind(component="Scheduler", decision=True, rationale="Selected {model}: {slack_ns:ns} left")
def read_decision(model: str, slack_ns: int, utilisation: float) -> None:
    """A decision such as programs record."""


def measures() -> Iterator[Measure]:
    """T11, T20, T23 and T26."""
    yield Measure("T20", "10,000 slots -> columns / memcpy of the same bytes", _drain)
    yield Measure("T23", "10,000 events from slots to JSON / orjson.dumps of ready dicts", _json)
    yield Measure("T26", "1 GiB session -> validated columns / pread of its files", _recover)
    yield Measure("T11", "kind.emit while another process reads / while nobody does", _attached)


def _drain() -> Ratio:
    for i in range(EVENTS):
        bench_numbers(i, i, 0.5)
    reader, catalogue, session = own_ring()
    source = ctypes.create_string_buffer(EVENTS * 64)
    target = ctypes.create_string_buffer(EVENTS * 64)
    batch = _native.Batch()  # both sides write into memory they have: so does a collector's loop

    def drain() -> float:
        reader.seek(reader.next_ticket - EVENTS)
        batch.clear()
        begin = time.perf_counter_ns()
        count = batch.drain(reader, catalogue, session.name, session.key)
        cost = time.perf_counter_ns() - begin
        assert count == EVENTS, f"drained {count}"
        return cost

    def copy() -> float:
        begin = time.perf_counter_ns()
        ctypes.memmove(target, source, EVENTS * 64)
        return time.perf_counter_ns() - begin

    return compare_functions(median_of(drain, 20), median_of(copy, 20))


def _json() -> Ratio:
    with whence.request(REQUEST):
        for i in range(EVENTS):
            read_decision("ocr_rec", 8_000_000 + i, 0.5 + i / 1e5)
    reader, catalogue, session = own_ring()

    def ours() -> float:
        reader.seek(reader.next_ticket - EVENTS)
        batch = _native.Batch()
        begin = time.perf_counter_ns()
        batch.drain(reader, catalogue, session.name, session.key)
        chunks = batch.json()
        cost = time.perf_counter_ns() - begin
        assert sum(map(len, chunks)) > EVENTS * 300
        return cost

    batch = _native.Batch()
    reader.seek(reader.next_ticket - EVENTS)
    batch.drain(reader, catalogue, session.name, session.key)
    ready = json.loads(b"[" + b"".join(batch.json()) + b"]")
    assert ready[-1]["rationale"] == "Selected ocr_rec: 8 ms left"

    def peer() -> float:
        begin = time.perf_counter_ns()
        orjson.dumps(ready)
        return time.perf_counter_ns() - begin

    return compare_functions(median_of(ours, 5), median_of(peer, 5))


def _recover() -> Ratio:
    """A dead session of one ring of 1 GiB, in shared memory."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as base:
        slots = RECOVERED_BYTES // 64
        program = f"""
import whence
whence.start(ring_slots={slots})
tick = whence.kind("tick", component="bench", n=int, m=int)
emit = tick.emit
for i in range({slots}):
    emit(i, i)
"""
        _run(program, base)
        (folder,) = [path for path in Path(base).iterdir() if path.is_dir()]
        ring = folder / "ring-00000"
        buffer = bytearray(ring.stat().st_size)

        def recover() -> float:
            begin = time.perf_counter_ns()
            batch = SessionReader(folder).drain()
            cost = time.perf_counter_ns() - begin
            assert len(batch) == slots
            return cost

        def read() -> float:
            begin = time.perf_counter_ns()
            with open(ring, "rb", buffering=0) as file:
                got = 0
                while got < len(buffer):
                    got += os.preadv(file.fileno(), [memoryview(buffer)[got:]], got)
            return time.perf_counter_ns() - begin

        return compare_functions(recover, read, repetitions=5)


def _attached() -> Ratio:
    """A reader that polls every 10 ms, so it keeps up with a million events a second.

    It is stopped and goes on between the timings.
    """
    folder = whence.session()
    assert folder is not None and folder.path is not None
    emit = Call("emit(1, 2, 3.5)", {"emit": bench_numbers.emit}).timer()
    program = f"""
import sys, time
from pathlib import Path
from whence.collect.session_reader import SessionReader
reader = SessionReader(Path({str(folder.path)!r}))
print("ready", flush=True)
while True:
    reader.drain()
    time.sleep(0.01)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=_environment()
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"

    def read_meanwhile() -> float:
        process.send_signal(signal.SIGCONT)
        return emit()

    def alone() -> float:
        process.send_signal(signal.SIGSTOP)
        return emit()

    try:
        return compare_functions(read_meanwhile, alone)
    finally:
        process.kill()
        process.wait()


def own_ring() -> tuple[_native.RingReader, _native.Catalogue, SessionInfo]:
    """This thread's ring, drained to its end so that `next_ticket` is its newest."""
    session = local_session()
    assert session is not None
    (reader,) = [reader for reader in _native.local_rings() if not reader.shared]
    catalogue = _native.Catalogue()
    catalogue.update_local()
    _native.Batch().drain(reader, catalogue, session.name, session.key)
    return reader, catalogue, session


def median_of(timer: Timer, times: int) -> Timer:
    return lambda: statistics.median(timer() for _ in range(times))


def _run(program: str, base: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True, env=_environment(base))


def _environment(base: str | None = None) -> dict[str, str]:
    paths = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return os.environ | paths | ({"WHENCE_DIR": base} if base else {})
