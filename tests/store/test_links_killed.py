"""Links while files are merged or rewritten, killed at every step of it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="stores are written with pyarrow")
pytest.importorskip("duckdb", reason="stores are asked with duckdb")

from tests.store.failing import CountingDisk, KillingDisk
from tests.store.test_faults import in_a_child
from tests.store.test_links_at_rest import ancestors, link_files, named_links, put
from whence.store.disk import Disk
from whence.store.doctor import examine
from whence.store.folder import FolderStore

Step = Callable[[Path, Disk | None], None]
FORGOTTEN = "order-17"


def merge(path: Path, disk: Disk | None) -> None:
    """Makes one file of all, and takes the old ones away."""
    with FolderStore(path, write=True, disk=disk) as store:
        store.compact()
        store.purge()


def hide(path: Path, disk: Disk | None) -> None:
    """Has a request forgotten from the next snapshot on."""
    FolderStore(path, disk=disk).hide([FORGOTTEN])


def killed_at_each_step(start: Path, step: Step, seen: Callable[[Path], object]) -> set[object]:
    """What is seen after each kill: right away, once the next owner has come, and after a purge.

    Seen must be the same the first two times, and every file of links be named in the end.
    """
    disk = CountingDisk()
    shutil.copytree(start, counted := start.with_name("counted"))
    step(counted, disk)
    found = set()
    for at in range(1, len(disk.done) + 1):
        path = start.with_name(f"killed-{at}")
        shutil.copytree(start, path)
        ended = in_a_child(lambda path=path, at=at: step(path, KillingDisk(at)))
        assert ended == -signal.SIGKILL, disk.done[at - 1]
        now = seen(path)
        found.add(now)
        with FolderStore(path, write=True) as store:
            assert store.trouble == []
            assert seen(path) == now
            store.purge()
        assert seen(path) == now
        assert link_files(path) == named_links(path)
        assert examine(path).is_sound
        shutil.rmtree(path)
    return found


def test_a_kill_amid_a_merge_leaves_every_link(tmp_path: Path) -> None:
    """R2.34 R5.24 The walk is the same at every step, over old files or the new one."""
    start = tmp_path / "start"
    for first in range(1, 21, 2):
        put(start, [first, first + 1])
    whole = tuple(range(20, 0, -1))
    assert killed_at_each_step(start, merge, lambda path: ancestors(path, 21)) == {whole}


def forgetful(path: Path) -> None:
    """Links of 2 and 3, and that of 4, which is the request's to be forgotten."""
    put(path, [1, 2])
    put(path, [3], request=FORGOTTEN)


def both(path: Path) -> tuple[tuple[int, ...], ...]:
    return ancestors(path, 4), ancestors(path, 3)


def test_a_kill_amid_hiding_forgets_whole_or_not_at_all(tmp_path: Path) -> None:
    """R2.34 R5.24 The link is there or it leads nowhere, before and after the next owner."""
    forgetful(tmp_path / "start")
    seen = killed_at_each_step(tmp_path / "start", hide, both)
    assert seen <= {((3, 2, 1), (2, 1)), ((), (2, 1))}
    assert ((3, 2, 1), (2, 1)) in seen


def test_a_kill_amid_forgetting_brings_no_link_back(tmp_path: Path) -> None:
    """R2.34 R5.24 While the file is rewritten the forgotten link is hidden at every step."""
    start = tmp_path / "start"
    forgetful(start)
    hide(start, None)
    assert killed_at_each_step(start, merge, both) == {((), (2, 1))}
