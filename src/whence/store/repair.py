"""Puts a damaged store right: what is whole counts, what is not goes into quarantine."""

from __future__ import annotations

import os
from dataclasses import dataclass

from whence.store.doctor import examine
from whence.store.folder import FolderStore

__all__ = ["Repaired", "repair"]

EVERYTHING = 1 << 62


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was found, or would be done; and what counts afterwards."""

    told: tuple[str, ...]
    files: int
    rows: int


def repair(
    path: str | os.PathLike[str], *, dry_run: bool = False, rebuild: bool = False
) -> Repaired:
    """Makes a whole manifest of what is there, and compares every file with its checksum.

    A lost or damaged manifest is put together from the one before and from what the segments say of
    themselves; files that fail and segments that fit nowhere go into quarantine, leftovers of
    killed owners away. With `rebuild` a whole manifest is made anew, too; the one that was there
    goes into quarantine. With `dry_run` nothing is changed. Raises StoreOwned while somebody writes
    to it, NotAStore, UnsupportedFormat, OSError.
    """
    if dry_run:
        found = examine(path)
        told = tuple(f"{each.file}: {each.what}" for each in found.problems)
        bad = {each.file for each in found.problems}
        kept = [each for each in found.manifest.files if each.name not in bad]
        return Repaired(told, len(kept), sum(each.rows for each in kept))
    with FolderStore(
        path, write=True, words="whence repair", checked_bytes=EVERYTHING, rebuild=rebuild
    ) as store:
        manifest = store.manifest
        return Repaired(tuple(store.trouble), len(manifest.files), manifest.rows)
