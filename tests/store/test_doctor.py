"""Doctor, repair, backup and restore: damage is named and set aside, copies are whole stores."""

from __future__ import annotations

import json
import shutil
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.store.rows import NOON, SECOND, UUID, rows, tickets_in, told
from tests.store.test_faults import files_in, flipped
from whence.cli.main import cli
from whence.collect.sink_ledger import SinkLedger
from whence.model.errors import CorruptFile, NotAStore, StoreOwned, UnsupportedFormat
from whence.store.backup import back_up, restore
from whence.store.doctor import examine
from whence.store.folder import FolderStore
from whence.store.manifest import STEPS, Manifest, encoded, parsed_manifest
from whence.store.place import MANIFEST, PREVIOUS
from whence.store.repair import repair
from whence.store.upkeep import Upkeep

Run = Callable[..., Result]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of three files."""
    with FolderStore(tmp_path / "traces", write=True) as store:
        store.put_session(told())
        for first in (0, 100, 200):
            upto = first + 100
            ledger = SinkLedger(read=upto, delivered=upto)
            store.append(rows(range(first, upto), NOON), {UUID: {0: upto}}, ledger)
    return tmp_path / "traces"


def run(*arguments: object) -> Result:
    """Runs `whence`."""
    return CliRunner().invoke(cli, [str(each) for each in arguments], prog_name="whence")


def test_a_sound_store_is_called_so_and_its_bytes_are_told(path: Path) -> None:
    """By day, level and column; nothing is changed. R5.24"""
    before = files_in(path)
    result = run("doctor", path)
    assert result.exit_code == 0, result.output
    assert "300 events in 3 files" in result.output
    assert "Nothing is wrong." in result.output
    found = json.loads(run("doctor", path, "--json").output)
    assert found["levels"] == {"L0": found["bytes"]}
    assert 0 < sum(found["columns"].values()) < found["bytes"]
    assert found["problems"] == []
    assert files_in(path) == before


def test_damage_is_named_and_repaired_without_another_loss(path: Path) -> None:
    """A dry run says what would be done; the rest of the store is whole. R5.24"""
    file = FolderStore(path).snapshot().manifest.files[1]
    flipped(path / file.name, 500)
    flipped(path / MANIFEST, 50)
    assert run("doctor", path).exit_code == 1
    dry = run("repair", path, "--dry-run")
    assert dry.exit_code == 1
    assert file.name in dry.output.replace("\n", "")
    assert not (path / "quarantine").exists()
    result = run("repair", path)
    assert result.exit_code == 0, result.output
    assert tickets_in(FolderStore(path).snapshot()) == [*range(100), *range(200, 300)]
    again = examine(path)
    assert [each.file for each in again.problems] == [file.name]
    assert "quarantine" in again.problems[0].advice
    assert repair(path).told == ()


def test_the_doctor_sees_what_lies_around(path: Path) -> None:
    """Files that nobody counts, sessions that cannot be read, wishes that cannot be read."""
    day = FolderStore(path).snapshot().files[0].parent
    (day / "L0-1-2-01ARZ3NDEKTSV4RRFFQ69G5FAV.parquet").write_text("half")
    (path / "sessions" / f"{UUID}.json").write_text("{")
    FolderStore(path).hide(["req-1"])
    next((path / "forget").iterdir()).write_text("[")
    told_of = " ".join(f"{each.file} {each.what}" for each in examine(path).problems)
    assert "01ARZ3NDEKTSV4RRFFQ69G5FAV.parquet is counted nowhere" in told_of
    assert f"sessions/{UUID}.json" in told_of
    assert "somebody is not forgotten" in told_of


def test_what_is_still_there_a_day_after_it_was_forgotten_is_late(path: Path) -> None:
    """R4.44 Asked for and not taken in, or taken in and not rewritten; not before that."""
    day_ns = 24 * 3_600 * SECOND
    with FolderStore(path, write=True) as store:
        store.hide(["req-1"])
        asked_ns = time.time_ns()

        def seen(after_ns: int) -> list[str]:
            found = examine(path, wall_ns=lambda: asked_ns + after_ns)
            return [each.what for each in found.problems]

        assert seen(day_ns - SECOND * 60) == []
        [what] = seen(day_ns + SECOND)
        assert "asks since more than a day" in what
        Upkeep(store)._take_in()
        assert seen(day_ns - SECOND * 60) == []
        [what] = seen(30 * day_ns // 24 + SECOND)
        assert what == "what was forgotten 30 hours ago may still be in 3 files"
        store.purge()
        assert seen(2 * day_ns) == []


def test_repair_leaves_a_store_that_is_written_alone(path: Path) -> None:
    """Its owner is named; a dry run may look."""
    with FolderStore(path, write=True):
        with pytest.raises(StoreOwned):
            repair(path)
        assert repair(path, dry_run=True).told == ()


def test_the_folder_of_sessions_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it lies, whether that survives, and how many sessions it holds. R1.28"""
    monkeypatch.setenv("WHENCE_DIR", str(tmp_path))
    result = run("doctor", "--json")
    found = json.loads(result.output)
    assert str(tmp_path) in " ".join(found["sessions"].values())
    monkeypatch.setattr("whence.cli.doctor._in_container", lambda: True)
    monkeypatch.setattr("whence.cli.doctor._mount", lambda folder: ("overlay", "/"))
    result = run("doctor")
    assert result.exit_code == 1
    assert "goes with the container" in result.output


@pytest.mark.parametrize("link", [True, False])
def test_a_backup_is_a_store_of_one_generation(path: Path, tmp_path: Path, link: bool) -> None:
    """Taken while the owner goes on writing, merging and deleting; restored, it goes on. R5.24"""
    told: list[int] = []
    with FolderStore(path, write=True) as store:
        made = back_up(path, tmp_path / "copy", link=link, progress=told.append)
        assert (made.files, made.linked, made.rows) == (3, 3 if link else 0, 300)
        assert told == [1, 1, 1]  # a file each
        store.append(rows([900], NOON), {UUID: {0: 901}})
        store.compact()
        store.purge()
    assert tickets_in(FolderStore(tmp_path / "copy").snapshot()) == list(range(300))
    assert examine(tmp_path / "copy").is_sound
    restore(tmp_path / "copy", tmp_path / "again")
    with FolderStore(tmp_path / "again", write=True) as store:
        assert store.trouble == []
        assert store.manifest.positions == {UUID: {0: 300}}
        assert [each.info.uuid for each in store.snapshot().sessions.values()] == [UUID]
        store.append(rows([300], NOON), {UUID: {0: 301}})
    assert tickets_in(FolderStore(tmp_path / "copy").snapshot()) == list(range(300))
    assert examine(path).is_sound


def test_a_backup_of_a_damaged_file_is_none(path: Path, tmp_path: Path) -> None:
    """Nothing is left of it, and a folder of other things is not touched."""
    file = FolderStore(path).snapshot().manifest.files[2]
    flipped(path / file.name, 500)
    for link in (True, False):
        with pytest.raises(CorruptFile, match="checksum"):
            back_up(path, tmp_path / "copy", link=link)
        assert not (tmp_path / "copy").exists()
    with pytest.raises(NotAStore, match="not empty"):
        back_up(path, tmp_path)
    result = run("backup", path, tmp_path / "copy")
    assert result.exit_code == 1
    assert "whence repair" in result.output


def test_a_backup_begins_anew_when_files_were_replaced_meanwhile(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is of the generation that is there then."""
    old = FolderStore(path).snapshot()
    with FolderStore(path, write=True) as store:
        store.compact()
        store.purge()
    snapshots = [old, FolderStore(path).snapshot()]
    monkeypatch.setattr(FolderStore, "snapshot", lambda store: snapshots.pop(0))
    assert back_up(path, tmp_path / "copy").rows == 300
    assert snapshots == []


def test_backup_and_restore_by_command(path: Path, tmp_path: Path) -> None:
    """The commands say what they made."""
    result = run("backup", path, tmp_path / "copy", "--copy", "--json")
    assert json.loads(result.output)["events"] == 300
    assert run("restore", tmp_path / "copy", tmp_path / "again").exit_code == 0
    assert tickets_in(FolderStore(tmp_path / "again").snapshot()) == list(range(300))
    assert run("doctor", tmp_path / "again", "--compact").exit_code == 0
    assert len(FolderStore(tmp_path / "again").snapshot().files) == 1


def of_version(version: int, change: Callable[[dict[str, Any]], None], path: Path) -> None:
    """Makes a store's manifest one of another version."""
    value = json.loads((path / MANIFEST).read_bytes())
    del value["crc32"]
    value["version"] = version
    change(value)
    content = json.dumps(value, separators=(",", ":"))[:-1].encode()
    (path / PREVIOUS).unlink(missing_ok=True)
    (path / MANIFEST).write_bytes(b'%s,"crc32":"%08x"}\n' % (content, zlib.crc32(content)))


def test_a_store_of_an_earlier_version_is_read_by_steps(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A made-up version 0 called the files parts; the next commit writes the current version."""

    def rename(value: dict[str, Any]) -> None:
        value["parts"] = value.pop("files")

    def step(value: dict[str, Any]) -> dict[str, Any]:
        return {**value, "files": value["parts"], "version": 1}

    of_version(0, rename, path)
    with pytest.raises(UnsupportedFormat, match="version 0"):
        FolderStore(path)
    monkeypatch.setitem(STEPS, 0, step)
    assert tickets_in(FolderStore(path).snapshot()) == list(range(300))
    with FolderStore(path, write=True) as store:
        store.append(rows([300], NOON))
    assert json.loads((path / MANIFEST).read_bytes())["version"] == 1
    assert tickets_in(FolderStore(path).snapshot()) == list(range(301))
    of_version(2, lambda value: None, path)
    with pytest.raises(UnsupportedFormat, match="version 2"):
        FolderStore(path)


def test_a_manifest_reads_as_it_was_written(path: Path, tmp_path: Path) -> None:
    """With all that time has added to it."""
    shutil.copytree(path, copy := tmp_path / "copy")
    FolderStore(copy).hide(["req-1"])
    with FolderStore(copy, write=True) as store:
        store.keep(days=1, size=1)
        store.compact()
        manifest = store.manifest
    assert parsed_manifest(encoded(manifest)) == manifest
    assert replace(manifest, files=()) != Manifest()
