"""whence.start(store=...): a program keeps its own store, one owner among many processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import whence
from tests.apps import AppRun
from tests.store.rows import tickets_in
from whence.model.errors import NotAStore
from whence.ring.folders import session_folders
from whence.store.folder import FolderStore, Snapshot

RunApp = Callable[..., AppRun]

PRODUCER = """
    import os, sys, whence
    session = whence.start(sys.argv[1], store=sys.argv[2])
    tick = whence.kind("tick", component="Clock", n=int)
    for line in sys.stdin:
        for n in range(int(line)):
            tick(n)
        print("done", flush=True)
"""


class Producer:
    """A program that records as many events as it is told, and names a store."""

    def __init__(self, base: Path, name: str, store: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PRODUCER), name, str(store)],
            env={**os.environ, "WHENCE_DIR": str(base)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def record(self, count: int) -> None:
        """Has it record, and waits until it has."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def end(self) -> None:
        """Ends it in order."""
        self.process.communicate("")
        assert self.process.returncode == 0

    def kill(self) -> None:
        """Ends it at once."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Producer]]:
    """Starts a producer by its name; what still runs is killed at the end."""
    started: list[Producer] = []

    def begin(name: str) -> Producer:
        started.append(Producer(tmp_path / "whence", name, tmp_path / "traces"))
        return started[-1]

    yield begin
    for each in started:
        if each.process.poll() is None:
            each.kill()


def rows_by_name(path: Path) -> dict[str, int]:
    """How many events of each service a reader sees."""
    try:
        snapshot = FolderStore(path).snapshot()
    except NotAStore:
        return {}
    counts: dict[str, int] = {}
    for session in snapshot.sessions.values():
        stored = sum(ring.readable for ring in session.rings)
        counts[session.info.service] = counts.get(session.info.service, 0) + stored
    return counts


def wait_for(path: Path, wanted: dict[str, int], seconds: float = 60.0) -> float:
    """Until a reader sees that; how long it took."""
    began = time.monotonic()
    while (found := rows_by_name(path)) != wanted:
        assert time.monotonic() - began < seconds, found
        time.sleep(0.01)
    return time.monotonic() - began


def snapshot(path: Path) -> Snapshot:
    """What a reader sees now."""
    return FolderStore(path).snapshot()


def test_a_program_keeps_what_it_records(run_app: RunApp, tmp_path: Path) -> None:
    """At its end all of it is in the store, its session told of as ended. R5.10"""
    app = run_app(
        """
        import os, whence
        whence.start("alone", store=os.environ["STORE"])
        tick = whence.kind("tick", component="Clock", n=int)
        for n in range(300):
            tick(n)
        """,
        env={"STORE": str(tmp_path / "traces")},
    )
    assert app.stderr == ""
    found = snapshot(tmp_path / "traces")
    assert tickets_in(found) == list(range(300))
    (session,) = found.sessions.values()
    assert (session.info.service, session.info.live) == ("alone", False)
    assert {kind.name for kind in session.kinds} == {"tick"}


def test_one_of_many_owns_and_collects_for_all(
    start: Callable[[str], Producer], tmp_path: Path
) -> None:
    """The second process records, the first one keeps; then they change places. R5.10"""
    traces = tmp_path / "traces"
    first = start("first")
    first.record(10)
    wait_for(traces, {"first": 10})
    owner = FolderStore(traces).owner()
    assert owner == (first.process.pid, "first")
    second = start("second")
    second.record(20)
    wait_for(traces, {"first": 10, "second": 20})
    assert FolderStore(traces).owner() == owner
    first.end()
    second.record(5)
    wait_for(traces, {"first": 10, "second": 25})
    assert FolderStore(traces).owner() == (second.process.pid, "second")
    second.end()
    assert snapshot(traces).manifest.rows == 35


def test_another_takes_over_when_the_owner_is_killed(
    start: Callable[[str], Producer], tmp_path: Path
) -> None:
    """Everything that the dead owner recorded and had not kept is kept by the next, once. R5.10"""
    traces = tmp_path / "traces"
    first = start("first")
    first.record(10)
    wait_for(traces, {"first": 10})
    second = start("second")
    first.record(40)
    second.record(7)
    first.kill()
    second.record(7)
    wait_for(traces, {"first": 50, "second": 14})
    while len(list(session_folders(tmp_path / "whence"))) > 1:  # the dead one goes
        time.sleep(0.01)
    second.end()
    assert rows_by_name(traces) == {"first": 50, "second": 14}
    assert snapshot(traces).manifest.rows == 64


def test_a_forked_child_is_collected_by_its_parent(run_app: RunApp, tmp_path: Path) -> None:
    """The child has neither the thread nor the lock; what it records is in the store. R5.10"""
    run_app(
        """
        import os, time, whence
        from whence.background_store import background_store
        whence.start("parent", store=os.environ["STORE"])
        tick = whence.kind("tick", component="Clock", n=int)
        tick(0)
        kept = background_store()
        while not kept.owns:
            time.sleep(0.01)
        child = os.fork()
        if child == 0:
            assert background_store() is None and not kept.owns
            names = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
            assert not [name for name in names if name.endswith(("LOCK", ".lock"))], names
            for n in range(5):
                tick(n)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        while kept.ledger().delivered < 6:
            time.sleep(0.01)
        tick(1)
        """,
        env={"STORE": str(tmp_path / "traces")},
    )
    found = snapshot(tmp_path / "traces")
    counts = sorted(sum(ring.readable for ring in each.rings) for each in found.sessions.values())
    assert counts == [2, 5]
    assert found.manifest.rows == 7


def test_flush_waits_until_all_is_in_the_store(run_app: RunApp, tmp_path: Path) -> None:
    """True: what was recorded before can be read; without an owner's part there is no flush."""
    app = run_app(
        """
        import os, time, whence
        from whence.background_store import background_store
        from whence.store.folder import FolderStore
        whence.start("alone", store=os.environ["STORE"])
        tick = whence.kind("tick", component="Clock", n=int)
        kept = background_store()
        while not kept.owns:
            time.sleep(0.01)
        for n in range(1, 4):
            tick(n)
            assert kept.flush()
            assert FolderStore(os.environ["STORE"]).snapshot().manifest.rows == n
        kept.stop()
        assert not kept.flush()
        """,
        env={"STORE": str(tmp_path / "traces")},
    )
    assert app.stderr == ""


def test_another_stores_sessions_are_left_alone(run_app: RunApp, tmp_path: Path) -> None:
    """A store collects the sessions that named it, and no others. R5.10"""
    run_app("import whence\nwhence.kind('other', component='X', n=int)(1)")
    app = run_app(
        """
        import os, whence
        whence.start("alone", store=os.environ["STORE"])
        whence.kind("tick", component="Clock", n=int)(1)
        """,
        env={"STORE": str(tmp_path / "traces")},
    )
    assert rows_by_name(tmp_path / "traces") == {"alone": 1}
    assert len(app.session_dirs) == 2


def test_a_folder_of_other_things_is_refused_at_once(run_app: RunApp, tmp_path: Path) -> None:
    """start() raises before anything is recorded."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "text").write_text("mine")
    app = run_app(
        """
        import os, whence
        try:
            whence.start("alone", store=os.environ["STORE"])
        except whence.WhenceError as error:
            print(type(error).__name__, whence.session())
        """,
        env={"STORE": str(mine)},
    )
    assert app.stdout == "NotAStore None\n"


def test_a_program_limits_its_store(run_app: RunApp, tmp_path: Path) -> None:
    """R5.24 The owner gives the store the limits that the program named."""
    app = f"""
        import whence
        path = {str(tmp_path / "traces")!r}
        whence.start("limited", store=path, keep_days=14, keep_bytes=1 << 30)
        whence.kind("tick", component="Clock", n=int)(1)
    """
    run_app(app)
    settings = FolderStore(tmp_path / "traces").manifest.settings
    assert settings == {"keep_days": 14, "keep_bytes": 1 << 30}
    with pytest.raises(ValueError, match="go with a store"):
        whence.start(keep_days=14)
