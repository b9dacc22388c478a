"""Daemon threads that record and read while the interpreter ends: the process ends as it would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# What each thread does over and over; every one runs Python code, or waits for the GIL, inside us.
LOOPS = {
    "attributes": 'collector.record_now("a", "b", attributes={"o": Slow(), "p": Slow()})',
    "fields": "numbers(Slow(), Slow())",
    "last references": 'collector.record_now("a", "b", attributes=Made())',
    "declarations": 'whence.kind("numbers", component="c", rationale=Slow().__str__())',
    "queries": "collector.query()",
    "exports": "collector.export_json(f'{os.environ[\"WHENCE_DIR\"]}/out.json')",
}

PROGRAM = """
import os, random, sys, threading, time
import whence

def busy():
    for n in range(150):
        n * n

class Slow:
    def __str__(self):
        busy()
        return "x"
    def __float__(self):
        busy()
        return 1.0
    __del__ = __str__

class Made(dict):
    def items(self):
        return [(name, Slow()) for name in "abc"]

collector = whence.TraceCollector(2000)
numbers = whence.kind("numbers", component="c", a=float, b=float)
for n in range(2000):
    collector.record_now("a", "b", "some text")

started = threading.Barrier(3)

def loop():
    started.wait()
    while True:
        {loop}

for _ in range(2):
    threading.Thread(target=loop, daemon=True).start()
started.wait()
time.sleep(random.random() * 0.02)  # ends at any place of the loop
"""


@pytest.mark.parametrize("what", LOOPS)
def test_no_daemon_thread_makes_the_end_of_a_program_a_crash(what: str, tmp_path: Path) -> None:
    """A thread that is ended inside a call of ours, without the GIL, touches no object. R0.2 P1"""
    program = PROGRAM.replace("{loop}", LOOPS[what])
    environment = {**os.environ, "WHENCE_DIR": str(tmp_path)}
    running = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=-1, text=True)
        for _ in range(5)
    ]
    for process in running:
        said = process.communicate(timeout=60)[1]
        assert process.returncode == 0, (process.returncode, said)
