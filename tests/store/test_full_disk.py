"""A store with limits on a disk that is really full: the reserve lets it drop files, and go on."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="stores are read with pyarrow")

from tests.mounted import disk_of
from tests.store.rows import NOON, SECOND, rows, tickets_in
from whence.store.folder import FolderStore
from whence.store.owned_folder import is_full
from whence.store.place import RESERVE
from whence.store.upkeep import Upkeep

DAY_NS = 86_400 * SECOND


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB in memory."""
    with disk_of("4m", tmp_path / "disk") as place:
        yield place


def test_the_reserve_makes_room_on_a_full_disk(small_disk: Path) -> None:
    """R4.44 With not one block left the oldest day goes, and the next commit has room again."""
    path = small_disk / "traces"
    with FolderStore(path, write=True) as store:
        for day in range(4):
            store.append(rows(range(day * 8, day * 8 + 8), NOON + day * DAY_NS))
        store.keep(size=1)
        assert (path / RESERVE).stat().st_size
        _fill(small_disk / "ballast")
        with pytest.raises(OSError, match="No space") as refused:
            store.append(rows(range(32, 40), NOON + 4 * DAY_NS))
        assert is_full(refused.value)
        upkeep = Upkeep(store)
        while len(store.manifest.files) > 1:
            upkeep.step()
            assert not upkeep.trouble
        assert store.manifest.dropped["rows_by_size"] == 24
        store.append(rows(range(32, 40), NOON + 4 * DAY_NS))
    assert tickets_in(FolderStore(path).snapshot()) == [*range(24, 32), *range(32, 40)]


def _fill(ballast: Path) -> None:
    """Takes all room there is, to the last block."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(os.urandom(1 << 16)):
            pass
