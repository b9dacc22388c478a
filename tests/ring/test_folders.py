"""Where sessions are looked for, and what is not opened there."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.apps import AppRun
from tests.ring.session_bytes import write_session
from whence.model.errors import NotASession
from whence.ring.folders import base_folders, open_session_file, ring_files, session_folders

RunApp = Callable[..., AppRun]


def test_sessions_are_in_the_folder_that_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """WHENCE_DIR is the only place when it is set. P15"""
    monkeypatch.setenv("WHENCE_DIR", "/chosen")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert base_folders() == [Path("/chosen")]


def test_sessions_are_in_memory_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without WHENCE_DIR, or with an empty one: shared memory, then the runtime folder. P15"""
    memory = Path(f"/dev/shm/whence-{os.geteuid()}")
    monkeypatch.setenv("WHENCE_DIR", "")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert base_folders() == [memory, Path("/run/user/7/whence")]
    monkeypatch.delenv("WHENCE_DIR")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert base_folders() == [memory]


def test_only_folders_with_a_session_file_are_sessions(tmp_path: Path) -> None:
    """Files, links, hidden folders and others' folders are passed over; newest name first. P15"""
    older = write_session(tmp_path, "20260101T000000-1-a")
    newer = write_session(tmp_path, "20260102T000000-1-a")
    write_session(tmp_path, ".new-20260103T000000-1-a")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(older)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert list(session_folders(tmp_path)) == [newer, older]


def test_a_place_that_is_no_folder_has_no_sessions(tmp_path: Path) -> None:
    """Asking a file, or what is not there, finds nothing. P15"""
    (tmp_path / "file").touch()
    assert list(session_folders(tmp_path / "file")) == []
    assert list(session_folders(tmp_path / "nowhere")) == []


def test_a_plain_file_is_opened_for_reading_only(tmp_path: Path) -> None:
    """The descriptor reads, does not write, and is not inherited. P1 P15"""
    handle = open_session_file(write_session(tmp_path, "s"), "session")
    try:
        assert os.read(handle, 8) == b"WHNCSESS"
        assert not os.get_inheritable(handle)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(handle, b"x")
    finally:
        os.close(handle)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Not to a good file, not to nothing, not to a device. P15"""
    good = write_session(tmp_path, "good")
    folder = tmp_path / "bad"
    folder.mkdir()
    for target in (good / "session", tmp_path / "nowhere", Path("/dev/zero")):
        link = folder / "session"
        link.symlink_to(target)
        with pytest.raises(NotASession, match="symbolic link"):
            open_session_file(folder, "session")
        link.unlink()


@pytest.mark.parametrize("make", ["fifo", "folder", "socket"])
def test_what_is_no_plain_file_is_refused_at_once(make: str, tmp_path: Path) -> None:
    """A pipe in the file's place does not make the reader wait. P15"""
    place = tmp_path / "session"
    if make == "fifo":
        os.mkfifo(place)
    elif make == "folder":
        place.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(place)[:107])
    with pytest.raises((NotASession, OSError)):
        open_session_file(tmp_path, "session")


def test_a_file_with_a_second_name_is_refused(tmp_path: Path) -> None:
    """Somebody else could hold the other name. P15"""
    folder = write_session(tmp_path, "s")
    os.link(folder / "session", tmp_path / "other")
    with pytest.raises(NotASession, match="second name"):
        open_session_file(folder, "session")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_root_reads_the_files_of_others(tmp_path: Path) -> None:
    """For an administrator a session of any user is one. P15"""
    folder = write_session(tmp_path, "s")
    os.chown(folder / "session", 12345, 12345)
    os.close(open_session_file(folder, "session"))


def test_the_file_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user reads own sessions and those of root, and is told whose file it is. P15"""
    folder = write_session(tmp_path, "s")
    owner = (folder / "session").stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    if owner == 0:
        os.close(open_session_file(folder, "session"))
        os.chown(folder / "session", 12345, 12345)
        owner = 12345
    with pytest.raises(NotASession, match=f"belongs to user {owner}; run as them"):
        open_session_file(folder, "session")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_groups_file_is_read_where_the_group_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WHENCE_GROUP=1 reads files of a group of ours that others cannot open, and no more. P15"""
    file = write_session(tmp_path, "s") / "session"
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    monkeypatch.setattr(os, "getgroups", lambda: [777])
    os.chown(file, 12345, 777)
    file.chmod(0o640)
    with pytest.raises(NotASession, match="set WHENCE_GROUP=1"):
        open_session_file(file.parent, "session")
    monkeypatch.setenv("WHENCE_GROUP", "1")
    os.close(open_session_file(file.parent, "session"))
    file.chmod(0o644)
    with pytest.raises(NotASession, match="others may open it"):
        open_session_file(file.parent, "session")
    file.chmod(0o640)
    os.chown(file, 12345, 778)
    with pytest.raises(NotASession, match="none of yours"):
        open_session_file(file.parent, "session")


def test_the_group_may_read_where_it_was_asked_for(run_app: RunApp) -> None:
    """WHENCE_GROUP=1 gives folders 0750 and files 0640 under any umask; others get nothing. P15"""
    source = """
        import os
        os.umask(0o777)
        import whence
        whence.kind("tick", component="x", n=int)(1)
        """
    run = run_app(source, env={"WHENCE_GROUP": "1"})
    assert stat.S_IMODE(run.whence_dir.stat().st_mode) == 0o750
    assert stat.S_IMODE(run.session_dir.stat().st_mode) == 0o750
    assert {stat.S_IMODE(path.stat().st_mode) for path in run.session_dir.iterdir()} == {0o640}
    assert len(run.recording().events) == 1


def test_a_folder_hands_its_group_down(run_app: RunApp, tmp_path: Path) -> None:
    """A set-group folder, as pods share them, keeps that bit all the way to the session. P15"""
    (tmp_path / "whence").mkdir()
    (tmp_path / "whence").chmod(0o2770)
    run = run_app(
        'import whence; whence.kind("tick", component="x", n=int)(1)', env={"WHENCE_GROUP": "1"}
    )
    assert stat.S_IMODE(run.session_dir.stat().st_mode) == 0o2750


def test_ring_files_are_found_by_their_numbers(tmp_path: Path) -> None:
    """Only ring- and digits, in the order of the numbers; half-made ones are hidden. P7"""
    rings = ["ring-00002", "ring-00010", "ring-99999", "ring-100000"]
    for name in (*rings, "ring-", "ring-x", "ring-1", ".new-00003", "names", "ring-٣٣٣٣٣"):
        (tmp_path / name).touch()
    assert ring_files(tmp_path) == rings


def test_sessions_are_private(run_app: RunApp) -> None:
    """Folders are 0700 and files 0600, whatever the umask; nothing half-made is left. P15"""
    run = run_app("""
        import os, whence
        os.umask(0)
        whence.kind("tick", component="C", n=int)(1)
        whence.TraceCollector(5).record_now("t", "C")
    """)
    folders = [run.whence_dir, run.session_dir]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700] * 2
    files = sorted(os.listdir(run.session_dir))
    assert files == ["control", "gates", "names", "ring-00000", "ring-00001", "session"]
    assert {stat.S_IMODE((run.session_dir / name).stat().st_mode) for name in files} == {0o600}
    assert os.listdir(run.whence_dir) == [run.session_dir.name]
