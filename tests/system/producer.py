"""Records events that prove themselves as fast as it can, and logs its progress on the side.

usage: producer.py LOG THREADS CHUNK RING_SLOTS TEXT_BYTES

Thread t's n-th event is the n-th ticket of its ring. LOG is a file of two unsigned 64-bit words a
thread, mapped, so that they outlive a kill: how many events were begun, how many are done.
"""

from __future__ import annotations

import mmap
import sys
import threading
from collections import deque
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from typing import Any

__all__ = ["KINDS", "kind_of", "label_of", "mix", "request_of", "text_of"]

KINDS = ("tick", "note", "step")
LABELS = ("ocr_det", "ocr_rec", "page_layout", "x" * 64)
PERIOD = 4093  # contents recur after so many events: longer than a ring, so that a lap shows
MASK = (1 << 64) - 1


def mix(thread: int, n: int) -> int:
    """A number that proves a thread's n-th event."""
    value = (n % PERIOD * 0x9E3779B97F4A7C15 ^ thread * 0xC2B2AE3D27D4EB4F) & MASK
    return value ^ value >> 29


def text_of(thread: int, n: int) -> str:
    """The text of that event: its proof, and a tail of up to 210 letters, or 5,000 now and then."""
    place = n % PERIOD
    tail = place * 7 % 211 if place % 5 else place * 131 % 5003
    return f"{thread}/{place}/{mix(thread, n):x}/" + "é" * tail


def label_of(n: int) -> str:
    """One of a few names."""
    return LABELS[n % PERIOD % 4]


def request_of(thread: int, n: int) -> str:
    """The request of that event: an id too long for a slot."""
    return f"request-{thread}-{n % PERIOD:012d}"


def kind_of(n: int, chunk: int) -> str:
    """The kind of a thread's n-th event: each chunk has one."""
    return KINDS[n // chunk % 3]


def main(log_path: str, threads: int, chunk: int, ring_slots: int, text_bytes: int) -> None:
    """Records until it is killed, or until its input ends."""
    import whence

    whence.start(ring_slots=ring_slots, text_bytes=text_bytes)
    with Path(log_path).open("r+b") as file:
        log = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")
    over = threading.Event()
    emitters = declare(whence)
    columns = [contents(thread, chunk) for thread in range(threads)]

    def record(thread: int) -> None:
        begin = 0
        while not over.is_set():
            kind = kind_of(begin, chunk)
            at = begin % PERIOD
            values = [column[at : at + chunk] for column in columns[thread][kind]]
            ns = range(begin, begin + chunk)
            begin += chunk
            log[2 * thread] = begin
            deque(map(emitters[kind], ns, repeat(thread), *values), maxlen=0)
            log[2 * thread + 1] = begin

    workers = [threading.Thread(target=record, args=(thread,)) for thread in range(threads)]
    sys.setswitchinterval(1e-4)
    print("ready", flush=True)
    for worker in workers:
        worker.start()
    sys.stdin.read()
    over.set()
    for worker in workers:
        worker.join()


def declare(whence: Any) -> dict[str, Callable[..., None]]:
    """The kinds' emitters: numbers alone, text, and names with a long request."""
    common = {"component": "stress", "n": int, "thread": whence.U8}
    tick = whence.kind("tick", **common, check=whence.U64)
    note = whence.kind("note", **common, text=str)
    step = whence.kind(
        "step",
        **common,
        rationale="{label} at {n}",
        check=whence.U64,
        label=str,
        request_id=str,
    )
    return {"tick": tick.emit, "note": note.emit, "step": step.emit}


def contents(thread: int, chunk: int) -> dict[str, list[list[Any]]]:
    """Each kind's columns, made beforehand: a kill shall find us recording."""
    ns = range(PERIOD + chunk)
    checks = [mix(thread, n) for n in ns]
    return {
        "tick": [checks],
        "note": [[text_of(thread, n) for n in ns]],
        "step": [checks, [label_of(n) for n in ns], [request_of(thread, n) for n in ns]],
    }


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
