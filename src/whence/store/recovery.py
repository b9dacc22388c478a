"""Finds a store's newest whole state: by its manifest, the one before, or the segments' notes."""

from __future__ import annotations

import functools
import os
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from whence.collect.sink_ledger import SinkLedger
from whence.model.errors import CorruptFile, NotAStore
from whence.store.disk import read_plain_file
from whence.store.hidden import with_tombstones
from whence.store.manifest import Manifest, parsed_manifest, parsed_positions, parsed_rings
from whence.store.place import EVENTS, MANIFEST, PREVIOUS
from whence.store.segment import Note, is_segment_name, read_note

__all__ = ["Found", "find_manifest", "rebuilt_manifest", "segment_files"]

# Readers keep what they know by generation: no number that was given out comes again.
SKIPPED = 1_000_000
MOST_MANIFEST_BYTES = 256 << 20  # of a million files
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Found:
    """A store's state. `trouble` says what was damaged; then `manifest` is put together from what
    is left, and `unknown` are the segments that could not be taken in."""

    manifest: Manifest
    trouble: str = ""
    unknown: tuple[str, ...] = ()


def find_manifest(root: Path) -> Found:
    """The newest state of the store in a folder.

    Raises NotAStore where there is none, UnsupportedFormat for a version that is not read here,
    OSError. Damage never makes it fail: then segments are read whole, as far as is needed.
    """
    try:
        return Found(_read(root / MANIFEST))
    except FileNotFoundError:
        trouble = f"{MANIFEST} is missing"
        if not (root / PREVIOUS).exists() and not any(True for _ in segment_files(root)):
            raise NotAStore(f"{root} holds no store: it has no {MANIFEST}") from None
    except CorruptFile as error:
        trouble = str(error)
    try:
        base = _read(root / PREVIOUS)
        trouble += f"; went on from {PREVIOUS}"
    except (FileNotFoundError, CorruptFile):
        base = Manifest()
        trouble += "; put together from the segments"
    return _replayed(root, base, trouble)


def rebuilt_manifest(root: Path) -> Found:
    """The state that the segments tell of themselves, whatever the manifest says of files.

    Settings, what was dropped or put into quarantine, and what is hidden stay as the manifest has
    them, if it can be read; what it only keeps for a while, or knows to be dropped, stays out.
    Raises as find_manifest().
    """
    old = find_manifest(root)
    before = old.manifest
    base = Manifest(
        store=before.store,
        tombstones=before.tombstones,
        settings=before.settings,
        quarantined=before.quarantined,
        replaced=before.replaced,
        dropped=before.dropped,
    )
    trouble = "; ".join(filter(None, (old.trouble, "made anew from the segments, as asked")))
    found = _replayed(root, base, trouble, {each.name for each in before.replaced})
    generation = max(found.manifest.generation, before.generation + SKIPPED)
    return replace(found, manifest=replace(found.manifest, generation=generation))


def segment_files(root: Path) -> Iterator[str]:
    """The paths, within the store, of all files called like segments. Raises OSError."""
    for path in sorted((root / EVENTS).glob("day=*/L*.parquet")):
        name = path.relative_to(root).as_posix()
        if is_segment_name(name):
            yield name


def _read(path: Path) -> Manifest:
    if os.lstat(path).st_size > MOST_MANIFEST_BYTES:
        raise CorruptFile(f"{path.name} is too large to be one")
    return _parsed(bytes(read_plain_file(path)), path.name)


@functools.lru_cache(maxsize=4)
def _parsed(content: bytes, name: str) -> Manifest:
    """Most questions find the manifest as the one before did."""
    return parsed_manifest(content, name)


def _replayed(
    root: Path, base: Manifest, trouble: str, leave: Collection[str] = frozenset()
) -> Found:
    """What was committed after `base`, as the segments on the disk tell it themselves."""
    known = {each.name for each in base.files} | set(leave)
    commits: defaultdict[int, list[Note]] = defaultdict(list)
    unknown: list[str] = []
    for name in segment_files(root):
        if name in known:
            continue
        try:
            note = read_note(root, name)
            commits[int(note.commit["generation"])].append(note)
        except (CorruptFile, FileNotFoundError, *_DAMAGE):
            unknown.append(name)
    manifest = base
    newest = max([base.generation, *commits])
    for generation in sorted(commits):
        notes = sorted(commits[generation], key=lambda note: note.segment.name)
        try:
            if generation <= base.generation:
                raise ValueError("was replaced, or never committed")
            manifest = _with_commit(manifest, notes)
        except _DAMAGE:
            unknown += [note.segment.name for note in notes]
    return Found(replace(manifest, generation=newest + SKIPPED), trouble, tuple(unknown))


def _with_commit(manifest: Manifest, notes: list[Note]) -> Manifest:
    commit = notes[0].commit
    if any(note.commit != commit for note in notes) or len(notes) != commit["segments"]:
        raise ValueError("is not whole")
    if manifest.store not in ("", commit["store"]):
        raise ValueError("is of another store")
    positions = {uuid: dict(rings) for uuid, rings in manifest.positions.items()}
    for uuid, moved in parsed_positions(commit["positions"]).items():
        positions.setdefault(uuid, {}).update(moved)
    tallies = {uuid: dict(rings) for uuid, rings in manifest.rings.items()}
    for uuid, changed in parsed_rings(commit["rings"]).items():
        tallies.setdefault(uuid, {}).update(changed)
    gone = set(commit.get("replaces", ()))
    return replace(
        manifest,
        store=str(commit["store"]),
        files=(
            *(each for each in manifest.files if each.name not in gone),
            *(note.segment for note in notes),
        ),
        positions=positions,
        rings=tallies,
        ledger=SinkLedger.from_plain(commit["ledger"]),
        undelivered_in=tuple(map(str, commit["undelivered_in"])),
        filtered=bool(commit["filtered"]),
        tombstones=with_tombstones(manifest.tombstones, commit.get("tombstones", ())),
    )
