"""Sessions whose session file cannot be read: told of, and in nobody's way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_sessions import record, whence


@pytest.fixture
def broken(whence_dir: Path) -> str:
    """The name of a session whose session file is damaged; beside it lies a sound one."""
    record()
    (folder,) = [entry for entry in whence_dir.iterdir() if entry.is_dir()]
    (folder / "session").write_bytes(b"damaged")
    record()
    return folder.name


def test_recover_goes_on_past_a_session_that_cannot_be_read(
    broken: str, whence_dir: Path, tmp_path: Path
) -> None:
    """R5.1 R5.24 The sound sessions are recovered, the other is named, and exit code 3 tells."""
    target = tmp_path / "out.json"
    found = whence("recover", whence_dir, "-o", target, "--reap")
    assert found.returncode == 3, found.stderr
    assert f"Cannot be read: {broken}/session: " in found.stdout
    assert (whence_dir / broken).is_dir()
    written = json.loads(target.read_text())
    assert len(written["sessions"]) == 1
    assert len(written["events"]) == 11
    assert [damage["session"] for damage in written["damage"]] == [broken]


def test_ls_shows_a_session_that_cannot_be_read_as_damaged(broken: str) -> None:
    """R5.9 R5.24 It stands in the list with what is wrong with it; as JSON it is damage."""
    found = whence("ls")
    assert found.returncode == 0
    assert f"damaged  {broken}" in " ".join(found.stdout.split()).replace("damaged ", "damaged  ")
    assert f"Cannot be read: {broken}/session: " in found.stdout
    told = json.loads(whence("ls", "--json").stdout)
    assert [damage["session"] for damage in told["damage"]] == [broken]
    assert len(told["sessions"]) == 1


def test_all_reads_the_others_and_tells_of_the_damaged_one(broken: str) -> None:
    """R5.9 R5.24 --all means all: what it could not read is in the ledger and on standard error."""
    stats = whence("stats", "--all", "--json")
    assert stats.returncode == 3
    assert [damage["session"] for damage in json.loads(stats.stdout)["damage"]] == [broken]
    for arguments in (("why", "req-1"), ("chain", "req-1")):
        told = whence(*arguments, "--all")
        assert "req-1" in told.stdout
        assert f"Cannot be read: {broken}/session" in told.stderr
    streamed = whence("stream", "--all", "--once", "--json")
    assert len(streamed.stdout.splitlines()) == 11
    assert f"Cannot be read: {broken}/session" in streamed.stderr


def test_naming_the_damaged_session_says_what_is_wrong_with_it(
    broken: str, whence_dir: Path
) -> None:
    """R5.9 R5.24 Its name or its path gives the reason, not that nothing is there."""
    for source in (broken, whence_dir / broken):
        found = whence("stats", "--from", source)
        assert found.returncode == 1
        assert "the session file is cut short" in found.stderr


def test_where_no_session_can_be_read_the_message_points_to_ls(whence_dir: Path) -> None:
    """R5.9 R5.24 Nobody is told to record something where something is recorded."""
    record()
    (folder,) = [entry for entry in whence_dir.iterdir() if entry.is_dir()]
    (folder / "session").write_bytes(b"damaged")
    found = whence("why")
    assert found.returncode == 4
    assert "none of 1 sessions" in found.stderr
    assert "whence ls" in found.stderr


def test_a_newer_session_that_cannot_be_read_is_not_passed_over_silently(whence_dir: Path) -> None:
    """R5.9 R5.24 Who asks about the newest run learns that an older one answers, and why."""
    record()
    (folder,) = [entry for entry in whence_dir.iterdir() if entry.is_dir()]
    newer, older = (whence_dir / f"{year}{folder.name[4:]}" for year in (2999, 1999))
    for torn in (newer, older):
        torn.mkdir(mode=0o700)
        (torn / "session").write_bytes(b"damaged")
    for verb in ("why", "stats", "export"):
        found = whence(verb)
        assert f"Cannot be read: {newer.name}/session" in found.stderr
        assert older.name not in found.stderr
