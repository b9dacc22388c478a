"""Copies one generation of a store, which may be written meanwhile, and puts copies back."""

from __future__ import annotations

import contextlib
import os
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from whence.model.errors import CorruptFile, NotAStore
from whence.store.disk import Disk, read_plain_file
from whence.store.folder import FolderStore, Snapshot
from whence.store.link_files import mend_links
from whence.store.links import links_name
from whence.store.manifest import Segment, encoded
from whence.store.place import EVENTS, LINKS, MANIFEST, SESSIONS
from whence.store.segment import what_is_wrong

__all__ = ["Copied", "back_up", "restore"]

ATTEMPTS = 5
PIECE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied: of which generation, how many files, of which some share their bytes."""

    generation: int
    files: int
    linked: int
    rows: int


def back_up(
    store: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    link: bool = True,
    progress: Callable[[int], None] = lambda files: None,
) -> Copied:
    """Copies the newest generation of a store to a new folder, which then is a store itself.

    Its owner goes on writing. With `link` files on the same file system get a second name instead
    of a copy: they never change. Every file is compared with its checksum. Raises NotAStore where
    the target holds anything, CorruptFile for a damaged file of the store, OSError; what was
    copied until then is taken away. `progress` is told of the files as they are copied, again
    where the owner replaced one meanwhile and all begins anew.
    """
    source, folder = FolderStore(store), Path(os.path.abspath(target))
    if folder.exists() and (not folder.is_dir() or os.listdir(folder)):
        raise NotAStore(f"{folder} is there and not empty: name a new folder for the copy")
    made = not folder.exists()
    for attempt in range(ATTEMPTS):
        try:
            return _copied(source.snapshot(), folder, link, progress)
        except FileNotFoundError:  # a newer generation has replaced the file
            if attempt == ATTEMPTS - 1:
                raise
        except BaseException:
            _take_away(folder, made)
            raise
        _take_away(folder, made)
    raise AssertionError


def restore(
    backup: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    link: bool = False,
    progress: Callable[[int], None] = lambda files: None,
) -> Copied:
    """Makes a store of a backup, in a new folder; the backup stays as it is. Raises as back_up().

    The positions of sessions come with it: where their rings are still there, the next collector
    goes on where the backup ended, and stores again what came after it.
    """
    return back_up(backup, target, link=link, progress=progress)


def _copied(
    snapshot: Snapshot, folder: Path, link: bool, progress: Callable[[int], None]
) -> Copied:
    if snapshot.trouble:
        raise CorruptFile(f"{snapshot.root}: {snapshot.trouble}; whence repair puts that right")
    disk = Disk()
    folder.parent.mkdir(parents=True, exist_ok=True)
    disk.make_folder(folder)
    disk.make_folder(folder / EVENTS)
    days = {Path(each.name).parent for each in snapshot.manifest.files}
    if linked_days := {
        Path(links_name(each.name)).parent for each in snapshot.manifest.files if each.has_links
    }:
        disk.make_folder(folder / LINKS)
        days |= linked_days
    for day in sorted(days):
        disk.make_folder(folder / day)
    linked = 0
    for each in snapshot.manifest.files:
        linked += _copy_segment(snapshot.root, folder, each, link)
        _copy_links(disk, snapshot.root, folder, each)
        progress(1)
    disk.make_folder(folder / SESSIONS)
    for path in sorted((snapshot.root / SESSIONS).glob("*.json")):
        with contextlib.suppress(FileNotFoundError):
            disk.write(folder / SESSIONS / path.name, path.read_bytes())
    for each_folder in (*(folder / day for day in sorted(days)), folder / SESSIONS):
        disk.sync_folder(each_folder)
    manifest = replace(snapshot.manifest, replaced=())
    disk.write(folder / f".{MANIFEST}.new", encoded(manifest))
    disk.replace(folder / f".{MANIFEST}.new", folder / MANIFEST)
    disk.sync_folder(folder)
    return Copied(manifest.generation, len(manifest.files), linked, manifest.rows)


def _copy_segment(root: Path, folder: Path, segment: Segment, link: bool) -> bool:
    """Whether the bytes are shared."""
    source, target = root / segment.name, folder / segment.name
    if link:
        with contextlib.suppress(PermissionError, OSError):
            os.link(source, target, follow_symlinks=False)
            _check(folder, segment)
            return True
    with contextlib.suppress(FileNotFoundError):
        target.unlink()
    crc = 0
    with source.open("rb") as reading, target.open("xb") as writing:
        os.chmod(target, 0o600)
        while piece := reading.read(PIECE_BYTES):
            crc = zlib.crc32(piece, crc)
            writing.write(piece)
        writing.flush()
        os.fsync(writing.fileno())
    if f"{crc:08x}" != segment.crc32:
        raise CorruptFile(f"{segment.name} fails its checksum; whence repair puts that right")
    return False


def _copy_links(disk: Disk, root: Path, folder: Path, segment: Segment) -> None:
    """The links of a segment that was copied; made again from it where their file is damaged."""
    if segment.links is None or not segment.has_links:
        return
    target = folder / links_name(segment.name)
    with contextlib.suppress(FileNotFoundError):
        content = read_plain_file(root / links_name(segment.name))
        if f"{zlib.crc32(content):08x}" == segment.links.crc32:
            disk.write(target, content)
            return
    mend_links(disk, folder, segment, 0o600, 0o700)


def _check(root: Path, segment: Segment) -> None:
    if why := what_is_wrong(root, segment, whole=True):
        raise CorruptFile(f"{segment.name} {why}; whence repair puts that right")


def _take_away(folder: Path, made: bool) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if not made:
        folder.mkdir(exist_ok=True)
