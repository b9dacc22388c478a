"""Sources: the same options lead every command to the same recording, or say why not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import Result

from tests.cli.room import Room
from tests.query.build import event, inference_chain, late_chain, recording, session
from whence.model.recording import Recording

Run = Callable[..., Result]
Export = Callable[[Recording], Path]
Furnish = Callable[..., Room]


def process(name: str, pid: int, run_id: str = "run-1", live: bool = False) -> Recording:
    """What one process recorded: a request named like its session."""
    state = "recording" if live else "dead"
    info = session(name, pid=pid, run=run_id, live=live, state=state, service=f"svc-{name}")
    moved = [replace(e, session=name) for e in inference_chain(f"req-{name}")]
    return recording(moved, sessions=[info], rings=[])


@pytest.fixture
def three(room: Furnish) -> Room:
    """Two processes of the newest run and one of an older."""
    return room(process("new-1", 11), process("new-2", 12), process("old-1", 13, "run-0"))


def test_by_default_the_newest_run_is_read(run: Run, three: Room) -> None:
    """R5.9 Without a source, all processes of the newest run are read together."""
    assert run("why", "req-new-2").exit_code == 0
    assert three.read == [["new-1", "new-2"]]


@pytest.mark.parametrize(
    ("options", "read"),
    [
        (["--from", "12"], ["new-2"]),
        (["--pid", "13"], ["old-1"]),
        (["--session", "new-1"], ["new-1"]),
        (["--from", "old"], ["old-1"]),
        (["--all"], ["new-1", "new-2", "old-1"]),
    ],
)
def test_a_source_is_a_pid_a_name_or_its_beginning(
    run: Run, three: Room, options: list[str], read: list[str]
) -> None:
    """R5.9 --from, --pid, --session and --all choose the sessions."""
    assert run("stats", *options).exit_code == 0
    assert three.read == [read]


@pytest.mark.parametrize("path", ["/nowhere/at/all", "gone.json", "./gone"])
def test_a_path_that_leads_nowhere_is_said_not_to_exist(run: Run, three: Room, path: str) -> None:
    """R5.9 A misspelled path is no session's name."""
    for command in (["stats", "--from"], ["recover"]):
        found = run(*command, path)
        assert (found.exit_code, found.stderr) == (4, f"whence: {path} does not exist\n")


def test_recover_of_an_export_says_what_reads_it(run: Run, export: Export) -> None:
    """R5.1 An export is recovered already."""
    path = export(recording(inference_chain()))
    found = run("recover", path)
    assert found.exit_code == 1
    assert f"{path} is an export already; --from {path} reads it" in found.stderr


@pytest.mark.parametrize("option", ["--from", "--session"])
def test_a_beginning_of_several_names_is_refused(run: Run, three: Room, option: str) -> None:
    """R5.9 Which of several sessions is meant is not guessed at; they are listed."""
    found = run("stats", option, "new")
    assert (found.exit_code, three.read) == (2, [])
    assert found.stderr == "whence: 'new' names 2 sessions\n    new-1\n    new-2\n"


def test_sources_exclude_each_other(run: Run, three: Room) -> None:
    """R5.9 Two sources at once are a usage error."""
    found = run("why", "--pid", "11", "--all")
    assert found.exit_code == 2
    assert "give one of --from, --pid, --session and --all" in found.stderr


def test_an_unknown_session_exits_with_4(run: Run, three: Room, room: Furnish) -> None:
    """R5.9 No such session, and no session at all, are told as not found."""
    found = run("why", "--from", "999")
    assert (found.exit_code, found.stdout) == (4, "")
    assert "no session with pid or name '999'" in found.stderr
    room()
    nothing = run("why")
    assert nothing.exit_code == 4
    assert "no session" in nothing.stderr


@pytest.mark.parametrize("source", ["https://host:4318", "http://x"])
def test_servers_are_refused_in_this_version(run: Run, source: str) -> None:
    """R5.9 What cannot be read yet is said plainly, not searched for as a session."""
    found = run("why", "--from", source)
    assert found.exit_code == 1
    assert "not read by this version" in found.stderr


def test_a_damaged_store_is_told_of(run: Run, tmp_path: Path) -> None:
    """R5.9 A folder with a MANIFEST is a store; what is wrong with it stands on standard error."""
    (tmp_path / "MANIFEST").write_text("{}")
    result = run("why", "--from", tmp_path)
    assert result.exit_code == 4
    assert "MANIFEST" in result.stderr


def test_an_export_is_read_from_a_file_and_from_standard_input(run: Run, export: Export) -> None:
    """R5.9 Chains are explained from an export alone; - is standard input."""
    path = export(recording(late_chain()))
    from_file = run("why", "--from", path)
    piped = run("why", "--from", "-", input=path.read_bytes())
    assert from_file.exit_code == piped.exit_code == 0
    assert from_file.output.splitlines()[:9] == piped.output.splitlines()[:9]


def test_files_that_are_no_export_are_refused(run: Run, three: Room, tmp_path: Path) -> None:
    """R5.9 A damaged or foreign file fails with 1 and its reason; it is never half read."""
    damaged = tmp_path / "damaged.json"
    damaged.write_text('{"events": [')
    assert "is not JSON" in run("why", "--from", damaged).stderr
    binary = tmp_path / "picture.png"
    binary.write_bytes(b"\x89PNG\r\n")
    found = run("why", "--from", binary)
    assert found.exit_code == 1
    assert "neither a JSON export nor a file of a session" in found.stderr


def test_a_ring_file_gives_the_events_of_that_ring(run: Run, room: Furnish, tmp_path: Path) -> None:
    """R5.1 One ring's file is read with the names of its session, and narrowed to the ring."""
    folder = tmp_path / "demo-4711"
    folder.mkdir()
    for name in ("session", "ring-00001"):
        (folder / name).write_bytes(b"\x00whence")
    events = [event("tick", 0, "r", ring=0), event("tock", 1, "r", ring=1, ticket=7)]
    room(recording(events))
    found = run("chain", "r", "--from", folder / "ring-00001")
    assert "tock" in found.output
    assert "tick" not in found.output
    assert "tick" in run("chain", "r", "--from", folder / "session").output


def test_exports_can_be_read_without_the_native_module(
    run: Run, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R5.28 Where sessions cannot be read, --from FILE still answers, and the reason is told."""
    absent: dict[str, ModuleType | None] = {"whence.collect.sessions": None}
    monkeypatch.setattr(sys, "modules", sys.modules | absent)
    assert run("why", "--from", export(recording(late_chain()))).exit_code == 0
    found = run("ls")
    assert found.exit_code == 1
    assert "--from FILE reads an export file" in found.stderr
