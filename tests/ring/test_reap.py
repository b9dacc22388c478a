"""When dead sessions go: on request, or the oldest first when the folder is full."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.apps import AppRun
from tests.ring.session_bytes import session_bytes, write_session
from whence.ring.folders import session_folders
from whence.ring.reap import enforce_byte_cap, remove_session
from whence.ring.session_file import read_session_file

RunApp = Callable[..., AppRun]


def tombstones(base: Path) -> list[dict[str, object]]:
    """The lines of the file of tombstones."""
    return [json.loads(line) for line in (base / "tombstones.ndjson").read_text().splitlines()]


@pytest.fixture
def four(tmp_path: Path) -> list[Path]:
    """Four dead sessions of 100 KiB, oldest first."""
    folders = [write_session(tmp_path, f"2026010{day}T000000-1-a") for day in (1, 2, 3, 4)]
    for folder in folders:
        (folder / "ring-00000").write_bytes(b"x" * 92 * 1024)
    return folders


def test_a_dead_session_is_removed_whole_and_noted(tmp_path: Path) -> None:
    """Its folder goes; a line says what, whose, when, how large and why. P9"""
    folder = write_session(tmp_path, "s", session_bytes(said={"service": "é"}))
    (folder / "ring-00000").write_bytes(b"x" * 4096)
    info = read_session_file(folder)
    remove_session(info, "because")
    assert not folder.exists()
    (stone,) = tombstones(tmp_path)
    assert (stone["session"], stone["uuid"], stone["pid"]) == ("s", info.uuid, 4711)
    assert (stone["service"], stone["why"]) == ("é", "because")
    assert stone["bytes"] == 8192 + 4096
    assert (tmp_path / "tombstones.ndjson").stat().st_mode & 0o777 == 0o600


def test_tombstones_add_up(tmp_path: Path) -> None:
    """Each removal adds a line to those before it. P9"""
    for name in ("a", "b"):
        remove_session(read_session_file(write_session(tmp_path, name)), "done")
    assert [stone["session"] for stone in tombstones(tmp_path)] == ["a", "b"]


def test_a_live_session_is_never_removed(run_app: RunApp) -> None:
    """Not on request, not when the folder is far beyond its cap. P9 P10"""
    run = run_app("""
        import whence
        from whence.collect.sessions import list_sessions, remove_session
        from whence.ring.reap import enforce_byte_cap
        whence.kind("tick", component="C", n=int)(1)
        (session,) = list_sessions()
        assert session.live
        try:
            remove_session(whence.session().path)
        except ValueError as error:
            assert f"pid {session.pid}" in str(error)
        else:
            raise SystemExit("removed a live session")
        assert enforce_byte_cap(cap_bytes=0) == []
        assert [each.name for each in list_sessions()] == [session.name]
    """)
    assert len(run.recording().events) == 1


@pytest.mark.parametrize(("cap_kib", "kept"), [(1000, 4), (400, 4), (399, 3), (200, 2), (99, 0)])
def test_the_oldest_go_first_until_the_rest_fits(four: list[Path], cap_kib: int, kept: int) -> None:
    """The cap counts bytes on disk; nothing goes that need not. P9"""
    base = four[0].parent
    removed = enforce_byte_cap(base, cap_kib * 1024)
    assert removed == [folder.name for folder in four[: 4 - kept]]
    assert [folder for folder in four if folder.exists()] == four[4 - kept :]
    if removed:
        assert [stone["session"] for stone in tombstones(base)] == removed
        assert all("byte cap" in str(stone["why"]) for stone in tombstones(base))


def test_whoever_waits_removes_only_so_many(four: list[Path]) -> None:
    """A program's first event does not wait until thousands are gone: later ones go on. P9"""
    base = four[0].parent
    assert enforce_byte_cap(base, 0, most=3) == [folder.name for folder in four[:3]]
    assert enforce_byte_cap(base, 0, most=3) == [four[3].name]


def test_what_cannot_be_read_stays(four: list[Path]) -> None:
    """A damaged session is not ours to judge: it stays, and counts. P14"""
    (four[0] / "session").write_bytes(b"damaged")
    assert enforce_byte_cap(four[0].parent, 200 * 1024) == [four[1].name, four[2].name]
    assert four[0].exists()


def test_what_somebody_put_into_a_session_stays(four: list[Path]) -> None:
    """A folder in it is not ours: the session's files go, and nothing is raised. P9"""
    (four[0] / "somebody's").mkdir()
    assert enforce_byte_cap(four[0].parent, 300 * 1024) == [four[0].name]
    assert os.listdir(four[0]) == ["somebody's"]
    assert list(session_folders(four[0].parent)) == four[:0:-1]


def test_a_removal_cut_short_leaves_a_session_to_remove(
    four: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session file goes last, so nothing is left that nobody would look for. P5 P9"""
    unlink = os.unlink

    def fail_at_last(path: Path) -> None:
        if path.name == "session":
            raise PermissionError(path)
        unlink(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", fail_at_last)
        assert enforce_byte_cap(four[0].parent, 0) == []
    assert [os.listdir(folder) for folder in four] == [["session"]] * 4
    assert enforce_byte_cap(four[0].parent, 0) == [folder.name for folder in four]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    """No sessions, nothing to remove. P9"""
    assert enforce_byte_cap(tmp_path / "nowhere", 0) == []


def test_tombstones_are_not_written_through_a_link(tmp_path: Path) -> None:
    """A link in the file's place is not followed, and the session stays. P15"""
    folder = write_session(tmp_path / "base", "s")
    (tmp_path / "base" / "tombstones.ndjson").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match=r"symbolic|Too many"):
        remove_session(read_session_file(folder), "because")
    assert folder.exists()
    assert not (tmp_path / "victim").exists()
    assert enforce_byte_cap(tmp_path / "base", 0) == []


def test_a_new_session_makes_room_for_itself(run_app: RunApp, tmp_path: Path) -> None:
    """The first event of a process applies $WHENCE_CAP_BYTES to what others left. P9"""
    left = write_session(tmp_path / "whence", "20200101T000000-1-a")
    run = run_app(
        "import whence; whence.kind('tick', component='C', n=int)(1)",
        env={"WHENCE_CAP_BYTES": "4096"},
    )
    assert run.stderr == ""
    assert not left.exists()
    assert run.session_dir.name > left.name
    assert [stone["session"] for stone in tombstones(run.whence_dir)] == [left.name]
    assert os.listdir(run.whence_dir).count("tombstones.ndjson") == 1
