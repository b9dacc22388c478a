"""Links beside segments: committed, merged, dropped, forgotten and mended with their rows."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="stores are written with pyarrow")
pytest.importorskip("duckdb", reason="stores are asked with duckdb")

from tests.conformance.lineage import event_of
from tests.query.worlds import SESSIONS
from tests.store.failing import CountingDisk, FailingDisk, KillingDisk
from tests.store.test_faults import in_a_child
from whence.model.lineage_events import LinkPart
from whence.query.engines.folder import FolderEngine
from whence.store.backup import back_up
from whence.store.disk import Disk
from whence.store.doctor import examine
from whence.store.folder import FolderStore
from whence.store.links import links_name
from whence.store.repair import repair
from whence.store.tables import table_of

UUID = "0199a3c2-7b1e-7c44-9a11-3f5d1c2b4e60"


def line(numbers: Sequence[int], request: str = "") -> object:
    """A row for each number, which says that its frame was made of the one before."""
    events = [event_of(LinkPart(n + 1, 1, 0, n, (n,)), n * 2) for n in numbers]
    if request:
        events = [replace(e, request_id=request, decision_chain_id=request) for e in events]
    return table_of(events, SESSIONS)


def put(path: Path, numbers: Sequence[int], disk: Disk | None = None, request: str = "") -> None:
    """One append by a new owner."""
    with FolderStore(path, write=True, disk=disk) as store:
        store.append(line(numbers, request), {UUID: {0: max(numbers) + 1}})  # type: ignore[arg-type]


def ancestors(path: Path, of: int) -> tuple[int, ...]:
    """What a frame was made of, as a reader sees it."""
    with FolderEngine(path, threads=1) as engine:
        return engine.lineage(of).ids


def link_files(path: Path) -> set[str]:
    """All files of links that lie there."""
    return {found.relative_to(path).as_posix() for found in path.rglob("links/*/*")}


def named_links(path: Path) -> set[str]:
    """Those that the manifest stands for."""
    return {
        links_name(each.name)
        for each in FolderStore(path).snapshot().manifest.files
        if each.has_links
    }


def test_links_are_committed_with_their_rows_or_not_at_all(tmp_path: Path) -> None:
    """R2.34 R5.24 A kill at any step: the walk is the old one or the new, nothing is left over."""
    put(tmp_path / "start", [1, 2])
    disk = CountingDisk()
    shutil.copytree(tmp_path / "start", tmp_path / "counted")
    put(tmp_path / "counted", [3, 4], disk)
    seen = set()
    for at in range(1, len(disk.done) + 1):
        path = tmp_path / f"killed-{at}"
        shutil.copytree(tmp_path / "start", path)
        ended = in_a_child(lambda path=path, at=at: put(path, [3, 4], KillingDisk(at)))
        assert ended == -signal.SIGKILL, disk.done[at - 1]
        found = ancestors(path, 5)
        seen.add(found)
        with FolderStore(path, write=True) as store:
            assert store.trouble == []
        assert link_files(path) == named_links(path)
        assert ancestors(path, 5) == found
    assert seen == {(), (4, 3, 2, 1)}


def test_a_disk_that_refuses_leaves_no_links_without_rows(tmp_path: Path) -> None:
    """R2.34 R5.24 ENOSPC at any step: the append fails whole, and is made again."""
    put(tmp_path / "start", [1, 2])
    disk = CountingDisk()
    shutil.copytree(tmp_path / "start", tmp_path / "counted")
    put(tmp_path / "counted", [3, 4], disk)
    assert any(name.endswith(".links") or ".links" in name for name in disk.done)
    for at in range(1, len(disk.done) + 1):
        path = tmp_path / f"full-{at}"
        shutil.copytree(tmp_path / "start", path)
        with FolderStore(path, write=True, disk=(refusing := FailingDisk(-1))) as store:
            refusing.done.clear()
            refusing.at = at
            with contextlib.suppress(OSError):
                store.append(line([3, 4]), {UUID: {0: 5}})  # type: ignore[arg-type]
            refusing.free()
            store.append(line([3, 4]), {UUID: {0: 5}})  # type: ignore[arg-type]
            store.sync()
        assert ancestors(path, 5) == (4, 3, 2, 1)
        with FolderStore(path, write=True):
            pass
        assert link_files(path) == named_links(path)


def test_merged_files_have_merged_links(tmp_path: Path) -> None:
    """R2.34 Many files become one, with one file of links, and the walk is the same."""
    path = tmp_path / "store"
    for first in range(1, 21, 2):
        put(path, [first, first + 1])
    before = ancestors(path, 21)
    with FolderStore(path, write=True) as store:
        assert store.compact() == 1
        assert ancestors(path, 21) == before == tuple(range(20, 0, -1))
        assert len(named_links(path)) == 1
        assert len(link_files(path)) == 11, "readers of the generation before may still ask"
        store.purge()
    assert link_files(path) == named_links(path)


def test_forgotten_links_are_hidden_at_once_and_then_gone(tmp_path: Path) -> None:
    """R2.34 A link of a forgotten request leads nowhere, before its file is rewritten and after."""
    path = tmp_path / "store"
    put(path, [1, 2])
    put(path, [3], request="order-17")
    assert ancestors(path, 4) == (3, 2, 1)
    FolderStore(path).hide(["order-17"])
    assert ancestors(path, 4) == ()
    assert ancestors(path, 3) == (2, 1)
    with FolderStore(path, write=True) as store:
        store.purge()
    assert ancestors(path, 4) == ()
    assert link_files(path) == named_links(path)


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_damaged_links_are_read_from_the_rows_and_made_again(tmp_path: Path, harm: str) -> None:
    """R2.34 A flipped byte, a cut, or no file: readers see the same, doctor tells, repair mends."""
    path = tmp_path / "store"
    put(path, [1, 2, 3])
    (name,) = named_links(path)
    file = path / name
    content = bytearray(file.read_bytes())
    if harm == "flip":
        content[-3] ^= 1
        file.write_bytes(content)
    elif harm == "cut":
        file.write_bytes(content[:-8])
    else:
        file.unlink()
    assert ancestors(path, 4) == (3, 2, 1)
    assert [each.file for each in examine(path).problems] == [name]
    assert "was made again from its events" in " ".join(repair(path).told)
    assert examine(path).is_sound
    assert ancestors(path, 4) == (3, 2, 1)


def test_a_lost_manifest_loses_no_links(tmp_path: Path) -> None:
    """R2.34 R5.24 With both manifests gone the segments' notes tell of their links."""
    path = tmp_path / "store"
    put(path, [1, 2])
    put(path, [3])
    for name in ("MANIFEST", "MANIFEST.previous"):
        (path / name).unlink()
    assert ancestors(path, 4) == (3, 2, 1)
    repair(path)
    assert ancestors(path, 4) == (3, 2, 1)
    assert examine(path).is_sound


def test_copies_and_limits_take_links_along(tmp_path: Path) -> None:
    """R2.34 A backup has the links; what a store drops takes its links with it."""
    path = tmp_path / "store"
    put(path, [1])
    put(path, [2])
    back_up(path, tmp_path / "copy")
    assert ancestors(tmp_path / "copy", 3) == (2, 1)
    assert examine(tmp_path / "copy").is_sound
    with FolderStore(path, write=True) as store:
        store.keep(size=1)
        store.purge()
        assert len(store.manifest.files) == 1
    assert link_files(path) == named_links(path)
