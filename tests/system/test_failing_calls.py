"""Every system call of the slow path fails once, then for ever: the program goes on."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ring.session_bytes import write_session
from tests.system.host import memory_folder, python, read

FAILURES = {
    "fallocate": errno.ENOSPC,
    "fchmod": errno.EPERM,
    "fcntl": errno.ENOLCK,
    "fstat": errno.EIO,
    "madvise": errno.EINVAL,
    "mkdir": errno.EACCES,
    "mkdirat": errno.ENOSPC,
    "mmap": errno.ENOMEM,
    "open": errno.EMFILE,
    "openat": errno.EMFILE,
    "renameat": errno.EROFS,
    "write": errno.EIO,
}

PROGRAM = """
    import ctypes, os, sys, threading, whence
    import whence.ring.reap, whence.trace_collector  # nothing is imported later

    name, number = sys.argv[1].encode(), int(sys.argv[2])
    shim = ctypes.CDLL(None)
    collector = whence.TraceCollector(40)
    tick = whence.kind("tick", component="faults", n=int, text=str)

    def record():
        for n in range(3):
            tick(n, "some text " * 5)
            collector.record_now("said", "faults", "something")
        tick.disable(); tick(9, ""); tick.enable()
        thread = threading.Thread(target=lambda: [tick(n, "threaded " * 5) for n in range(3)])
        thread.start()
        thread.join()

    def child(k, always, errors, out):
        os.dup2(errors, 2)
        shim.arm(name, k, number, always)
        record()
        seen = shim.disarm()
        events = whence.collector().query()
        session = whence.session()
        good = len(events) + session.unrecorded == 9
        on_disk = sum(os.path.exists(f"{session.path}/ring-{n:05d}") for n in range(3))
        os.write(out, f"{seen} {len(events)} {session.unrecorded} {on_disk} {good}".encode())
        os._exit(0)

    for always in (0, 1):
        k = seen = 1
        while seen >= k:
            errors, result = os.pipe(), os.pipe()
            process = os.fork()
            if process == 0: child(k, always, errors[1], result[1])
            os.close(errors[1]); os.close(result[1])
            status = os.waitpid(process, 0)[1]
            answer = os.read(result[0], 1000).decode() or "0 0 0 0 died"
            said = os.read(errors[0], 10000).decode()
            os.close(errors[0]); os.close(result[0])
            print(k, always, status, answer, repr(said), sep="|")
            seen, k = int(answer.split()[0]), k + 1
"""


@pytest.fixture
def settings(preloaded: Callable[[str], dict[str, str]]) -> dict[str, str]:
    """The environment of a program whose calls can be made to fail."""
    return preloaded("fail_calls")


@pytest.mark.parametrize("name", FAILURES)
def test_program_goes_on_whichever_call_fails(settings: dict[str, str], name: str) -> None:
    """The k-th call fails, for each k, once or for ever: events are held or counted. P11 P1 R0.2"""
    with memory_folder() as base:
        done = python(PROGRAM, name, FAILURES[name], base=base, settings=settings)
        lines = [line.split("|") for line in done.stdout.splitlines()]
        assert len(lines) >= 2
        for k, always, status, answer, said in lines:
            where = f"{name} number {k}, always={always}"
            assert status == "0", (where, said)
            assert answer.endswith("True"), (where, answer, said)
            seen, _, unrecorded, on_disk, _ = answer.split()
            assert unrecorded == "0" or name == "mmap", (where, answer)
            told = said.count("whence:")
            assert said.count("\\n") == told == len(set(said[1:-1].split("\\n"))) - 1, (where, said)
            assert told <= 1 + (unrecorded != "0"), (where, said)
            if int(seen) < int(k):
                assert (on_disk, told) == ("3", 0), (where, answer, said)
            elif int(on_disk) < 3:
                assert told >= 1, (where, answer, said)
        recording = read(base)  # whatever lies there can be read
        assert all(ledger.closes for ledger in recording.rings)
        assert not [path.name for path in base.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("reason", [errno.EOPNOTSUPP, errno.EINTR])
def test_memory_that_cannot_be_reserved_at_a_stroke_is_reserved_by_writing(
    settings: dict[str, str], base: Path, reason: int
) -> None:
    """A file system that knows no fallocate(), or signals that interrupt it: all is as ever. P11"""
    done = python(PROGRAM, "fallocate", reason, base=base, settings=settings)
    for line in done.stdout.splitlines():
        _, _, status, answer, said = line.split("|")
        assert (status, answer.split()[1:], said) == ("0", ["9", "0", "3", "True"], "''")


FULL = """
    import ctypes, errno, os, whence
    tick = whence.kind("tick", component="full", n=int)
    ctypes.CDLL(None).arm(b"fallocate", 1, errno.ENOSPC, int(os.environ["ALWAYS"]))
    tick(1)
    ctypes.CDLL(None).disarm()
    print(whence.session().trouble, whence.session().path, sep="|")
"""


@pytest.mark.parametrize("always", [0, 1])
def test_a_folder_too_full_for_a_session_is_cleared_and_tried_once_more(
    settings: dict[str, str], base: Path, always: int
) -> None:
    """What dead sessions take beyond the cap goes first; memory is the last resort. P9 P11"""
    old = write_session(base, "20200101T000000-1-a")
    more = {"WHENCE_CAP_BYTES": "4096", "ALWAYS": str(always)}
    done = python(FULL, base=base, settings=settings | more)
    trouble, path = done.stdout.strip().split("|")
    assert not old.exists()
    if always:
        assert "No space left" in trouble
        assert path == "None"
        assert done.stderr.count("cannot record to") == 1
    else:
        assert (trouble, done.stderr) == ("", "")
        assert [event.attributes["n"] for event in read(base).events] == [1]
    assert not [path.name for path in base.iterdir() if path.name.startswith(".")]
