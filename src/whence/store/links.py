"""Links between lineage ids at rest: two sorted arrays a segment, mapped into memory."""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whence.model.errors import CorruptFile, UnsupportedFormat

__all__ = ["Ids", "LinkPair", "LinkSegment", "merged", "write_link_segment"]

Ids = NDArray[np.int64]

# A file is this header and four arrays of `links` little-endian 64-bit ids each:
#   children in order, the parent of each | parents in order, the child of each
_HEADER = struct.Struct("<8sIIQII")  # magic, version, header bytes, links, CRC of the arrays, 0
_MAGIC = b"whnclink"
_VERSION = 1
_ARRAYS = 4


class LinkPair(NamedTuple):
    """Links as two columns: the i-th child has the i-th parent."""

    children: Ids
    parents: Ids


def write_link_segment(path: Path, links: LinkPair) -> int:
    """Writes links sorted both ways, each once, durably but for the folder; returns how many.

    Ids are the 64 bits of lineage ids as signed integers; 0 is none. Raises ValueError for columns
    of unequal length or an id of 0, FileExistsError, OSError. 16 bytes a link and direction.
    """
    children, parents = (np.ascontiguousarray(column, dtype="<i8") for column in links)
    if children.shape != parents.shape or children.ndim != 1:
        raise ValueError("children and parents must be columns of one length")
    if not (children.all() and parents.all()):
        raise ValueError("a lineage id of 0 is none")
    up = np.lexsort((parents, children))
    children, parents = children[up], parents[up]
    if len(children):
        first = np.ones(len(children), dtype=bool)
        first[1:] = (children[1:] != children[:-1]) | (parents[1:] != parents[:-1])
        children, parents = children[first], parents[first]
    down = np.lexsort((children, parents))
    arrays = (children, parents, parents[down], children[down])
    crc = 0
    for array in arrays:
        crc = zlib.crc32(array.tobytes(), crc)
    header = _HEADER.pack(_MAGIC, _VERSION, _HEADER.size, len(children), crc, 0)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(path, flags, 0o600)
    try:
        with open(handle, "wb") as file:
            file.write(header)
            for array in arrays:
                file.write(array.tobytes())
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()  # a part of it, of no use
        raise
    return len(children)


class LinkSegment:
    """One file of links, mapped for reading. Threads may share it.

    Opening costs some 50 us and reads no link; check() reads them all. Raises CorruptFile for a
    file that is cut short or none of ours, UnsupportedFormat for one of a later version, OSError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            head = file.read(_HEADER.size)
            size = os.fstat(file.fileno()).st_size
        if len(head) < _HEADER.size or head[:8] != _MAGIC:
            raise CorruptFile(f"{path} is no file of links")
        _, version, begin, count, self._crc, _ = _HEADER.unpack(head)
        if version != _VERSION:
            raise UnsupportedFormat(f"{path} holds links of version {version}; this reads 1")
        if size != begin + _ARRAYS * 8 * count:
            raise CorruptFile(f"{path} should hold {count} links and has {size} bytes")
        shape = (_ARRAYS, count)
        self._arrays: Ids = (
            np.asarray(np.memmap(path, dtype="<i8", mode="r", offset=begin, shape=shape))
            if count
            else np.zeros(shape, dtype="<i8")
        )

    def __len__(self) -> int:
        return int(self._arrays.shape[1])

    def check(self) -> None:
        """Reads the whole file; CorruptFile where it is not as it was written."""
        if zlib.crc32(self._arrays.tobytes()) != self._crc:
            raise CorruptFile(f"{self.path} fails its checksum")

    def links(self) -> LinkPair:
        """All of them, in order of the children."""
        return LinkPair(self._arrays[0], self._arrays[1])

    def parents_of(self, children: Ids) -> LinkPair:
        """The links up from these ids, which are sorted. O(k log n)."""
        return LinkPair(*_matches(self._arrays[0], self._arrays[1], children))

    def children_of(self, parents: Ids) -> LinkPair:
        """The links down from these ids, which are sorted. O(k log n)."""
        found, children = _matches(self._arrays[2], self._arrays[3], parents)
        return LinkPair(children, found)


def _matches(keys: Ids, values: Ids, wanted: Ids) -> tuple[Ids, Ids]:
    """Of two columns, sorted by the first: the rows whose key is wanted."""
    low = np.searchsorted(keys, wanted, "left")
    counts = np.searchsorted(keys, wanted, "right") - low
    total = int(counts.sum())
    if not total:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    ends = np.cumsum(counts)
    rows = np.arange(total) + np.repeat(low - (ends - counts), counts)
    return np.asarray(keys[rows]), np.asarray(values[rows])


def merged(segments: Sequence[LinkSegment]) -> LinkPair:
    """The links of several segments, for one to be written in their place."""
    pairs = [segment.links() for segment in segments]
    empty = [np.empty(0, np.int64)]
    return LinkPair(
        np.concatenate([pair.children for pair in pairs] or empty),
        np.concatenate([pair.parents for pair in pairs] or empty),
    )
