"""Links between lineage ids at rest: two sorted arrays a segment, mapped into memory."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from whence.model.errors import CorruptFile, UnsupportedFormat
from whence.store.disk import Disk

__all__ = [
    "EncodedLinks",
    "Ids",
    "LinkPair",
    "LinkSegment",
    "LinksFile",
    "MappedLinks",
    "encode_links",
    "link_pair",
    "links_name",
    "merged",
    "segment_of_links",
    "write_link_segment",
]

Ids = NDArray[np.int64]

# A file is this header and four arrays of `links` little-endian 64-bit ids each:
#   children in order, the parent of each | parents in order, the child of each
_HEADER = struct.Struct("<8sIIQII")  # magic, version, header bytes, links, CRC of the arrays, 0
_MAGIC = b"whnclink"
_VERSION = 1
_ARRAYS = 4
_MOST_NEAR = 1_000


class LinkPair(NamedTuple):
    """Links as two columns: the i-th child has the i-th parent."""

    children: Ids
    parents: Ids


class LinksFile(NamedTuple):
    """What a segment has of lineage: so many links in a file beside it, windows and frames in its
    rows. Without any link there is no file."""

    links: int
    bytes: int
    crc32: str
    windows: int = 0
    frames: int = 0


class EncodedLinks(NamedTuple):
    """A file's entry and its bytes."""

    entry: LinksFile
    content: bytes


def links_name(segment: str) -> str:
    """Where the links of a segment lie, by the name of that: both are paths within the store."""
    return f"links/{segment.removeprefix('events/').removesuffix('.parquet')}.links"


def segment_of_links(name: str) -> str:
    """The name of the segment whose links these are."""
    return f"events/{name.removeprefix('links/').removesuffix('.links')}.parquet"


def encode_links(links: LinkPair, windows: int = 0, frames: int = 0) -> EncodedLinks:
    """Links sorted both ways, each once: the same links give the same bytes, 32 for each of them.

    Ids are the 64 bits of lineage ids as signed integers; 0 is none. Raises ValueError for columns
    of unequal length or an id of 0.
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
    pieces = [each.tobytes() for each in (children, parents, parents[down], children[down])]
    crc = 0
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
    content = b"".join(
        (_HEADER.pack(_MAGIC, _VERSION, _HEADER.size, len(children), crc, 0), *pieces)
    )
    checksum = f"{zlib.crc32(content):08x}"
    return EncodedLinks(LinksFile(len(children), len(content), checksum, windows, frames), content)


def write_link_segment(path: Path, links: LinkPair, disk: Disk | None = None) -> int:
    """Writes such a file, durably but for the folder; returns how many links it holds.

    Raises what encode_links() raises, FileExistsError, OSError; then nothing is left of it.
    """
    made = encode_links(links)
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, "is there already", str(path))
    try:
        (disk or Disk()).write(path, made.content)
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()  # a part of it, of no use
        raise
    return made.entry.links


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

    @classmethod
    def held(cls, path: Path, links: LinkPair) -> LinkSegment:
        """Links that lie in no file, as if they lay in that one."""
        made = object.__new__(cls)
        made.path = path
        content = encode_links(links).content
        arrays = np.frombuffer(content, dtype="<i8", offset=_HEADER.size)
        made._arrays = arrays.reshape(_ARRAYS, -1)
        made._crc = zlib.crc32(content[_HEADER.size :])
        return made

    def check(self) -> None:
        """Reads the whole file; CorruptFile where it is not as it was written."""
        if zlib.crc32(self._arrays.tobytes()) != self._crc:
            raise CorruptFile(f"{self.path} fails its checksum")

    def links(self) -> LinkPair:
        """All of them, in order of the children."""
        return LinkPair(self._arrays[0], self._arrays[1])

    def by_parent(self) -> LinkPair:
        """All of them, in order of the parents."""
        return LinkPair(self._arrays[3], self._arrays[2])

    def parents_of(self, children: Ids) -> LinkPair:
        """The links up from these ids. O(k log n)."""
        return LinkPair(*_matches(self._arrays[0], self._arrays[1], children))

    def children_of(self, parents: Ids) -> LinkPair:
        """The links down from these ids. O(k log n)."""
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


class MappedLinks:
    """The links of several files together, asked for with ids as they are: from 1 to 2**64 - 1."""

    def __init__(self, segments: Sequence[LinkSegment]) -> None:
        self._segments = segments

    def step(self, ids: Sequence[int], way: Literal["up", "down"]) -> list[tuple[int, int]]:
        """The links, as child and parent, that lead up or down. O(k log n) for each file."""
        wanted = np.array(ids, dtype=np.uint64).view(np.int64)
        found: list[tuple[int, int]] = []
        for each in self._segments:
            pair = each.parents_of(wanted) if way == "up" else each.children_of(wanted)
            if len(pair.children):
                columns = (column.view(np.uint64).tolist() for column in pair)
                found += zip(*columns, strict=True)
        return found

    def edges(self) -> MappedLinks:
        """Itself."""
        return self

    def knows(self, lineage_id: int) -> bool:
        """Whether a link names that id."""
        return bool(self.step([lineage_id], "up") or self.step([lineage_id], "down"))

    def ending(self, digits: str, limit: int) -> list[int]:
        """Ids in links whose decimal digits end so, the least first. Reads all links."""
        found: set[int] = set()
        tail, wanted = np.uint64(10 ** min(len(digits), 19)), np.uint64(int(digits[-19:]))
        for column in self._columns():
            ids = column.view(np.uint64)
            found.update(ids[ids % tail == wanted].tolist())
        return [each for each in sorted(found) if str(each).endswith(digits)][:limit]

    def near(self, lineage_id: int, limit: int) -> list[int]:
        """Ids in links around that number, some more than so many. O(log n) for each file."""
        found: set[int] = set()
        wanted = np.array([lineage_id], dtype=np.uint64).view(np.int64)
        for column in self._columns():
            at = int(np.searchsorted(column, wanted)[0])
            around = column[max(at - _MOST_NEAR, 0) : at + _MOST_NEAR]
            found.update(around.view(np.uint64).tolist())
        return sorted(found, key=lambda each: (abs(each - lineage_id), each))[:limit]

    def _columns(self) -> Iterator[Ids]:
        """Every id that a link names, in order: a file's children, then its parents."""
        for each in self._segments:
            yield each.links().children
            yield each.by_parent().parents


def link_pair(children: Sequence[int], parents: Sequence[int]) -> LinkPair:
    """The columns of links whose ids are as they are, from 1 to 2**64 - 1."""
    columns = (np.array(ids, dtype=np.uint64).view(np.int64) for ids in (children, parents))
    return LinkPair(*columns)


def merged(segments: Sequence[LinkSegment]) -> LinkPair:
    """The links of several segments, for one to be written in their place."""
    pairs = [segment.links() for segment in segments]
    empty = [np.empty(0, np.int64)]
    return LinkPair(
        np.concatenate([pair.children for pair in pairs] or empty),
        np.concatenate([pair.parents for pair in pairs] or empty),
    )
