"""Full disks, missing and stolen folders, closed descriptors: the host program goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.host import environment, memory_folder, python, read, sessions
from whence.ring.folders import ring_files
from whence.ring.session_file import read_session_file

# records 30 events from three threads and a collector, and says how many it can still read
PROGRAM = """
    import os, sys, threading, whence
    import whence.ring.reap, whence.trace_collector

    tick = whence.kind("tick", component="faults", n=int, text=str)
    collector = whence.TraceCollector(10)

    def record(first=0):
        for n in range(first, first + 10):
            tick(n, "some text " * 8)

    def record_all():
        record()
        for first in (10, 20):
            thread = threading.Thread(target=record, args=(first,))
            thread.start(); thread.join()
        for n in range(10):
            collector.record_now("said", "faults", "something")

    def check():
        ticks = whence.collector().query(event_type="tick")
        assert sorted(event.attributes["n"] for event in ticks) == list(range(30)), len(ticks)
        assert all(event.attributes["text"] == "some text " * 8 for event in ticks)
        assert len(collector) == 10
"""


@contextmanager
def tmpfs(size: str) -> Iterator[Path]:
    """A file system in memory that holds so much and no more."""
    with memory_folder() as folder:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no file system of {size} can be mounted here: {error}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def told(stderr: str) -> list[str]:
    """The lines that whence wrote to stderr; there are no others."""
    lines = stderr.splitlines()
    assert all(line.startswith("whence: ") for line in lines), stderr
    return lines


def test_disk_too_small_for_a_session_leaves_all_in_memory(base: Path) -> None:
    """256 KiB do not even hold a session: nothing is left there, the trouble is told once. P11"""
    with tmpfs("256k") as small:
        done = python(PROGRAM + "    record_all(); check()\n", base=small)
        assert [line[:24] for line in told(done.stderr)] == ["whence: cannot record to"]
        assert "No space left on device" in done.stderr
        assert list(small.iterdir()) == []
        assert os.statvfs(small).f_bfree == os.statvfs(small).f_blocks


def test_disk_too_small_for_a_ring_gives_smaller_rings_then_memory(base: Path) -> None:
    """1 MiB holds a session and some small rings; the other threads' stay in memory. P11"""
    with tmpfs("1m") as small:
        done = python(
            PROGRAM
            + """
    threads, may_end = [], threading.Event()
    record_all(); check()
    def late():
        tick(-1, "late"); may_end.wait()
    for _ in range(12):
        threads.append(threading.Thread(target=late)); threads[-1].start()
    may_end.set()
    for thread in threads: thread.join()
    assert len(whence.collector()) == 52
    """,
            base=small,
        )
        assert [line[:34] for line in told(done.stderr)] == ["whence: no room for a whole ring i"]
        recording = read(small)
        capacities = {ledger.capacity for ledger in recording.rings}
        assert capacities == {1000, 10}
        assert 2 <= len(recording.rings) < 14
        assert all(ledger.closes for ledger in recording.rings)


def test_disk_that_fills_up_while_recording_does_no_harm(base: Path) -> None:
    """A ring's memory is its own from the start: no store into it can fail later. P11"""
    with tmpfs("4m") as small:
        done = python(
            PROGRAM
            + """
    whence.start(ring_slots=10_000)
    tick(0, "")
    with open(os.environ["WHENCE_DIR"] + "/filler", "wb", buffering=0) as filler:
        try:
            while filler.write(bytes(4096)) == 4096: pass
        except OSError: pass
    assert os.statvfs(os.environ["WHENCE_DIR"]).f_bfree == 0
    for n in range(25_000):
        tick(n, f"{n} " * 20)
        if n % 100 == 0: tick.disable(); tick.enable()
    for n in range(3000):  # more names and kinds than the dictionary has room for
        whence.kind(f"kind-{n}", component="component " * 9, rationale="word " * 40)
        tick(n, f"name-{n % 1500}")
    assert len(whence.collector()) == 10_000
    """,
            base=small,
        )
        (line,) = told(done.stderr)
        assert line.startswith("whence: no room for more names of kinds")
        (ledger,) = read(small).rings
        assert (ledger.recorded, ledger.readable, ledger.closes) == (28_001, 10_000, True)


@pytest.mark.parametrize("where", ["below a file", "below /proc", "itself a file", "a link"])
def test_folder_that_cannot_be_made_leaves_all_in_memory(base: Path, where: str) -> None:
    """The trouble is told once, with the folder's name; the process can read itself. P11 P15"""
    (base / "file").touch()
    (base / "target").mkdir()
    (base / "link").symlink_to(base / "target")
    folder = {
        "below a file": base / "file" / "whence",
        "below /proc": Path("/proc/whence/sessions"),
        "itself a file": base / "file",
        "a link": base / "link",
    }[where]
    done = python(
        PROGRAM + "    record_all(); check(); assert whence.session().path is None\n", base=folder
    )
    (line,) = told(done.stderr)
    assert line.startswith(f"whence: cannot record to {folder}: ")
    assert line.endswith("; events stay in memory and end with this process")
    assert list((base / "target").iterdir()) == []


def test_folder_of_another_user_is_not_recorded_to(base: Path) -> None:
    """A folder that somebody else owns, writable or not, is refused. P15"""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user here")
    for mode in (0o755, 0o777):
        theirs = base / f"theirs-{mode:o}"
        theirs.mkdir()
        theirs.chmod(mode)
        base.chmod(0o755)
        nobody = "    os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
        done = python(PROGRAM + nobody + "    record_all(); check()\n", base=theirs)
        (line,) = told(done.stderr)
        assert line.startswith(f"whence: cannot record to {theirs}: belongs to another user; ")
        assert list(theirs.iterdir()) == []


def test_folder_that_may_not_be_written_leaves_all_in_memory(base: Path) -> None:
    """Our own folder without write permission: told once, and the program goes on. P11 P15"""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user here")
    locked = base / "locked"
    locked.mkdir()
    os.chown(locked, 65534, 65534)
    locked.chmod(0o500)
    base.chmod(0o755)
    nobody = "    os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
    done = python(PROGRAM + nobody + "    record_all(); check()\n", base=locked)
    (line,) = told(done.stderr)
    assert line.startswith(f"whence: cannot record to {locked}: Permission denied; ")


def test_files_and_folders_are_private_whatever_the_umask(base: Path) -> None:
    """Folders are 0700 and files 0600, made so before anything stands in them. P15"""
    made = base / "made" / "by" / "whence"
    python(PROGRAM + "    record_all(); check()\n", base=made, before=lambda: os.umask(0) and None)
    (folder,) = sessions(made)
    assert {path.stat().st_mode & 0o777 for path in (*made.parents[:2], made, folder)} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_link_in_a_rings_place_is_not_followed(base: Path) -> None:
    """A link where the next ring would be made stays a link to nothing. P15"""
    done = python(
        PROGRAM
        + """
    record()
    folder = whence.session().path
    for n in range(1, 20):
        os.symlink(f"{folder}/stolen-{n}", f"{folder}/.new-{n:05d}")
    for first in (10, 20):
        thread = threading.Thread(target=record, args=(first,))
        thread.start(); thread.join()
    for n in range(10): collector.record_now("said", "faults", "something")
    check()
    """,
        base=base,
    )
    assert len(told(done.stderr)) == 1
    (folder,) = sessions(base)
    assert not list(folder.glob("stolen-*"))


def test_session_folder_removed_while_recording_does_no_harm(base: Path) -> None:
    """What was mapped stays; new rings go to memory, and that is told once. P11 P12"""
    done = python(
        PROGRAM
        + """
    import shutil
    record()
    shutil.rmtree(whence.session().path)
    for first in (10, 20):
        thread = threading.Thread(target=record, args=(first,))
        thread.start(); thread.join()
    tick.disable(); tick.enable()
    whence.kind("another", component="faults", n=int)(1)
    for n in range(10): collector.record_now("said", "faults", "something")
    check()
    """,
        base=base,
    )
    assert len(told(done.stderr)) == 1
    assert sessions(base) == []


def test_host_that_closes_all_descriptors_keeps_its_own_files_whole(base: Path) -> None:
    """Files that get our descriptors' numbers are not written to; life still shows. P10 P11"""
    mine = base / "mine"
    mine.mkdir()
    done = python(
        PROGRAM
        + """
    from whence.ring.session_file import read_session_file
    record()
    folder = whence.session().path
    os.closerange(3, 1000)
    files = [os.open(f"{sys.argv[1]}/{n}", os.O_RDWR | os.O_CREAT) for n in range(20)]
    folders = [os.open(sys.argv[1], os.O_RDONLY) for n in range(20)]
    for n in range(100): tick.disable(); tick.enable()
    for n in range(2000):  # more than the dictionary's first 256 KiB
        whence.kind(f"kind-{n}", component="component", rationale="word " * 60)
    for first in (10, 20):
        thread = threading.Thread(target=record, args=(first,))
        thread.start(); thread.join()
    for n in range(10): collector.record_now("said", "faults", "something")
    check()
    assert read_session_file(folder).live
    child = os.fork()
    if child == 0:
        record()
        for file in files: os.fstat(file)  # none was closed for being the parent's
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert sorted(os.listdir(sys.argv[1])) == sorted(map(str, range(20)))
    assert {os.fstat(file).st_size for file in files} == {0}
    """,
        mine,
        base=base,
    )
    names, rings = told(done.stderr)
    assert "no room for more names" in names
    assert "no room for a whole ring" in rings
    live = [read_session_file(folder).live for folder in sessions(base)]
    assert live == [False, False]


def test_storm_of_signals_shrinks_no_ring(base: Path) -> None:
    """Reserving a ring's memory may be interrupted; the ring is whole all the same. P11 P16"""
    done = python(
        PROGRAM
        + """
    import signal
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.siginterrupt(signal.SIGALRM, True)
    signal.setitimer(signal.ITIMER_REAL, 0.00005, 0.00005)
    collectors = [whence.TraceCollector(20_000) for _ in range(30)]
    for each in collectors: each.record_now("said", "faults")
    record_all(); check()
    signal.setitimer(signal.ITIMER_REAL, 0)
    """,
        base=base,
    )
    assert told(done.stderr) == []
    (folder,) = sessions(base)
    assert len(ring_files(folder)) in (33, 34)  # the second thread may take the ring of the first
    capacities = [ledger.capacity for ledger in read(base).rings]
    assert sorted(set(capacities)) == [10, 10_000, 20_000]
    assert capacities.count(20_000) == 30


def test_program_without_descriptors_or_file_size_left_goes_on(base: Path) -> None:
    """Limits of the process are like a full disk: told once, and all is in memory. P11"""
    for limit in ("RLIMIT_NOFILE, (3, 3)", "RLIMIT_FSIZE, (100_000, 100_000)"):
        done = python(
            PROGRAM
            + f"""
    import resource
    resource.setrlimit(resource.{limit})
    record_all(); check()
    """,
            base=base,
        )
        assert len(told(done.stderr)) == 1, done.stderr
    assert read(base).events == ()


def test_collector_larger_than_what_is_kept_of_ended_ones_outlives_its_program(base: Path) -> None:
    """Ending a collector may cost the rings of older ones, never its own; exit costs none. R0.37"""
    python(
        """
        import whence

        first, second = (whence.TraceCollector(160_000) for _ in range(2))
        first.record_now("said", "faults", "first")
        second.record_now("said", "faults", "second")
        """,
        base=base,
    )
    assert [event.rationale for event in read(base).events] == ["first", "second"]
    python(
        """
        import whence

        collector = whence.TraceCollector(160_000)
        collector.record_now("said", "faults", "third")
        del collector
        """,
        base=base,
    )
    assert [event.rationale for event in read(base).events] == ["first", "second", "third"]


def test_relative_folder_is_where_the_program_was_at_its_first_event(base: Path) -> None:
    """A program that goes elsewhere still finds its session, and so do others. P15"""
    elsewhere = f"os.chdir({str(base)!r}); os.environ['WHENCE_DIR'] = 'here/sessions'"
    done = python(
        PROGRAM.replace("    tick =", f"    {elsewhere}\n    tick =")
        + """
    record()
    os.chdir("/")
    for first in (10, 20):
        thread = threading.Thread(target=record, args=(first,))
        thread.start(); thread.join()
    for n in range(10): collector.record_now("said", "faults", "something")
    check()
    assert whence.session().path.is_dir()
    """,
        base=base,
    )
    assert told(done.stderr) == []
    assert len(read(base / "here" / "sessions").events) == 40


def test_session_that_was_never_completed_is_cleared_away_in_time(base: Path) -> None:
    """What a kill left half-made goes with a later program's first event, not one in the making."""
    for age_s, name in ((0, ".new-young"), (120, ".new-old")):
        folder = base / name
        folder.mkdir()
        (folder / "session").write_bytes(bytes(8192))
        os.utime(folder, (time.time() - age_s,) * 2)
    (base / ".new-link").symlink_to(base)
    python("import whence; whence.kind('x', component='y')()", base=base)
    assert {path.name for path in base.glob(".new*")} == {".new-young", ".new-link"}
    assert len(sessions(base)) == 1


def test_programs_that_start_together_agree_on_what_the_full_folder_loses(base: Path) -> None:
    """Each frees the same dead sessions; nobody is disturbed by finding them gone. P11"""
    for _ in range(12):
        python("import whence; whence.kind('x', component='y')()", base=base)
    assert len(sessions(base)) == 12
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", "import whence; whence.kind('x', component='y')()"],
            env=environment(base, {"WHENCE_CAP_BYTES": "4000000"}),
            stderr=subprocess.PIPE,
        )
        for _ in range(8)
    ]
    for program in programs:
        assert program.communicate()[1] == b""
        assert program.returncode == 0
    left = sum(file.stat().st_blocks * 512 for file in base.rglob("*") if file.is_file())
    assert left <= 4_000_000 + 8 * 1_300_000  # what the programs themselves have added
