"""Finding sessions, reading them whole, following one as it grows, removing it."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.apps import AppRun
from tests.ring.session_bytes import session_bytes, write_session
from whence.collect.sessions import (
    SessionStream,
    find_sessions,
    list_sessions,
    read_recording,
    remove_session,
)
from whence.model.errors import AmbiguousId, CorruptFile, NotASession, SessionNotFound
from whence.model.recording import Recording
from whence.ring import reap

RunApp = Callable[..., AppRun]


@pytest.fixture
def three(whence_dir: Path) -> list[Path]:
    """Two sessions of one run and a later one of another run, oldest first."""
    made = [(1, 7, 100), (2, 7, 200), (3, 8, 150)]
    return [
        write_session(
            whence_dir,
            f"2026010{n}T000000-{n}00-abc{n}",
            session_bytes(pid=n * 100, run=run, created_wall_ns=created),
        )
        for n, run, created in made
    ]


def test_the_newest_run_comes_first(three: list[Path]) -> None:
    """Sessions of one run stay together, however they lie in time. R0.1"""
    assert [session.path for session in list_sessions()] == [
        str(folder) for folder in (three[1], three[0], three[2])
    ]
    assert [session.pid for session in list_sessions(three[0].parent)] == [200, 100, 300]


def test_a_damaged_session_is_left_out_of_the_list(three: list[Path]) -> None:
    """One that cannot be read hides no other. P14"""
    (three[1] / "session").write_bytes(b"damaged")
    assert [session.pid for session in list_sessions()] == [300, 100]


def test_no_folder_is_no_sessions(whence_dir: Path) -> None:
    """Before anything was recorded, asking finds nothing and makes nothing. P15"""
    whence_dir.rmdir()
    assert list_sessions() == []
    assert not whence_dir.exists()
    with pytest.raises(SessionNotFound, match=r"no sessions in .*WHENCE_DIR"):
        find_sessions()


def test_where_all_sessions_were_removed_the_last_one_is_named(three: list[Path]) -> None:
    """What was collected is not there any more, and whoever asks is told where it went. P15"""
    for session in list_sessions():
        reap.remove_session(session, "collected to file:///o.ndjson")
    with pytest.raises(SessionNotFound, match=rf"{three[2].name} \(collected to file:///o\.ndjson"):
        find_sessions()
    (three[0].parent / "tombstones.ndjson").write_bytes(b"torn")
    with pytest.raises(SessionNotFound, match="WHENCE_DIR"):
        find_sessions()


def test_a_session_is_found_by_what_names_it(
    three: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """pid, name, start of a name, path; nothing at all means the newest run. R0.1"""
    first, second, third = three
    assert find_sessions() == [second, first]
    assert find_sessions("300") == [third]
    assert find_sessions(third.name) == [third]
    assert find_sessions("20260101") == [first]
    with pytest.raises(AmbiguousId) as several:
        find_sessions("2026010")
    assert several.value.candidates == (second.name, first.name, third.name)
    assert find_sessions(str(second)) == [second]
    assert find_sessions(str(second.parent)) == [third, second, first]
    (first / "ring-00000").touch()
    assert find_sessions(str(first / "ring-00000")) == [first / "ring-00000"]
    monkeypatch.chdir(second)
    assert find_sessions(".") == [second]


def test_a_run_that_lives_is_preferred_to_a_newer_one_that_ended(three: list[Path]) -> None:
    """R5.9 R5.1 Nobody who asks about a service is answered by a script that came and went."""
    first, second, third = three
    handle = os.open(third / "session", os.O_RDWR)
    try:
        wanted = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, wanted)  # what a process that lives holds
        assert find_sessions() == [third]
    finally:
        os.close(handle)
    assert find_sessions() == [second, first]


def test_a_dead_run_without_events_is_passed_over(three: list[Path]) -> None:
    """R5.9 Of runs that ended, the newest with something to tell is meant; damage counts."""
    first, second, third = three
    (third / "ring-00000").write_bytes(b"damaged")
    assert find_sessions() == [third]
    (second / "ring-00000").write_bytes(b"damaged")
    assert find_sessions() == [second, first]


def test_a_recycled_pid_means_the_newest_session(whence_dir: Path) -> None:
    """Two processes may have had one number, one after the other. P10"""
    write_session(whence_dir, "20260101T000000-5-a", session_bytes(pid=5, run=1, created_wall_ns=1))
    newer = write_session(
        whence_dir, "20260102T000000-5-b", session_bytes(pid=5, run=2, created_wall_ns=2)
    )
    assert find_sessions("5") == [newer]


@pytest.mark.parametrize("spec", ["999", "nobody", "", "./nowhere", "/dev/null", "x" * 5000])
def test_what_names_no_session_is_told_with_what_there_is(three: list[Path], spec: str) -> None:
    """A wrong pid, name or path is SessionNotFound. P15"""
    with pytest.raises(SessionNotFound) as caught:
        find_sessions(spec)
    assert spec.removeprefix("./") in str(caught.value)
    assert ("/" in spec) != (three[2].name in str(caught.value))


def test_an_empty_folder_holds_no_session(tmp_path: Path) -> None:
    """Nor does one whose subfolders are something else. P15"""
    (tmp_path / "something").mkdir()
    with pytest.raises(SessionNotFound, match="holds no session"):
        find_sessions(str(tmp_path))


def test_several_sessions_are_one_recording(run_app: RunApp) -> None:
    """Events of all processes in order of time, each with its session's kinds and ledgers. R0.1"""
    app = """
        import os, whence
        tick = whence.kind("tick", component="A", pid=int)
        off = whence.kind("off", component="A")
        off.disable()
        tick(os.getpid())
        off.enable()
        tick(os.getpid())
    """
    for _ in range(2):
        run = run_app(app)
    recording = run.recording()
    keys = [event.order_key for event in recording.events]
    assert keys == sorted(keys)
    assert len(recording.sessions) == len(recording.rings) == 2
    by_session = {session.name: session.pid for session in recording.sessions}
    assert {(event.session, event.attributes["pid"]) for event in recording.events} == set(
        by_session.items()
    )
    assert [kind.name for kind in recording.kinds] == ["tick", "off"] * 2
    assert {change.session for change in recording.gate_changes} == set(by_session)
    for event in recording.events:
        wall_ns = recording.wall_ns(event)
        assert wall_ns is not None
        assert abs(wall_ns - os.stat(run.whence_dir).st_mtime_ns) < 60_000_000_000


def test_nothing_read_is_an_empty_recording() -> None:
    """No paths, no events. R0.49"""
    assert read_recording([]) == Recording()


def test_what_cannot_be_read_is_an_error_by_name(tmp_path: Path) -> None:
    """read_recording() leaves out no session in silence. P7"""
    folder = write_session(tmp_path, "s", b"damaged")
    with pytest.raises(CorruptFile):
        read_recording([folder])
    with pytest.raises(NotASession):
        read_recording([tmp_path])


def test_a_stream_gives_each_event_once_and_ends(whence_dir: Path) -> None:
    """Polling a live process gives what is new, and says when the process has ended. P3 P6"""
    app = """
import sys, whence
tick = whence.kind("tick", component="A", n=int)
n = 0
for line in sys.stdin:
    for _ in range(int(line)):
        tick(n)
        n += 1
    print(whence.session().path if n else "-", flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", app], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def emit(times: int) -> Path:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{times}\n")
            process.stdin.flush()
            return Path(process.stdout.readline().strip())

        stream = SessionStream(emit(3))
        assert [event.attributes["n"] for event in stream.poll()] == [0, 1, 2]
        assert stream.poll() == []
        assert stream.info.live
        emit(2)
        assert [event.attributes["n"] for event in stream.poll()] == [3, 4]
        emit(1)
        process.communicate()
    assert [event.attributes["n"] for event in stream.poll()] == [5]
    assert stream.poll() == []
    assert not stream.info.live
    (ring,) = stream.ledger()
    assert (ring.recorded, ring.readable, ring.in_flight) == (6, 6, 0)


def test_a_removed_session_is_gone_and_noted(three: list[Path]) -> None:
    """It leaves the list; a tombstone says that it was wanted. P9"""
    remove_session(three[0])
    assert [session.pid for session in list_sessions()] == [200, 300]
    stones = (three[0].parent / "tombstones.ndjson").read_text()
    assert three[0].name in stones
    assert "on request" in stones
    with pytest.raises(NotASession):
        remove_session(three[0])
