"""What a segment tells of its ids: in which blocks of rows a request, chain, trace or event is."""

from __future__ import annotations

import operator
import os
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from math import isqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = [
    "BLOCK_ROWS",
    "IdIndex",
    "IdPlace",
    "hashes_of",
    "text_hash",
    "text_hashes",
    "times_of",
    "trace_hash",
    "trace_hashes",
]

BLOCK_ROWS = 8_192
_TEXTS = ("request_id", "decision_chain_id", "event_id")  # an event's: those that were given one
_COLUMNS = ("ts_ns", *_TEXTS, "trace_hi", "trace_lo")
# In a segment it lies between the last row group and what the footer points to, little-endian:
#   header | first and last ts_ns of each block, int64 | hashes in order, uint32 | blocks, uint16
# where the i-th hash occurs in the i-th block, each such pair once. Hashes that are made in another
# way, or another order, must be told of under another name than `ids`.
_HEADER = struct.Struct("<8sIII12x")  # magic, entries, blocks, rows of a block
_MAGIC = b"whnc-ids"
_TIMES = struct.Struct("<qq")
_HASH, _BLOCK = 4, 2
_MOST_BLOCKS = 1 << 16
_HASHED = 256  # bytes of a text; of the others only the number counts
_WORDS = _HASHED // 4
_64_BITS = (1 << 64) - 1
_LOW = np.uint64(0xFFFF_FFFF)


def _mixed(number: int) -> int:
    """A number that looks like chance, always the same: SplitMix64 of this one."""
    z = number * 0x9E3779B97F4A7C15 & _64_BITS
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _64_BITS
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _64_BITS
    return z ^ z >> 31


# A text is the sum of its words of 32 bits and its length, each times a factor of its own, and of
# that the upper half: of such a sum no pair of texts is likelier to agree than any other.
_LENGTH, *_FACTORS = (_mixed(number) | 1 for number in range(1, _WORDS + 6))
_TRACE = _FACTORS[_WORDS:]
_FACTORS_ARRAY = np.array(_FACTORS, dtype=np.uint64)


class IdPlace(NamedTuple):
    """Where an index lies in its file, and how much it holds."""

    at: int
    entries: int
    blocks: int


class IdIndex:
    """Gathers the ids of a segment's rows, table by table, in the order of the rows.

    Costs some 50 ns a row, and holds 8 bytes for each id and block until write().
    """

    def __init__(self) -> None:
        self._rows = 0
        self._keys: list[NDArray[np.uint64]] = []
        self._times: list[tuple[int, int]] = []

    def add(self, table: pa.Table) -> None:
        """Rows that follow the ones before."""
        table = table.select([name for name in _COLUMNS if name in table.column_names])
        first = 0
        while first < len(table):  # what is worked on at once stays in the processor's caches
            part = table.slice(first, BLOCK_ROWS - self._rows % BLOCK_ROWS)
            self._add_part(part, self._rows // BLOCK_ROWS)
            self._rows += len(part)
            first += len(part)

    def write(self, sink: pa.NativeFile) -> IdPlace | None:
        """Writes it where the sink stands; for too many rows nothing, and None is its place."""
        blocks = len(self._times)
        if blocks > _MOST_BLOCKS:
            return None
        keys = np.sort(np.concatenate([*self._keys, np.empty(0, np.uint64)]))
        place = IdPlace(sink.tell(), len(keys), blocks)
        sink.write(_HEADER.pack(_MAGIC, len(keys), blocks, BLOCK_ROWS))
        sink.write(np.array(self._times, dtype="<i8").tobytes())
        sink.write((keys >> np.uint64(16)).astype("<u4").tobytes())
        sink.write((keys & np.uint64(_MOST_BLOCKS - 1)).astype("<u2").tobytes())
        return place

    def _add_part(self, part: pa.Table, block: int) -> None:
        times = part.column("ts_ns").to_numpy()
        low, high = int(times.min()), int(times.max())
        if block == len(self._times):
            self._times.append((low, high))
        else:
            before = self._times[block]
            self._times[block] = min(low, before[0]), max(high, before[1])
        found = [
            _ids_of(chunk)
            for name in _TEXTS
            if name in part.column_names
            for chunk in part.column(name).chunks
        ]
        if "trace_lo" in part.column_names:
            found.append(trace_hashes(part))
        hashes = _each_once(np.concatenate([*found, np.empty(0, np.uint64)]))
        self._keys.append(hashes << np.uint64(16) | np.uint64(block & _MOST_BLOCKS - 1))


def text_hash(text: str) -> int:
    """By which a request or chain is found; two that differ seldom have the same."""
    content = text.encode()
    words = memoryview(content[:_HASHED].ljust(-(-min(len(content), _HASHED) // 4) * 4, b"\0"))
    summed: int = sum(map(operator.mul, words.cast("I"), _FACTORS), len(content) * _LENGTH)
    return (summed & _64_BITS) >> 32


def trace_hash(trace_id: str) -> int:
    """By which a trace is found, given as 32 hexadecimal digits."""
    words = [int(trace_id[first : first + 8], 16) for first in range(0, 32, 8)]
    summed: int = sum(map(operator.mul, words, _TRACE))
    return (summed & _64_BITS) >> 32


def times_of(path: Path | str, place: IdPlace, hashes: Iterable[int]) -> tuple[int, int] | None:
    """The first and the last ts_ns of the blocks that may have rows with all of these ids.

    None where no row has. One read of some kilobytes for each id. Raises OSError, ValueError for
    a file that is cut short.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        blocks: set[int] | None = None
        for each in hashes:
            found = _blocks(handle, place, each)
            blocks = found if blocks is None else blocks & found
            if not blocks:
                return None
        first = place.at + _HEADER.size
        times = [
            _TIMES.unpack(_read(handle, first + _TIMES.size * block, _TIMES.size))
            for block in blocks or range(place.blocks)
        ]
    finally:
        os.close(handle)
    return min(low for low, _ in times), max(high for _, high in times)


def hashes_of(path: Path | str, place: IdPlace) -> NDArray[np.uint32]:
    """All hashes of an index, in order: 4 bytes each. Raises as times_of()."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        first = place.at + _HEADER.size + _TIMES.size * place.blocks
        return np.frombuffer(_read(handle, first, _HASH * place.entries), dtype="<u4")
    finally:
        os.close(handle)


def text_hashes(texts: pa.Array) -> NDArray[np.uint64]:
    """text_hash() of each text of an array of strings that has no nulls; quick for one length."""
    return _text_hashes(texts)


def trace_hashes(table: pa.Table) -> NDArray[np.uint64]:
    """trace_hash() of each row that has a trace."""
    high, low = (table.column(name).to_numpy() for name in ("trace_hi", "trace_lo"))
    told = (high != 0) | (low != 0)
    if not told.any():
        return np.empty(0, np.uint64)
    total = np.zeros(len(table), np.uint64)
    for column, factors in ((high, _TRACE[:2]), (low, _TRACE[2:])):
        words = column.view(np.uint64)
        total += (words >> np.uint64(32)) * np.uint64(factors[0])
        total += (words & _LOW) * np.uint64(factors[1])
    hashes: NDArray[np.uint64] = (total >> np.uint64(32))[told]
    return hashes


def _each_once(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """In order. np.unique() takes several times as long."""
    numbers.sort()
    first = np.ones(len(numbers), dtype=bool)
    np.not_equal(numbers[1:], numbers[:-1], out=first[1:])
    once: NDArray[np.uint64] = numbers[first]
    return once


def _ids_of(texts: pa.Array) -> NDArray[np.uint64]:
    """The hashes of all that are neither null nor empty, some more than once."""
    if texts.null_count == len(texts):
        return np.empty(0, np.uint64)
    lengths = _lengths(texts)
    if texts.null_count or (lengths != lengths[0]).any():
        texts = texts.drop_null().dictionary_encode().dictionary
        lengths = _lengths(texts)
    return _text_hashes(texts)[lengths > 0]


def _lengths(texts: pa.Array) -> NDArray[np.int32]:
    offsets = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1, texts.offset * 4)
    return np.diff(offsets)


def _text_hashes(texts: pa.Array) -> NDArray[np.uint64]:
    """text_hash() of each; quick where all are of one length."""
    if not len(texts):
        return np.empty(0, np.uint64)
    begins = np.frombuffer(texts.buffers()[1], np.int32, len(texts), texts.offset * 4)
    content = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    lengths = _lengths(texts)
    hashed = np.minimum(lengths, _HASHED)
    found = lengths.astype(np.uint64) * np.uint64(_LENGTH)
    if (lengths == hashed[0]).all():
        size, first = int(lengths[0]), int(begins[0])
        found += _summed(content[first : first + size * len(texts)].reshape(len(texts), size))
    else:
        for size in np.unique(hashed).tolist():
            rows = np.flatnonzero(hashed == size)
            found[rows] += _summed(content[begins[rows][:, None] + np.arange(size)])
    return found >> np.uint64(32)


def _summed(texts: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Of texts of one length, a row each: their words times the factors of these."""
    rows, size = texts.shape
    if size % 4:
        texts = np.pad(texts, ((0, 0), (0, -size % 4)))
    total = np.zeros(rows, np.uint64)
    for number, word in enumerate(np.ascontiguousarray(texts).view("<u4").T if size else ()):
        total += word * _FACTORS_ARRAY[number]
    return total


def _blocks(handle: int, place: IdPlace, wanted: int) -> set[int]:
    """The blocks in which a hash occurs."""
    begin = place.at + _HEADER.size + _TIMES.size * place.blocks
    low, high = _likely(wanted, place.entries)
    hashes = _hashes(handle, begin, low, high)
    if (low and not hashes[0] < wanted) or (high < place.entries and not hashes[-1] > wanted):
        low, hashes = 0, _hashes(handle, begin, 0, place.entries)
    first, last = bisect_left(hashes, wanted), bisect_right(hashes, wanted)
    if first == last:
        return set()
    at = begin + _HASH * place.entries + _BLOCK * (low + first)
    return set(memoryview(_read(handle, at, _BLOCK * (last - first))).cast("H"))


def _likely(wanted: int, entries: int) -> tuple[int, int]:
    """Where a hash is in the order of all: they are spread evenly, as a coin's throws are."""
    guess, slack = wanted * entries >> 32, 4 * isqrt(entries) + 32
    return max(0, guess - slack), min(entries, guess + slack)


def _hashes(handle: int, begin: int, low: int, high: int) -> Sequence[int]:
    return memoryview(_read(handle, begin + _HASH * low, _HASH * (high - low))).cast("I")


def _read(handle: int, at: int, size: int) -> bytes:
    content = os.pread(handle, size, at)
    if len(content) != size:
        raise ValueError("the file is cut short")
    return content
