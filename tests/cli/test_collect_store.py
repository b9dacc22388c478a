"""whence collect --to FOLDER: a store that grows while it is read, exactly once over restarts."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.apps import AppRun
from tests.cli.conftest import Run
from tests.cli.test_collect import RECORDS, Collector, producer, record
from tests.store.rows import tickets_in
from whence.model.errors import NotAStore
from whence.ring.folders import session_folders
from whence.store.folder import FolderStore, Snapshot

RunApp = Callable[..., AppRun]


@pytest.fixture
def dead(run_app: RunApp, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the session of a program that has ended."""
    app = run_app(RECORDS)
    monkeypatch.setenv("WHENCE_DIR", str(app.whence_dir))
    return app.whence_dir


def snapshot(path: Path) -> Snapshot:
    """What a reader sees now."""
    return FolderStore(path).snapshot()


def test_a_folder_becomes_a_store_and_the_session_goes(
    run: Run, dead: Path, tmp_path: Path
) -> None:
    """Every event is in it, with its session, before the dead session is removed. R5.10"""
    traces = tmp_path / "traces"
    result = run("collect", "--once", "--to", f"{traces}/")
    assert result.exit_code == 0, result.output
    assert "21 events read = 21 delivered" in result.output
    assert "Removed 1 dead session" in result.output
    assert list(session_folders(dead)) == []
    assert tickets_in(snapshot(traces)) == list(range(21))
    (session,) = snapshot(traces).sessions.values()
    assert not session.info.live
    assert {kind.name for kind in session.kinds} == {"tick", "choose"}
    (ring,) = session.rings
    assert (ring.recorded, ring.readable, ring.lost) == (21, 21, 0)
    assert sum(kind.recorded for kind in ring.per_kind) == 21
    assert snapshot(traces).manifest.positions == {}
    again = run("collect", "--once", "--json", "--to", traces)
    assert [sink["delivered"] for sink in json.loads(again.output)["sinks"]] == [21]
    assert tickets_in(snapshot(traces)) == list(range(21))
    assert snapshot(traces).manifest.positions == {}


def test_what_is_kept_is_not_read_twice(run: Run, dead: Path, tmp_path: Path) -> None:
    """The positions are the store's, not the state file's: that may be lost. R1.39"""
    for _ in range(3):
        result = run("collect", "--once", "--keep", "--to", f"store:{tmp_path / 'kept.d'}")
        assert result.exit_code == 0
        for state in dead.glob("*.state"):
            state.unlink()
    assert tickets_in(snapshot(tmp_path / "kept.d")) == list(range(21))


def test_filters_are_told_of(run: Run, dead: Path, tmp_path: Path) -> None:
    """What was filtered out is counted, keeps its session, and marks it in the store. R1.44"""
    result = run("collect", "--once", "--type", "choose", "--to", tmp_path / "traces")
    assert result.exit_code == 0
    manifest = snapshot(tmp_path / "traces").manifest
    assert (manifest.ledger.delivered, manifest.ledger.filtered) == (1, 20)
    (session,) = snapshot(tmp_path / "traces").sessions.values()
    assert session.filtered
    assert session.info.state == "filtered"
    assert len(list(session_folders(dead))) == 1


def test_other_folders_and_suffixes_are_refused(run: Run, dead: Path, tmp_path: Path) -> None:
    """Nothing is written where other things lie; a file that no sink writes is named."""
    (tmp_path / "mine").write_text("text")
    result = run("collect", "--once", "--to", tmp_path)
    assert (result.exit_code, "other things" in result.output) == (1, True)
    result = run("collect", "--once", "--to", tmp_path / "out.csv")
    assert (result.exit_code, "is called .ndjson or .json" in result.output) == (2, True)
    with pytest.raises(NotAStore):
        FolderStore(tmp_path)


def wait_for(path: Path, rows: int, collector: Collector) -> None:
    """Until a reader sees so many rows."""
    while True:
        assert collector.process.poll() is None
        try:
            if snapshot(path).manifest.rows >= rows:
                return
        except NotAStore:
            os.sched_yield()


def test_a_running_program_is_in_the_store_while_it_runs(whence_dir: Path, tmp_path: Path) -> None:
    """Readers see it grow; a second would-be owner is told of the first. R1.39"""
    traces = tmp_path / "traces"
    process = producer(whence_dir)
    record(process, 30)
    collector = Collector(whence_dir, "--to", traces, "--interval", "10ms")
    wait_for(traces, 30, collector)
    record(process, 12)
    wait_for(traces, 42, collector)
    assert snapshot(traces).sessions[next(iter(snapshot(traces).sessions))].info.live
    second = Collector(whence_dir, "--to", traces)
    told = json.loads(second.process.communicate(timeout=60)[0])
    assert second.process.returncode == 1
    assert f"pid {collector.process.pid} (whence collect)" in told["message"]
    process.communicate("")
    while list(session_folders(whence_dir)):  # it is removed once all of it is there
        assert collector.process.poll() is None
        os.sched_yield()
    told = collector.end()
    assert told["sinks"][0]["delivered"] == 42
    assert tickets_in(snapshot(traces)) == list(range(42))


def test_a_killed_collector_goes_on_in_the_store(whence_dir: Path, tmp_path: Path) -> None:
    """Whenever it is killed, every event is there once afterwards, and the ledger closes. R1.39"""
    traces = tmp_path / "traces"
    process = producer(whence_dir)
    expected = 0
    for turn in range(5):
        record(process, 100)
        expected += 100
        collector = Collector(whence_dir, "--to", traces, "--interval", "1ms", "--keep")
        wait_for(traces, expected if turn % 2 else expected - 100, collector)
        collector.process.send_signal(signal.SIGKILL)
        collector.process.communicate()
    last = Collector(whence_dir, "--to", traces, "--once", "--keep")
    told = json.loads(last.process.communicate(timeout=60)[0])
    assert last.process.returncode == 0
    process.communicate("")
    (sink,) = told["sinks"]
    assert sink["closes"]
    assert (sink["delivered"], sink["lost"]) == (expected, 0)
    assert tickets_in(snapshot(traces)) == list(range(expected))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system is not permitted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(path: Path) -> None:
    """Leaves no room on the disk."""
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


def test_a_full_disk_is_waited_for(whence_dir: Path, small_disk: Path) -> None:
    """Readers go on, what is recorded waits, and once there is room all of it is there. R1.39"""
    traces = small_disk / "traces"
    process = producer(whence_dir)
    record(process, 10)
    collector = Collector(whence_dir, "--to", traces, "--interval", "10ms")
    wait_for(traces, 10, collector)
    fill(small_disk / "filler")
    record(process, 3000)
    assert collector.process.stderr is not None
    assert "No space left on device; trying again" in collector.process.stderr.readline()
    assert tickets_in(snapshot(traces)) == list(range(10))
    (small_disk / "filler").unlink()
    wait_for(traces, 3010, collector)
    record(process, 5)
    told = collector.end()
    process.communicate("")
    (sink,) = told["sinks"]
    assert (sink["delivered"], sink["expired"], sink["lost"]) == (3015, 0, 0)
    assert tickets_in(snapshot(traces)) == list(range(3015))


def test_what_is_damaged_is_told_of(run: Run, dead: Path, tmp_path: Path) -> None:
    """A flipped byte costs its file, which is named, and not the store. R5.24"""
    traces = tmp_path / "traces"
    run("collect", "--once", "--keep", "--to", traces)
    (segment,) = snapshot(traces).files
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    result = run("collect", "--once", "--keep", "--to", traces)
    assert result.exit_code == 0
    assert "fails its checksum: 21 events are missing" in result.output
    assert snapshot(traces).files == ()
    assert snapshot(traces).manifest.quarantined[0].rows == 21


def test_the_stores_figures_are_told(run: Run, dead: Path, tmp_path: Path) -> None:
    """`whence stats` knows the store among the collectors and how far it is. R5.25"""
    assert run("collect", "--once", "--keep", "--to", tmp_path / "traces").exit_code == 0
    told = json.loads(run("stats", "--json").output)
    (found,) = told["collectors"]
    assert [(sink["sink"], sink["behind"]) for sink in found["sinks"]] == [
        (f"store:{tmp_path / 'traces'}", 0)
    ]


def test_own_figures_tell_of_the_store(whence_dir: Path, tmp_path: Path) -> None:
    """--metrics counts what the store has as it does for sinks. R5.25"""
    process = producer(whence_dir)
    record(process, 30)
    words = ("--interval", "10ms", "--metrics", "127.0.0.1:0")
    collector = Collector(whence_dir, "--to", tmp_path / "traces", *words)
    assert collector.process.stderr is not None
    address = collector.process.stderr.readline().split()[-1]
    wait_for(tmp_path / "traces", 30, collector)
    wanted = f'exporter="store:{tmp_path / "traces"}",outcome="delivered"}} 30'
    while True:
        with urllib.request.urlopen(address, timeout=30) as answer:
            if wanted in answer.read().decode():
                break
    collector.end()
    process.communicate("")
