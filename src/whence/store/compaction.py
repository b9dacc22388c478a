"""Makes few large files of many small ones: which to merge, and the merging, step by step."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from whence.store.hidden import Hidden, hidden_by
from whence.store.manifest import Manifest, Segment
from whence.store.rewriting import Rewriting
from whence.store.segment import DAY_NS, ROW_GROUP

if TYPE_CHECKING:
    from whence.store.folder import FolderStore

__all__ = ["MOST_LIVE", "Merge", "live", "merge_steps", "next_merge"]

FAN_IN = 16  # so many files of a level make one of the next
MOST_INPUTS = 32
MOST_LIVE = 64  # files as they were appended; beyond, merging comes first
MOST_ROWS = 4_000_000  # in a merged file, but where 16 files that were appended hold more
GROWTH = 4  # a file is rewritten with ones that are a quarter of it together


class Merge(NamedTuple):
    """Files that one of that level is to replace."""

    inputs: tuple[Segment, ...]
    level: int


def live(manifest: Manifest) -> int:
    """How many files are as they were appended."""
    return sum(each.level == 0 for each in manifest.files)


def next_merge(
    manifest: Manifest,
    leave: frozenset[str] = frozenset(),
    *,
    all_days: bool = False,
    overdue: int = 0,
) -> Merge | None:
    """What to merge next, None for nothing. Files named in `leave` are left alone.

    Before all else, and even of these, files are rewritten that may hold what tombstones up to the
    number `overdue` hide.

    Files of one UTC day that the same places have a copy of go together. Of the newest day small
    files wait until there are 16 of a level; of a day that is over, or of `all_days`, every small
    file goes into a larger one that it is at least a quarter of. A file is rewritten a few times
    in its life, however fast or slow a store grows.
    """
    for each in manifest.files:
        if each.cleared < overdue:
            return Merge((each,), each.level)
    number = hidden_by(manifest.tombstones).number
    groups: defaultdict[tuple[int, tuple[str, ...]], list[Segment]] = defaultdict(list)
    for each in manifest.files:
        if each.name not in leave:
            groups[each.min_ts // DAY_NS, tuple(sorted(each.shipped))].append(each)
    newest = max((day for day, _ in groups), default=0)
    crowded = live(manifest) >= MOST_LIVE
    for (day, _), files in sorted(groups.items(), key=lambda item: -item[0][0]):
        for level in (0, 1):
            small = [each for each in files if each.level == level]
            of_level = [each for each in small if level == 0 or 2 * each.rows <= MOST_ROWS]
            if len(of_level) >= FAN_IN:
                return Merge(_bounded(of_level[:MOST_INPUTS]), level + 1)
        if merge := _larger([each for each in files if each.level == 2], FAN_IN):
            return merge
        if (day < newest or all_days) and (merge := _larger(files, 2)):
            return merge
        if crowded and len(fresh := [each for each in files if each.level == 0]) > 1:
            return Merge(_bounded(fresh[:MOST_INPUTS]), 1)
    for files in groups.values():
        for each in files:
            if each.cleared < number:
                return Merge((each,), each.level)
    return None


def _bounded(files: Sequence[Segment]) -> tuple[Segment, ...]:
    """As many of them as make a file that is not too large; two at least."""
    taken: list[Segment] = []
    rows = 0
    for each in files:
        rows += each.rows
        if rows > MOST_ROWS and len(taken) > 1:
            break
        taken.append(each)
    return tuple(taken)


def _larger(files: Sequence[Segment], least: int) -> Merge | None:
    """The smallest files, up to one that dwarfs all smaller ones together."""
    taken: list[Segment] = []
    rows = 0
    for each in sorted(files, key=lambda each: each.rows)[:MOST_INPUTS]:
        if rows + each.rows > MOST_ROWS or (taken and each.rows > GROWTH * rows):
            break
        taken.append(each)
        rows += each.rows
    return Merge(tuple(taken), 2) if len(taken) >= least else None


def merge_steps(store: FolderStore, merge: Merge) -> Iterator[None]:
    """Merges; each step is some ten milliseconds of work, the last one commits.

    Nothing is seen of it before. Closing the iterator takes away what was written so far. Raises
    DamagedInput, OSError, and pa.ArrowException for files whose columns contradict each other.
    """
    hidden = hidden_by(store.manifest.tombstones)
    if len(merge.inputs) == 1:
        # most files hold nothing of what was forgotten
        found = False
        for found in _looked_through(store.path, merge.inputs[0], hidden):
            yield
            if found:
                break
        if not found:
            cleared = replace(merge.inputs[0], cleared=hidden.number)
            files = [cleared if e.name == cleared.name else e for e in store.manifest.files]
            store.commit(replace(store.manifest, files=tuple(files)))
            return
    with contextlib.closing(Rewriting(store, merge.inputs, merge.level)) as rewriting:
        yield from rewriting.steps(hidden.left_of)
        commit = store.commit_note(replaces=[each.name for each in merge.inputs])
        made = rewriting.finish(commit, hidden.number)
        store.exchange(merge.inputs, [made] if made else [])


def _looked_through(root: Path, segment: Segment, hidden: Hidden) -> Iterator[bool]:
    """Piece by piece whether a file has hidden rows."""
    with pq.ParquetFile(root / segment.name) as file:
        names = [name for name in hidden.columns if name in file.schema_arrow.names]
        for batch in file.iter_batches(ROW_GROUP, columns=names, use_threads=False):
            yield hidden.rows_of(pa.Table.from_batches([batch])) is not None
