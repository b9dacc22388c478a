"""Makes few large files of many small ones: which to merge, and the merging, step by step."""

from __future__ import annotations

import contextlib
import os
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from whence.store.hidden import Hidden, hidden_by
from whence.store.id_index import IdIndex
from whence.store.lineage_rows import LineageRows
from whence.store.manifest import Manifest, Segment
from whence.store.merge import Input, common_schema, merged
from whence.store.promoted import promoted_names
from whence.store.segment import (
    DAY_NS,
    ROW_GROUP,
    OwnColumns,
    footer_note,
    new_ulid,
    parquet_writer,
    segment_name,
)

if TYPE_CHECKING:
    from whence.store.folder import FolderStore

__all__ = ["MOST_LIVE", "DamagedInput", "Merge", "live", "merge_steps", "next_merge"]

FAN_IN = 16  # so many files of a level make one of the next
MOST_INPUTS = 32
MOST_LIVE = 64  # files as they were appended; beyond, merging comes first
MOST_ROWS = 4_000_000  # in a merged file, but where 16 files that were appended hold more
GROWTH = 4  # a file is rewritten with ones that are a quarter of it together
CHECKED_PIECE = 8 << 20
SYNCED_PIECE = 32 << 20


class Merge(NamedTuple):
    """Files that one of that level is to replace."""

    inputs: tuple[Segment, ...]
    level: int


class DamagedInput(Exception):
    """A file that was to be merged is not the one that was written."""

    def __init__(self, segment: Segment, why: str) -> None:
        super().__init__(f"{segment.name} {why}")
        self.segment = segment
        self.why = why


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
    for each in merge.inputs:
        yield from _checked(store.path, each)
    with contextlib.ExitStack() as opened:
        inputs = []
        for each in merge.inputs:
            inputs.append(Input(store.path / each.name, each.min_ts, each.promoted))
            opened.callback(inputs[-1].close)
        yield from _merged_into(store, merge, inputs, hidden)


def _merged_into(
    store: FolderStore, merge: Merge, inputs: Sequence[Input], hidden: Hidden
) -> Iterator[None]:
    kinds: dict[str, set[str]] = {name: set() for name in promoted_names(store.manifest)}
    for each in inputs if kinds else ():
        for promoted in each.kinds_of(tuple(kinds)):
            for name, found in promoted:
                kinds[name].update(found)
            yield
    own: OwnColumns = {
        "promoted": tuple((name, tuple(sorted(found))) for name, found in kinds.items()),
        "blank": frozenset.intersection(*(each.blank for each in merge.inputs)),
    }
    schema = common_schema(inputs, own["promoted"])
    ulid = new_ulid()
    folder = (store.path / merge.inputs[0].name).parent
    beside = folder / f".L{merge.level}-{ulid}.parquet.new"
    first_ns, last_ns, written = 0, 0, 0
    with store.disk.stream(beside, store.mode) as stream:
        rows = sum(each.rows for each in merge.inputs)
        sink, index, lineage = pa.PythonFile(stream, mode="w"), IdIndex(), LineageRows()
        writer = parquet_writer(sink, schema, rows)
        for table in _groups(merged(inputs, schema), hidden):
            if table is None:
                yield
                continue
            times = table.column("ts_ns")
            first_ns = first_ns if written else times[0].as_py()
            last_ns = times[len(table) - 1].as_py()
            written += len(table)
            writer.write_table(table, ROW_GROUP)
            yield
            index.add(table)
            lineage.add(table)
            yield
            stream.sync(SYNCED_PIECE)
        ids, links = index.write(sink), lineage.encoded()
        entry = links.entry if links else None
        commit = store.commit_note(replaces=[each.name for each in merge.inputs])
        writer.add_key_value_metadata(
            footer_note(
                ulid, merge.level, commit, schema, stream.size, stream.crc32, ids, entry, **own
            )
        )
        writer.close()
        stream.sync()
    if not written:  # all of it was forgotten
        store.disk.unlink(beside)
        store.exchange(merge.inputs)
        return
    made = Segment(
        name=segment_name(merge.level, first_ns, last_ns, ulid),
        rows=written,
        min_ts=first_ns,
        max_ts=last_ns,
        bytes=stream.size,
        level=merge.level,
        segment=ulid,
        crc32=f"{stream.crc32:08x}",
        shipped=merge.inputs[0].shipped,
        cleared=hidden.number,
        ids=ids,
        **own,
        links=entry,
    )
    store.exchange(merge.inputs, made, beside, links.content if links and made.has_links else None)


def _looked_through(root: Path, segment: Segment, hidden: Hidden) -> Iterator[bool]:
    """Piece by piece whether a file has hidden rows."""
    with pq.ParquetFile(root / segment.name) as file:
        names = [name for name in hidden.columns if name in file.schema_arrow.names]
        for batch in file.iter_batches(ROW_GROUP, columns=names, use_threads=False):
            yield hidden.rows_of(pa.Table.from_batches([batch])) is not None


def _checked(root: Path, segment: Segment) -> Iterator[None]:
    """Compares a file with its checksum; of a damaged one nothing goes into another."""
    try:
        handle = os.open(root / segment.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise DamagedInput(segment, "is missing") from None
    with open(handle, "rb", buffering=0) as file:
        crc = size = 0
        while piece := file.read(CHECKED_PIECE):
            crc, size = zlib.crc32(piece, crc), size + len(piece)
            if size % CHECKED_PIECE == 0:
                yield
    if size != segment.bytes:
        raise DamagedInput(segment, f"has {size} bytes instead of {segment.bytes}")
    if f"{crc:08x}" != segment.crc32:
        raise DamagedInput(segment, "fails its checksum")


def _groups(tables: Iterator[pa.Table], hidden: Hidden) -> Iterator[pa.Table | None]:
    """The same rows, but for hidden ones, in tables that make a row group each.

    None comes between them, after each piece of work.
    """
    waiting: list[pa.Table] = []
    rows = 0
    for table in tables:
        waiting.append(hidden.left_of(table))
        rows += len(waiting[-1])
        yield None
        while rows >= ROW_GROUP:
            whole = pa.concat_tables(waiting).unify_dictionaries()
            yield whole.slice(0, ROW_GROUP)
            waiting = [whole.slice(ROW_GROUP)]
            rows -= ROW_GROUP
    if rows:
        yield pa.concat_tables(waiting).unify_dictionaries()
