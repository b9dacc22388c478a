"""What only a store's owner does to its files: commits, quarantine, sweeping, room to commit."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from whence.store.disk import Disk
from whence.store.link_files import (
    link_files,
    mend_links,
    what_is_wrong_with_links,
    write_links,
)
from whence.store.links import links_name, segment_of_links
from whence.store.manifest import Manifest, Quarantined, Segment, encoded
from whence.store.owner import OwnerLock
from whence.store.place import (
    EVENTS,
    LINKS,
    MANIFEST,
    NEW_MANIFEST,
    PREVIOUS,
    QUARANTINE,
    RESERVE,
    SESSIONS,
)
from whence.store.recovery import find_manifest, segment_files
from whence.store.retention import Limits, limits_of
from whence.store.segment import Encoded, what_is_wrong

__all__ = ["OwnedFolder", "is_full"]

LEAST_RESERVE = 256 << 10
_TEMPORARY = re.compile(
    r"\.(?:MANIFEST|MANIFEST\.previous|\.reserve|L\d-.+\.(?:parquet|links)"
    r"|[0-9A-Za-z-]{26,36}\.json)\.new"
)


class OwnedFolder:
    """A store's folder in the hands of its owner. One thread."""

    _lock: OwnerLock | None = None
    _manifest: Manifest

    def __init__(self, path: str | os.PathLike[str], disk: Disk | None = None) -> None:
        self.path = Path(os.path.abspath(path))
        self.trouble: list[str] = []
        self.is_full = False
        """Whether the disk was, at the last try."""
        self._disk = disk or Disk()
        self._unsynced = False
        self._mode = 0o600

    @property
    def disk(self) -> Disk:
        """What it writes with."""
        return self._disk

    @property
    def mode(self) -> int:
        """How open its files are."""
        return self._mode

    @property
    def manifest(self) -> Manifest:
        """The owner's current generation; a reader's is that of its opening."""
        return self._manifest

    @property
    def is_lost(self) -> bool:
        """Whether an owner's folder was taken away, or it never owned one."""
        return self._lock is None or not self._lock.holds

    @property
    def is_durable(self) -> bool:
        """Whether the current generation is known to be on the disk."""
        return not self._unsynced

    def commit(self, manifest: Manifest) -> Manifest:
        """Replaces the manifest by a changed one, under the next generation. Raises as append()."""
        self._check_owned()
        self._commit(replace(manifest, generation=self._manifest.generation + 1))
        return self._manifest

    def commit_freeing(self, manifest: Manifest) -> Manifest:
        """Commits what makes room, even on a full disk: there is a file of no use to give up."""
        for name in (RESERVE, PREVIOUS):
            try:
                return self.commit(manifest)
            except OSError as error:
                if not is_full(error):
                    raise
            self._disk.unlink(self.path / name)
        return self.commit(manifest)

    def reserve(self) -> None:
        """Of a store with limits: makes sure of the room to drop files on a full disk."""
        if limits_of(self._manifest) == Limits():
            return
        path = self.path / RESERVE
        size = max(LEAST_RESERVE, 2 * len(encoded(self._manifest)))
        with contextlib.suppress(OSError):
            if path.exists() and path.stat().st_size >= size // 2:
                return
        try:
            self._disk.write(path, os.urandom(size), self._mode)  # no file system shortens that
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(path)

    def sync(self) -> None:
        """Makes sure of a commit whose durability is in doubt, by another one. Raises OSError."""
        if self._unsynced:
            self.commit(self._manifest)

    def set_aside(self, segment: Segment, why: str) -> None:
        """Puts a damaged segment into quarantine, and goes on without it. Raises as append()."""
        self._set_aside({segment.name: Quarantined.of(segment, why, time.time_ns())})

    def _set_aside(self, damaged: Mapping[str, Quarantined]) -> None:
        kept = tuple(each for each in self._manifest.files if each.name not in damaged)
        quarantined = (*self._manifest.quarantined, *damaged.values())
        for each in damaged.values():
            self.trouble.append(f"{each.name} {each.why}: {each.rows} events are missing")
        self.commit(replace(self._manifest, files=kept, quarantined=quarantined))
        for name in damaged:  # after the commit: a reader may still have asked for it
            self._quarantine(name)
            if (self.path / links_name(name)).exists():
                self._quarantine(links_name(name))

    def _quarantine(self, name: str) -> None:
        folder = self.path / QUARANTINE
        self._disk.make_folder(folder, self._folder_mode)
        target = folder / f"{Path(name).name}.{time.time_ns()}"
        with contextlib.suppress(FileNotFoundError):
            self._disk.replace(self.path / name, target)
            self._disk.sync_folder(folder)

    def _sweep(self) -> None:
        """Takes away what a killed owner left: our own names that the manifest does not know."""
        known = {each.name for each in self._manifest.files}
        known |= {each.name for each in self._manifest.replaced}
        for name in segment_files(self.path):
            if name not in known:
                self._disk.unlink(self.path / name)
        for name in link_files(self.path):
            if segment_of_links(name) not in known:
                self._disk.unlink(self.path / name)
        days = (day for of in (EVENTS, LINKS) for day in (self.path / of).glob("day=*"))
        folders = [self.path, self.path / SESSIONS, *days]
        for folder in folders:
            with contextlib.suppress(FileNotFoundError):
                for entry in os.listdir(folder):
                    if _TEMPORARY.fullmatch(entry):
                        self._disk.unlink(folder / entry)

    def _check_files(self, checked_bytes: int) -> None:
        """Looks at every file's size and, newest first, at the checksums of so many bytes."""
        damaged: dict[str, Quarantined] = {}
        for each in reversed(self._manifest.files):
            checked_bytes -= each.all_bytes
            try:
                why = what_is_wrong(self.path, each, whole=checked_bytes >= 0)
            except OSError as error:
                self.trouble.append(f"{each.name} cannot be checked: {error}")
                continue
            if why:
                damaged[each.name] = Quarantined.of(each, why, time.time_ns())
            else:
                self._check_links(each, whole=checked_bytes >= 0)
        if damaged:
            self._set_aside(damaged)

    def _check_links(self, segment: Segment, *, whole: bool) -> None:
        """Makes a file of links that is not as it was again from the segment's rows."""
        name = links_name(segment.name)
        try:
            why = what_is_wrong_with_links(self.path, segment, whole=whole)
            if not why:
                return
            mended = mend_links(self._disk, self.path, segment, self._mode, self._folder_mode)
        except (OSError, pa.ArrowException) as error:
            self.trouble.append(f"{name} cannot be made again: {error}")
            return
        then = "was made again from its events" if mended else "its events are asked instead"
        self.trouble.append(f"{name} {why}: {then}")

    def _check_owned(self) -> None:
        if self.is_lost:
            raise OSError(f"{self.path} is not this process's to write to")

    def _write_segment(self, segment: Encoded) -> None:
        path = self.path / segment.segment.name
        if segment.links is not None:
            self._write_links(segment.segment, segment.links)
        self._disk.make_folder(self.path / EVENTS, self._folder_mode)
        self._disk.make_folder(path.parent, self._folder_mode)
        beside = path.with_name(f".{path.name}.new")
        self._disk.write(beside, segment.content, self._mode)
        self._disk.replace(beside, path)
        self._disk.sync_folder(path.parent)

    def _write_links(self, segment: Segment, content: bytes) -> None:
        write_links(self._disk, self.path, segment.name, content, self._mode, self._folder_mode)

    def _take_away(self, segments: Sequence[Segment], *also: Path) -> None:
        """After a failure: what stays is swept away by the next owner."""
        for name in also:
            with contextlib.suppress(OSError):
                os.unlink(name)
        for each in segments:
            for path in (self.path / each.name, self.path / links_name(each.name)):
                for name in (path, path.with_name(f".{path.name}.new")):
                    with contextlib.suppress(OSError):
                        os.unlink(name)

    def _commit(self, manifest: Manifest) -> None:
        try:
            self._commit_once(manifest)
        except OSError as error:
            self.is_full = is_full(error)
            raise

    def _commit_once(self, manifest: Manifest) -> None:
        content = encoded(manifest)
        current, beside = self.path / MANIFEST, self.path / NEW_MANIFEST
        self._disk.write(beside, content, self._mode)
        if current.exists():
            self._disk.link(current, self.path / PREVIOUS)
        try:
            self._disk.replace(beside, current)
        except OSError:
            if not self._is_there(manifest):
                raise
        self._unsynced = True
        self._manifest = manifest
        self._disk.sync_folder(self.path)
        self._unsynced = False

    def _is_there(self, manifest: Manifest) -> bool:
        """Whether a rename that reported a failure was done all the same."""
        try:
            return find_manifest(self.path).manifest.generation == manifest.generation
        except (OSError, ValueError):
            return False

    @property
    def _folder_mode(self) -> int:
        return self._mode | (self._mode & 0o444) >> 2  # whoever may read may enter

    def _open_mode(self) -> int:
        return 0o600 | stat.S_IMODE(self.path.stat().st_mode) & 0o060


def is_full(error: BaseException) -> bool:
    """Whether an error says that there is no room."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
