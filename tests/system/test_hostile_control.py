"""A control page that a hostile hand scribbles over changes what is recorded, and nothing else."""

from __future__ import annotations

import mmap
import random
import subprocess
import sys
import textwrap
from pathlib import Path

from tests.system.host import until
from whence.collect.gates import change_gates, read_gates
from whence.collect.sessions import read_recording
from whence.model.errors import WhenceError
from whence.ring import layout
from whence.ring.folders import session_folders

PRODUCER = """
    import sys, threading, whence
    numbers = whence.kind("numbers", component="A", a=int, strength=float)
    texts = whence.kind("texts", component="A", text=str, strength=whence.F32)
    choose = whence.kind("choose", component="A", decision=True, rationale="Took {n}", n=int)
    calls, stop = [0] * 4, threading.Event()
    collector = whence.TraceCollector(buffer_size=100)
    def work(thread):
        n = 0
        while not stop.is_set():
            n += 1
            with whence.request(f"request {thread} {n}"):
                numbers(n, n / 7)
                texts("some text that is recorded", n / 3)
                choose(n)
            collector.record_now("loose", "A", "why")
            if n % 500 == 0:
                whence.kind(f"late-{thread}-{n // 500 % 20}", component="A")()
            calls[thread] += 1
    whence.start()
    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    print("recording", flush=True)
    sys.stdin.readline()
    stop.set()
    for thread in threads:
        thread.join()
    print(sum(calls), flush=True)
    sys.stdin.readline()
    for n in range(50):
        numbers(n, 1.0)
"""


def test_a_scribbled_page_harms_no_producer(tmp_path: Path, whence_dir: Path) -> None:
    """R1.52 R1.34 Threads record, declare and are steered meanwhile; every ledger still closes."""
    script = tmp_path / "app.py"
    script.write_text(textwrap.dedent(PRODUCER), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "recording\n"
        (folder,) = session_folders(whence_dir)
        until(lambda: len(list(folder.glob("ring-*"))) >= 5, "five rings")
        with open(folder / "control", "r+b") as file, mmap.mmap(file.fileno(), 0) as page:
            whole = bytes(page)
            scribble(page, folder, random.Random(52))
            process.stdin.write("\n")
            process.stdin.flush()
            loops = int(process.stdout.readline())
            page[:] = whole
        change_gates(folder, {"numbers": 1})
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    recording = read_recording([folder])
    assert not recording.damage
    assert all(ring.closes for ring in recording.rings)
    counts = [row for ring in recording.rings for row in ring.per_kind]
    called = {name: sum(r.called for r in counts if r.kind == name) for name in ("texts", "choose")}
    assert all(0 < number <= loops for number in called.values())
    assert sum(row.rejected + row.nested for row in counts) == 0
    assert all(e.weight == 1 for e in recording.events if e.event_type == "choose")
    last = [e for e in recording.events if e.event_type == "numbers" and not e.request_id]
    assert len(last) == 50


def scribble(page: mmap.mmap, folder: Path, rng: random.Random) -> None:
    """Writes noise all over the page, above all where gates and rules are, and reads it back."""
    for step in range(4000):
        choice = rng.random()
        if choice < 0.5:
            at = layout.GATES_OFFSET + rng.randrange(1, 100) * 8
            page[at : at + 8] = rng.choice(
                [rng.randbytes(8), b"\xff" * 8, bytes(8), rng.randrange(4).to_bytes(8, "little")]
            )
        elif choice < 0.8:
            at = layout.RULES_OFFSET + rng.randrange(layout.RULE_COUNT * 16) * 8
            page[at : at + 8] = rng.randbytes(8)
        else:
            at = rng.randrange(len(page))
            page[at] = rng.randrange(256)
        if step % 100 == 0:
            try:
                change_gates(folder, {f"late-0-{rng.randrange(20)}": rng.getrandbits(64) | 1})
                read_gates(folder)
            except (WhenceError, ValueError):
                page[: layout.GATES_OFFSET] = _header(folder)


def _header(folder: Path) -> bytes:
    """The header as it was made, so that the page is taken for the session's own again."""
    from whence.ring.session_file import read_session_file

    uuid = bytes.fromhex(read_session_file(folder).uuid.replace("-", ""))
    header = layout.SMALL_HEADER.pack(
        layout.CONTROL_MAGIC, layout.ENDIAN_MARK, 1, 1, layout.CONTROL_BYTES, uuid
    )
    return header.ljust(layout.GATES_OFFSET, b"\0")
