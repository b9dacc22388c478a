"""What is wrong with a store, and where its bytes go: looks at everything, changes nothing."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from whence.store.folder import FolderStore
from whence.store.hidden import asked_to_forget
from whence.store.link_files import link_files, what_is_wrong_with_links
from whence.store.links import links_name
from whence.store.manifest import Manifest
from whence.store.owner import Owner
from whence.store.place import FORGET, MANIFEST, PREVIOUS, QUARANTINE
from whence.store.recovery import find_manifest, segment_files
from whence.store.replaced import due
from whence.store.retention import day_text, limits_of
from whence.store.segment import what_is_wrong
from whence.store.shipped import places_of

__all__ = ["Examination", "Problem", "examine"]

LATE_S = 600.0
FORGOTTEN_BY_NS = 24 * 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong, and what to do. `file` is a path within the store, or ""."""

    file: str
    what: str
    advice: str = ""


@dataclass(slots=True)
class Examination:
    """What was found. Sizes are in bytes; `columns` counts what segments hold of each column."""

    path: Path
    manifest: Manifest
    owner: Owner | None
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    days: Counter[str] = field(default_factory=Counter)
    levels: Counter[str] = field(default_factory=Counter)
    columns: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    lag_s: float | None = None
    unshipped: dict[str, int] = field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def examine(
    path: str | os.PathLike[str],
    *,
    whole: bool = True,
    wall_ns: Callable[[], int] = time.time_ns,
) -> Examination:
    """Looks at a store that may be in use; `whole` compares every file with its checksum.

    Reads each file once. By `wall_ns` it tells what is still there a day after it was forgotten.
    Raises NotAStore, UnsupportedFormat, OSError.
    """
    for _ in range(3):  # files that go meanwhile belong to an earlier generation
        found = _examined(path, whole, wall_ns())
        if not any("is missing" in each.what for each in found.problems):
            return found
        if FolderStore(path).snapshot().generation == found.manifest.generation:
            return found
    return found


def _examined(path: str | os.PathLike[str], whole: bool, now_ns: int) -> Examination:
    store = FolderStore(path)
    root = store.path
    state = find_manifest(root)
    found = Examination(root, state.manifest, store.owner())
    repair = f"whence repair {root}"
    if state.trouble:
        found.problems.append(Problem(MANIFEST, state.trouble, repair))
    for name in state.unknown:
        found.problems.append(Problem(name, "could not be taken in", repair))
    for each in state.manifest.files:
        if why := what_is_wrong(root, each, whole=whole):
            what = f"{why}: {each.rows} events are missing"
            found.problems.append(Problem(each.name, what, repair))
            continue
        if why := what_is_wrong_with_links(root, each, whole=whole):
            what = f"{why}: until it is made again, its events are asked"
            found.problems.append(Problem(links_name(each.name), what, repair))
        elif each.links is not None and each.has_links:
            found.others["links"] += each.links.bytes
        found.days[day_text(each.min_ts)] += each.all_bytes
        found.levels[f"L{each.level}"] += each.bytes
        with contextlib.suppress(OSError, pa.ArrowException):
            found.columns.update(_columns(root / each.name))
    for name, why in sorted(store.damaged_sessions().items()):
        found.problems.append(Problem(f"sessions/{name}", why, "what it told of is lost"))
    found.problems += _quarantine(found.manifest, root)
    found.problems += _left_over(found, root)
    found.problems += _remembered(found, root, now_ns)
    _other_bytes(found)
    _lags(found)
    return found


def _columns(path: Path) -> Counter[str]:
    sizes: Counter[str] = Counter()
    metadata = pq.read_metadata(path)
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for at in range(row_group.num_columns):
            column = row_group.column(at)
            sizes[column.path_in_schema.partition(".")[0]] += column.total_compressed_size
    return sizes


def _quarantine(manifest: Manifest, root: Path) -> Iterator[Problem]:
    for each in manifest.quarantined:
        what = f"{each.why}: {each.rows} events are missing"
        yield Problem(each.name, what, f"it lies in {QUARANTINE}/")


def _left_over(found: Examination, root: Path) -> Iterator[Problem]:
    """Files that nobody counts; those of a commit that is under way are not told of."""
    manifest = found.manifest
    known = {each.name for each in manifest.files} | {each.name for each in manifest.replaced}
    known |= {links_name(name) for name in known}
    for name in (*segment_files(root), *link_files(root)):
        if name in known:
            continue
        with contextlib.suppress(FileNotFoundError):
            age_s = time.time() - (root / name).stat().st_mtime
            found.others["orphans"] += (root / name).stat().st_size
            if found.owner is None or age_s > LATE_S:
                yield Problem(name, "is counted nowhere", "the next owner deletes it")
    late = due(manifest, grace_s=LATE_S)
    if late and found.owner is not None:
        yield Problem(late[0].name, f"{len(late)} replaced files are still there", "")
    damaged = set(_names(root / FORGET)) - set(asked_to_forget(root))
    for name in sorted(damaged):
        if name.endswith(".json"):
            yield Problem(f"{FORGET}/{name}", "cannot be read: somebody is not forgotten", "")


def _remembered(found: Examination, root: Path, now_ns: int) -> Iterator[Problem]:
    """What was forgotten more than a day ago, and may still be in files."""
    advice = f"its owner is to rewrite them; if there is none: whence doctor --compact {root}"
    late = {
        int(each.get("number", 0)): now_ns - int(each.get("wall_ns", now_ns))
        for each in found.manifest.tombstones
        if now_ns - int(each.get("wall_ns", now_ns)) > FORGOTTEN_BY_NS
    }
    files = [each for each in found.manifest.files if each.cleared < max(late, default=0)]
    if files:
        hours = max(late[n] for n in late if any(e.cleared < n for e in files)) // 3_600_000_000_000
        what = f"what was forgotten {hours} hours ago may still be in {len(files)} files"
        yield Problem(files[0].name, what, advice)
    for name, asked in asked_to_forget(root).items():
        if any(now_ns - int(each.get("wall_ns", now_ns)) > FORGOTTEN_BY_NS for each in asked):
            what = "asks since more than a day to forget something: it is hidden, but still there"
            yield Problem(f"{FORGET}/{name}", what, advice)


def _other_bytes(found: Examination) -> None:
    root, manifest = found.path, found.manifest
    for each in manifest.replaced:
        with contextlib.suppress(OSError):
            found.others["replaced"] += (root / each.name).stat().st_size
            found.others["replaced"] += (root / links_name(each.name)).stat().st_size
    for name in ("sessions", QUARANTINE):
        for entry in _names(root / name):
            with contextlib.suppress(OSError):
                found.others[name] += (root / name / entry).stat().st_size
    for name in (MANIFEST, PREVIOUS):
        with contextlib.suppress(OSError):
            found.others["manifest"] += (root / name).stat().st_size


def _lags(found: Examination) -> None:
    manifest = found.manifest
    newest = max((each.max_ts for each in manifest.files), default=None)
    if newest is not None:
        found.lag_s = (time.time_ns() - newest) / 1e9
        if found.lag_s < -LATE_S:
            found.notes.append("the newest event is of the future: a clock was or is wrong")
    for place in places_of(manifest):
        rows = sum(each.rows for each in manifest.files if place not in each.shipped)
        found.unshipped[place] = rows
    limits = limits_of(manifest)
    size = sum(each.all_bytes for each in manifest.files)
    if limits.bytes is not None and size > 1.1 * limits.bytes:
        found.notes.append(f"it has {size} bytes, more than the {limits.bytes} it is to keep")
    if limits.days is None and limits.bytes is None:
        found.notes.append("it grows without end: whence collect --keep-days, --keep-bytes")
    if found.owner is None:
        found.notes.append("nobody writes to it now")
    small = sum(each.level == 0 for each in manifest.files)
    if small > 64:
        found.notes.append(f"{small} small files wait to be merged")


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
