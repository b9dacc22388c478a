"""Which events are in a store already, by their ids: the last ones in memory, all by the files."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from whence.store.id_index import hashes_of, text_hashes
from whence.store.manifest import Manifest, Segment

__all__ = ["KnownIds"]

RECENT_ROWS = 262_144
CACHE_BYTES = 32 << 20
MOST_PARTS = 16


class _Recent(NamedTuple):
    """The ids of some commits, and the segments that hold these and no other given ids."""

    hashes: NDArray[np.uint64]  # in order
    ids: pa.StringArray
    segments: frozenset[str]


class KnownIds:
    """Tells which of some events are stored. One thread: that which appends.

    An event is looked for in the files whose times take in its own, and among the last 256k that
    were added here, whatever their time. Memory is bounded: some 12 MB for the last ones, 32 MB
    for the indexes of files. `unread` counts files that could not be read: nothing of what they
    hold is known.
    """

    def __init__(self, root: Path) -> None:
        self.unread = 0
        self._root = root
        self._recent: deque[_Recent] = deque()
        self._cache: OrderedDict[str, NDArray[np.uint32]] = OrderedDict()
        self._cached_bytes = 0

    def among(
        self, manifest: Manifest, ids: pa.StringArray, times_ns: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """For each event of these ids and times whether it is stored; null ids never are."""
        found = np.zeros(len(ids), dtype=bool)
        given = np.flatnonzero(ids.is_valid().to_numpy(zero_copy_only=False))
        if not len(given):
            return found
        hashes = np.zeros(len(ids), np.uint64)
        hashes[given] = text_hashes(ids.take(pa.array(given)) if ids.null_count else ids)
        for part in self._recent:
            likely = given[_are_in(part.hashes, hashes[given]) & ~found[given]]
            found[likely] = _equal(ids, likely, part.ids)
        covered = {name for part in self._recent for name in part.segments}
        first_ns, last_ns = int(times_ns[given].min()), int(times_ns[given].max())
        for segment in manifest.files:
            if segment.segment in covered or segment.max_ts < first_ns or segment.min_ts > last_ns:
                continue
            inside = (times_ns[given] >= segment.min_ts) & (times_ns[given] <= segment.max_ts)
            rows = given[inside & ~found[given]]
            try:
                likely = rows[self._may_have(segment, hashes[rows])]
                if len(likely):
                    stored = self._ids_in(segment, times_ns[likely])
                    found[likely] = _equal(ids, likely, stored)
            except (OSError, ValueError, pa.ArrowException):
                self.unread += 1
        return found

    def add(self, ids: pa.StringArray, segments: Collection[str]) -> None:
        """Takes in what was stored just now; the segments hold no other events with given ids."""
        ids = ids.drop_null()
        if not len(ids):
            return
        self._recent.append(_Recent(np.sort(text_hashes(ids)), ids, frozenset(segments)))
        if len(self._recent) > MOST_PARTS:
            self._merge()
        while sum(len(part.ids) for part in self._recent) > RECENT_ROWS and len(self._recent) > 1:
            self._recent.popleft()

    def _merge(self) -> None:
        """Makes few of many: the newest parts that are small become one."""
        small: list[_Recent] = []
        rows = 0
        while self._recent and rows + len(self._recent[-1].ids) <= RECENT_ROWS // 4:
            small.append(self._recent.pop())
            rows += len(small[-1].ids)
        if small:
            self._recent.append(
                _Recent(
                    np.sort(np.concatenate([part.hashes for part in small])),
                    pa.concat_arrays([part.ids for part in small]),
                    frozenset().union(*(part.segments for part in small)),
                )
            )

    def _may_have(self, segment: Segment, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        if segment.ids is None:
            return np.ones(len(hashes), dtype=bool)
        return _are_in(self._hashes(segment), hashes.astype(np.uint32))

    def _hashes(self, segment: Segment) -> NDArray[np.uint32]:
        known = self._cache.get(segment.segment)
        if known is not None:
            self._cache.move_to_end(segment.segment)
            return known
        assert segment.ids is not None
        read = hashes_of(self._root / segment.name, segment.ids)
        self._cache[segment.segment] = read
        self._cached_bytes += read.nbytes
        while self._cached_bytes > CACHE_BYTES and len(self._cache) > 1:
            _, gone = self._cache.popitem(last=False)
            self._cached_bytes -= gone.nbytes
        return read

    def _ids_in(self, segment: Segment, times_ns: NDArray[np.int64]) -> pa.ChunkedArray:
        """The given ids of a file's row groups that have rows of these times."""
        with pq.ParquetFile(self._root / segment.name) as file:
            if "event_id" not in file.schema_arrow.names:
                return pa.chunked_array([], pa.string())
            at = file.schema_arrow.get_field_index("ts_ns")
            groups = [
                group
                for group in range(file.metadata.num_row_groups)
                if _overlaps(file.metadata.row_group(group).column(at).statistics, times_ns)
            ]
            return file.read_row_groups(groups, ["event_id"], use_threads=False).column(0)


def _overlaps(statistics: pq.Statistics | None, times_ns: NDArray[np.int64]) -> bool:
    if statistics is None or not statistics.has_min_max:
        return True
    return bool(((times_ns >= statistics.min) & (times_ns <= statistics.max)).any())


def _are_in(known: NDArray[np.generic], wanted: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Whether each is among the known ones, which are in order."""
    if not len(known):
        return np.zeros(len(wanted), dtype=bool)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.asarray(known[at] == wanted)


def _equal(
    ids: pa.StringArray, rows: NDArray[np.intp], stored: pa.StringArray | pa.ChunkedArray
) -> NDArray[np.bool_]:
    if not len(rows):
        return np.zeros(0, dtype=bool)
    import pyarrow.compute as pc  # costs 50 ms, and few events come twice

    same = pc.is_in(ids.take(pa.array(rows)), value_set=stored)
    return np.asarray(same.to_numpy(zero_copy_only=False), dtype=bool)
