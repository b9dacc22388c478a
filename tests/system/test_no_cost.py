"""What recording does not cost: system calls, allocations, memory beyond its bound, files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.host import DEADLINE_S, environment, python, read, sessions
from whence.ring.folders import ring_files

# Every way to record that is meant for hot loops, over rows of (n, x, name, text, request).
SETUP = """
    import whence

    numbers = whence.kind("numbers", component="cost", n=int, x=float, on=bool)
    narrow = whence.kind("narrow", component="cost", n=whence.U32, x=whence.F32, small=whence.U8)
    named = whence.kind("named", component="cost", n=int, model=str)
    texts = whence.kind("texts", component="cost", n=int, text=str, more=str)
    maybe = whence.kind("maybe", component="cost", n=int | None, text=str | None, x=float)
    wide = whence.kind("wide", component="cost", **{f"f{n}": int for n in range(20)})
    @whence.kind(component="cost", decision=True, rationale="{model} at {n:ns}")
    def chosen(n: int, model: str, request_id: str, caused_by: str, lineage_id: int,
               severity: whence.Severity, duration_ns: int) -> None: ...
    idle = whence.kind("idle", component="cost", n=int)
    idle.disable()
    sampled = whence.kind("sampled", component="cost", n=int, strength=float)
    sampled.enable(0.3, min_strength=100.0)
    tracer = whence.CognitiveTracer(whence.TracingConfig.development())
    error = whence.Severity.Error
    collector = whence.TraceCollector(500)
    rows = [(10**6 + n, n / 3, ("ocr_det", "ocr_rec")[n % 2],
             f"a text that no dictionary holds, number {n}, and some more of it",
             f"a request whose name does not fit into a slot, number {n}") for n in range(3000)]
    whence.start()
"""

CALLS = {
    "numbers, by the kind": "numbers(n, x, True)",
    "numbers, by its emitter": "numbers.emit(n, x, False)",
    "numbers, by keyword": "numbers(n=n, x=x, on=True)",
    "narrow numbers": "narrow.emit(77, x, 7)",
    "a name": "named.emit(n, name)",
    "two texts": "texts.emit(n, text, request)",
    "text beyond ASCII": "texts.emit(n, 'schöne Wörter, mehr als sechzig Bytes, auch →→→→', text)",
    "nothing where something may be": "maybe.emit(None, None, x)",
    "twenty numbers": "wide.emit(" + ", ".join(["n"] * 20) + ")",
    "a decision with all it knows": ("chosen.emit(n, name, request, text, n, error, n)"),
    "record_now": "collector.record_now('said', 'cost', text)",
    "record_now in a request": "collector.record_now('said', 'cost', text, request_id=request)",
    "record_now with a model": (
        "collector.record_now('said', 'cost', text, model_id=name, severity=error)"
    ),
    "a kind that is off": "idle.emit(n)",
    "a kind that is sampled": "sampled.emit(n, x)",
    "a cognitive event": "tracer.trace_priming(1, x, n, 1 << 40)",
}

AMBIENT = (
    "contextlib.nullcontext()",
    "whence.request('short')",
    "whence.request('long ' * 20, decision_chain_id='step', lineage_id=7)",
)

COUNTING = """
    import contextlib, ctypes
    shim = ctypes.CDLL(None)
    def cost(record, count):
        some = rows[:count]
        with AMBIENT:
            shim.begin_counting()
            record(some)
            return shim.end_counting()
"""


@pytest.mark.parametrize("ambient", AMBIENT)
def test_recording_allocates_nothing(
    preloaded: Callable[[str], dict[str, str]], base: Path, ambient: str
) -> None:
    """Each call of malloc is counted, those for Python objects too: none per event. P1 R1.14"""
    program = SETUP + COUNTING.replace("AMBIENT", ambient)
    for number, (what, call) in enumerate(CALLS.items()):
        program += f"""
    def record_{number}(rows):
        for n, x, name, text, request in rows: {call}
    cost(record_{number}, 3000)
    print(cost(record_{number}, 2100) - cost(record_{number}, 100), {what!r})
    """
    counting = preloaded("count_allocations") | {"PYTHONMALLOC": "malloc"}
    done = python(program, base=base, settings=counting)
    assert done.stdout.splitlines() == [f"0 {what}" for what in CALLS]


def test_recording_makes_no_system_call(base: Path) -> None:
    """For longer than the clock's anchors last, whatever is recorded. P1 R0.2"""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    program = textwrap.dedent(
        SETUP
        + """
    import os, sys, time

    def record():
        for n, x, name, text, request in rows:
            """
        + "\n            ".join(CALLS.values())
        + """

    def record_for(seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with whence.request(request_id): record()

    request_id = "a request whose name does not fit into a slot"
    record_for(0.2)
    os.getppid()
    record_for(2.3)
    os.getppid()
    """
    )
    log = base / "strace"
    traced = subprocess.run(
        [strace, "-f", "-o", str(log), sys.executable, "-c", program],
        env=environment(base),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    if "ptrace" in traced.stderr:
        pytest.skip(f"no program can be traced here: {traced.stderr.splitlines()[0]}")
    assert traced.returncode == 0, traced.stderr
    lines = log.read_text().splitlines()
    first, last = (at for at, line in enumerate(lines) if "getppid()" in line)
    assert lines[first + 1 : last] == []
    assert sum(ledger.recorded for ledger in read(base).rings) > 100_000


def test_kinds_that_are_off_leave_no_trace(base: Path) -> None:
    """No slot, no count, no session: nothing was recorded. P1 R1.11"""
    python(
        SETUP.replace("whence.start()", "")
        + """
    for n in range(1000): idle(n); idle.emit(n=n)
    assert not idle
    assert whence.session() is None
    numbers(1, 1.0, True)
    for n in range(1000): idle(n)
    """,
        base=base,
    )
    (ledger,) = read(base).rings
    assert [(counts.kind, counts.called) for counts in ledger.per_kind] == [("numbers", 1)]


def test_declaring_creates_no_files_and_takes_little_memory(base: Path) -> None:
    """Eight kinds declared, nothing recorded: no folder, at most 16 KB of memory. P7 R1.12"""
    done = python(
        """
        import ctypes, gc, os, sys, whence

        class Mallinfo(ctypes.Structure):
            _fields_ = [(name, ctypes.c_size_t) for name in
                        "a b c d hblkhd e f uordblks g h".split()]

        libc = ctypes.CDLL(None)
        if not hasattr(libc, "mallinfo2"): print("no mallinfo2"); sys.exit()
        libc.mallinfo2.restype = Mallinfo

        def used():
            gc.collect()
            info = libc.mallinfo2()
            return info.uordblks + info.hblkhd

        def declare(number):
            whence.kind(f"kind-{number}", component="Scheduler", decision=True,
                        rationale="Selected {model}: {slack_ns:ns} to its deadline",
                        model=str, slack_ns=int, queue=int, utilisation=float)

        declare("first")
        before = used()
        for number in range(8): declare(number)
        print(used() - before)
        assert whence.session() is None
        assert os.listdir(os.environ["WHENCE_DIR"]) == []
        """,
        base=base,
        # freed pieces that the C library keeps for itself count as used: let it keep none
        settings={
            "PYTHONMALLOC": "malloc",
            "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0",
        },
    )
    if done.stdout == "no mallinfo2\n":
        pytest.skip("this C library does not tell how much memory is in use")
    assert 0 < int(done.stdout) <= 16 * 1024


def test_ring_of_a_thread_takes_what_is_promised(base: Path) -> None:
    """640,000 bytes of slots, 16 KiB of header, 256 KiB of text: below 1 MB. R0.37 R1.15 R1.16"""
    done = python(
        SETUP
        + """
    import sys, threading

    def resident():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if "VmRSS" in line)

    def grown_by(work):
        done, go = threading.Barrier(11), threading.Event()
        def body():
            work(); done.wait(); go.wait()
        threads = [threading.Thread(target=body) for _ in range(10)]
        before = resident()
        for thread in threads: thread.start()
        done.wait()
        grown = resident() - before
        go.set()
        for thread in threads: thread.join()
        return grown

    def nothing():
        for n in range(11_000): str(n)

    def everything():
        for n in range(11_000): texts(n, "t" * 60, "x" * 100)
        texts(0, longest, "")

    longest = "long " * 20_000
    numbers(1, 1.0, True)
    threads_alone = grown_by(nothing)
    print(grown_by(everything) - threads_alone)
    """,
        base=base,
    )
    (folder,) = sessions(base)
    sizes = {(folder / name).stat().st_size for name in ring_files(folder)}
    assert sizes == {640_000 + 16_384 + 262_144}
    assert len(ring_files(folder)) == 11
    assert int(done.stdout) < 10 * 1_000_000


def test_memory_is_the_same_after_millions_of_events(base: Path) -> None:
    """Unique texts, names and requests come and go; the rings' bound stays. R0.37 R1.18 P1"""
    events = 10_000_000 if os.environ.get("WHENCE_STRESS") else 1_500_000
    done = python(
        SETUP
        + f"""
    import sys
    from collections.abc import Sequence
    listed = whence.kind("listed", component="cost", options=Sequence[whence.Option])

    def resident():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if "VmRSS" in line)

    def record(first, count):
        for n in range(first, first + count, 10):
            numbers(n, n / 7, True); numbers.emit(n, 0.0, False)
            named(n, f"name {{n % 10_000}}"); named(n, f"unique {{n}}")
            texts(n, f"text {{n}}" * 5, ""); texts.emit(n, "", "é" * (n % 300))
            with whence.request(f"request number {{n}}"): maybe(None, str(n), 1.0)
            collector.record_now("said", "cost", f"because {{n}}", attributes={{"n": n}})
            collector.record_now("said", "cost", "", request_id=f"request {{n}}", model_id="ocr")
            listed([whence.Option(f"option {{n}}", {{"cost": n / 2}}), whence.Option("none")])

    record(0, 300_000)
    before = resident()
    record(300_000, {events})
    print(resident() - before)
    """,
        base=base,
        settings={"PYTHONMALLOC": "malloc"},
    )
    assert int(done.stdout) < 2048  # KiB
    assert all(ledger.closes for ledger in read(base).rings)
