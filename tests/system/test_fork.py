"""Forked children record into sessions of their own; the parent's rings have one writer each."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.system.host import Host, python, read, sessions, until
from whence.model.event import TraceEvent
from whence.model.recording import Recording
from whence.ring.session_file import read_session_file

PRELUDE = """
    import os, sys, threading, whence

    tick = whence.kind("tick", component="fork", pid=int, n=int, text=str)

    def record(count=10):
        for n in range(count):
            tick(os.getpid(), n, f"from process {os.getpid()} event {n} " * 3)

    def wait_for(children):
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
"""


def check_each_process_wrote_its_own_session(recording: Recording) -> dict[int, list[TraceEvent]]:
    """The events of each process, after a look at who wrote what."""
    pid_of = {session.name: session.pid for session in recording.sessions}
    assert len(set(pid_of.values())) == len(pid_of)
    events: dict[int, list[TraceEvent]] = {pid: [] for pid in pid_of.values()}
    for event in recording.events:
        if "pid" in event.attributes:
            assert event.attributes["pid"] == pid_of[event.session]
        events[pid_of[event.session]].append(event)
    for ledger in recording.rings:
        assert ledger.closes
        assert ledger.in_flight == 0
    return events


def numbers(events: Sequence[TraceEvent]) -> list[int]:
    """The numbers of these events, in the order of their tickets."""
    return [int(event.attributes["n"]) for event in sorted(events, key=lambda e: e.ticket)]


def test_fork_storm_from_eight_recording_threads_spoils_no_ring(base: Path) -> None:
    """Children record at once; none hangs, and none writes into its parent's rings. P8 R0.2"""
    python(
        PRELUDE
        + """
    over = threading.Event()
    collector = whence.TraceCollector(500)
    whence.start(ring_slots=2000)

    def chatter():
        n = 0
        while not over.is_set():
            tick(os.getpid(), n, "chatter " * 20)
            collector.record_now("said", "fork", str(os.getpid()))
            n += 1

    threads = [threading.Thread(target=chatter) for _ in range(8)]
    for thread in threads: thread.start()
    children = []
    for _ in range(24):
        child = os.fork()
        if child == 0:
            assert collector.size() == 0  # what the parent holds is the parent's
            record()
            for _ in range(10):
                collector.record_now("said", "fork", str(os.getpid()))
            assert collector.size() == 10
            assert len(whence.collector()) == 20
            os._exit(0)
        children.append(child)
    wait_for(children)
    over.set()
    for thread in threads: thread.join()
    """,
        base=base,
    )
    recording = read(base)
    by_process = check_each_process_wrote_its_own_session(recording)
    assert len(by_process) == 25
    parent = max(by_process, key=lambda pid: len(by_process[pid]))
    for pid, events in by_process.items():
        said = [event for event in events if event.event_type == "said"]
        assert {event.rationale for event in said if not event.text_lost} <= {str(pid)}
        if pid != parent:
            assert numbers([event for event in events if event.event_type == "tick"]) == [
                *range(10)
            ]
            assert len(said) == 10
    rings = {event.ring for event in by_process[parent] if event.event_type == "tick"}
    for ring in rings:  # every ticket has one writer: its number in its own thread
        mine = [e for e in by_process[parent] if e.ring == ring and e.event_type == "tick"]
        assert numbers(mine) == [event.ticket for event in sorted(mine, key=lambda e: e.ticket)]
    assert len({session.run for session in recording.sessions}) == 1


def test_child_of_a_child_has_a_session_of_its_own(base: Path) -> None:
    """Three generations, forked in threads too: three sessions of one run. P8"""
    python(
        PRELUDE
        + """
    record(3)

    def generation(left):
        if left == 0: return
        child = os.fork()
        if child == 0:
            record(left)
            thread = threading.Thread(target=generation, args=(left - 1,))
            thread.start(); thread.join()
            os._exit(0)
        wait_for([child])

    generation(2)
    record(3)
    """,
        base=base,
    )
    recording = read(base)
    by_process = check_each_process_wrote_its_own_session(recording)
    assert sorted(len(events) for events in by_process.values()) == [1, 2, 6]
    assert len({session.run for session in recording.sessions}) == 1


def test_workers_of_a_preloaded_server_record_where_the_master_did_not(base: Path) -> None:
    """Kinds declared and switched before the fork work in each child. P8"""
    python(
        PRELUDE
        + """
    quiet = whence.kind("quiet", component="fork", n=int)
    quiet.disable()
    children = []
    for worker in range(4):
        child = os.fork()
        if child == 0:
            record(worker + 1)
            quiet(1)
            quiet.enable()
            quiet(2)
            os._exit(0)
        children.append(child)
    wait_for(children)
    assert not quiet.on  # each child has gates of its own
    assert whence.session() is None
    """,
        base=base,
    )
    by_process = check_each_process_wrote_its_own_session(read(base))
    assert sorted(len(events) for events in by_process.values()) == [2, 3, 4, 5]
    for events in by_process.values():
        assert [e.attributes["n"] for e in events if e.event_type == "quiet"] == [2]


RAW_FORKS = {
    "_Fork": "fork = ctypes.PyDLL(None)._Fork",
    "clone": f"""
    def fork():
        number = {{"x86_64": 56, "aarch64": 220}}[{platform.machine()!r}]
        return ctypes.PyDLL(None).syscall(number, 17, 0, 0, 0, 0)  # 17 = SIGCHLD
    """,
}


@pytest.mark.parametrize("how", RAW_FORKS)
def test_child_that_no_handler_was_told_of_leaves_the_parents_ring_alone(
    base: Path, how: str
) -> None:
    """Even a raw clone() finds its thread's state wiped, and begins a session anew. P8"""
    if how == "_Fork" and not hasattr(ctypes.CDLL(None), "_Fork"):
        pytest.skip("this C library has no _Fork()")
    if how == "clone" and platform.machine() not in ("x86_64", "aarch64"):
        pytest.skip(f"the number of clone() on {platform.machine()} is not known here")
    python(
        PRELUDE
        + "\n    import ctypes\n    "
        + RAW_FORKS[how]
        + """
    collector = whence.TraceCollector(50)
    collector.record_now("said", "fork", str(os.getpid()))
    record(5)
    for _ in range(3):
        child = fork()
        if child == 0:
            record(7)
            collector.record_now("said", "fork", str(os.getpid()))
            assert collector.size() == 1
            tick.disable(); record(1); tick.enable()
            os._exit(0)
        wait_for([child])
        record(5)
    assert collector.size() == 1
    """,
        base=base,
    )
    by_process = check_each_process_wrote_its_own_session(read(base))
    assert sorted(len(events) for events in by_process.values()) == [8, 8, 8, 21]
    for pid, events in by_process.items():
        assert [e.rationale for e in events if e.event_type == "said"] == [str(pid)]


MULTIPROCESSING = """
import multiprocessing, os, sys, whence

tick = whence.kind("tick", component="fork", pid=int, n=int, text=str)

def record(n):
    tick(os.getpid(), n, "text " * 30)
    return n

if __name__ == "__main__":
    record(0)
    with multiprocessing.get_context(sys.argv[1]).Pool(3) as pool:
        assert sorted(pool.map(record, range(1, 100), chunksize=1)) == list(range(1, 100))
        pool.close()
        pool.join()
    record(100)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_records_each_worker_apart(base: Path, method: str) -> None:
    """Every task's event is in its worker's own session, whatever the start method. P8"""
    program = base / "program.py"
    program.write_text(MULTIPROCESSING)
    done = python(program, method, base=base)
    assert done.stderr == ""
    by_process = check_each_process_wrote_its_own_session(read(base))
    assert len(by_process) in (2, 3, 4)  # a worker may have had no task
    recorded = [int(e.attributes["n"]) for events in by_process.values() for e in events]
    assert sorted(recorded) == list(range(101))


@pytest.mark.parametrize("child", ["silent", "recording", "executed", "subprocess", "cloned"])
def test_child_that_lives_on_does_not_make_its_dead_parent_look_alive(
    base: Path, child: str
) -> None:
    """The lock that tells of life ends with the process that recorded. P10 P8"""
    program = """
    import ctypes, subprocess

    record(4)
    ready, told = os.pipe()
    if sys.argv[1] == "subprocess":
        child = subprocess.Popen(["sleep", "600"], close_fds=False).pid
    elif sys.argv[1] == "cloned":  # no handler sees it, nothing of ours runs in it
        clone = {"x86_64": 56}.get(os.uname().machine, 220)
        child = ctypes.PyDLL(None).syscall(clone, 17, 0, 0, 0, 0)
    else:
        child = os.fork()
    if child == 0:
        if sys.argv[1] == "recording": record(2)
        if sys.argv[1] == "executed": os.execvp("sleep", ["sleep", "600"])
        os.write(told, b"x")
        os.read(0, 1)  # the test ends us, not our parent's end
        os._exit(0)
    if sys.argv[1] in ("silent", "recording", "cloned"): os.read(ready, 1)
    print(child, flush=True)
    sys.stdin.read()
    """
    with Host(PRELUDE + program, child, base=base) as host:
        survivor = int(host.line())
        (mine,) = [path for path in sessions(base) if read_session_file(path).pid == host.pid]
        assert read_session_file(mine).live
        host.kill()
        assert Path(f"/proc/{survivor}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        assert not read_session_file(mine).live
        events = check_each_process_wrote_its_own_session(read(base))
        assert numbers(events[host.pid]) == [0, 1, 2, 3]
        assert numbers(events.get(survivor, [])) == ([0, 1] if child == "recording" else [])
        os.kill(survivor, signal.SIGKILL)


@pytest.mark.parametrize("how", ["os._exit(0)", "os.execv('/bin/true', ['true'])", "os.abort()"])
def test_events_outlive_an_end_without_any_farewell(base: Path, how: str) -> None:
    """_exit, exec and abort run no destructors; nothing waits to be flushed. P5 P10"""
    python(PRELUDE + f"\n    record(25)\n    {how}\n", base=base, expect=None)
    recording = read(base)
    ((_, events),) = check_each_process_wrote_its_own_session(recording).items()
    assert numbers(events) == list(range(25))
    assert not recording.sessions[0].live


def test_child_forked_while_another_thread_reads_can_read_and_end_collectors(base: Path) -> None:
    """What a vanished thread held of the parent's rings hinders no child. P8 P12"""
    python(
        PRELUDE
        + """
    collectors = [whence.TraceCollector(1000) for _ in range(3)]
    for collector in collectors: collector.record_now("said", "fork")
    record(3)
    over = threading.Event()

    def keep_reading():
        while not over.is_set(): whence.collector().query()

    threads = [threading.Thread(target=keep_reading) for _ in range(3)]
    for thread in threads: thread.start()
    children = []
    for _ in range(20):
        child = os.fork()
        if child == 0:
            for _ in range(3):
                mine = whence.TraceCollector(10)
                mine.record_now("said", "fork", "mine")
                assert [event.rationale for event in mine] == ["mine"]
                assert len(whence.collector()) == 1
                del mine
            collectors.clear()
            os._exit(0)
        children.append(child)
    wait_for(children)
    over.set()
    for thread in threads: thread.join()
    assert len(whence.collector()) == 6
    """,
        base=base,
    )


def test_hooks_around_a_fork_may_record(base: Path) -> None:
    """What Python runs before and after a fork records on its own side of it. P8 P16"""
    python(
        PRELUDE
        + """
    for when in ("before", "after_in_parent", "after_in_child"):
        os.register_at_fork(**{when: lambda when=when: tick(os.getpid(), 0, when)})
    record(2)
    child = os.fork()
    if child == 0: os._exit(0)
    wait_for([child])
    """,
        base=base,
    )
    by_process = check_each_process_wrote_its_own_session(read(base))
    texts = {tuple(e.attributes["text"] for e in events)[-2:] for events in by_process.values()}
    assert texts == {("before", "after_in_parent"), ("after_in_child",)}


def test_session_of_another_pid_namespace_lives_as_long_as_its_process(base: Path) -> None:
    """A container's pid means another process here; the lock tells the truth all the same. P10"""
    unshare = shutil.which("unshare")
    tried = unshare and subprocess.run([unshare, "-pf", "true"], capture_output=True, check=False)
    if not tried or tried.returncode != 0:
        pytest.skip("no pid namespace can be made here")
    program = PRELUDE + "\n    record(3); print(os.getpid(), flush=True); sys.stdin.read()\n"
    with Host(program, base=base, through=(str(unshare), "-pf", "--kill-child")) as host:
        assert int(host.line()) == 1  # our own pid 1 is alive, and somebody else
        (folder,) = sessions(base)
        assert read_session_file(folder).live
        assert len(read(base).events) == 3
        host.kill()
        until(lambda: not read_session_file(folder).live, "the container's process is gone")
    assert len(read(base).events) == 3
