"""Compression of files that grow: whole members one after the other, told by the name's suffix."""

from __future__ import annotations

import importlib
import os
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, Protocol

from whence.model.errors import UnsupportedFormat

__all__ = ["Codec", "Members", "codec_of"]

CHUNK_BYTES = 1 << 20


class Members(NamedTuple):
    """Where the complete members of a file end, and where the last of them begins."""

    last_begin: int
    end: int


class Codec(Protocol):
    """How bytes are kept in a file. A file is a row of members, each complete by itself."""

    def member(self, content: bytes) -> bytes:
        """The bytes of one member."""
        ...

    def scan(self, file: BinaryIO) -> Members:
        """The complete members; a torn one at the end is left out."""
        ...

    def plain(self, members: bytes) -> bytes:
        """What these whole members hold."""
        ...

    def each(self, members: bytes) -> Iterator[tuple[int, bytes]]:
        """Where each of these whole members begins, and what it holds."""
        ...


def codec_of(name: str) -> tuple[Codec | None, str]:
    """The codec that a file's suffix names, None for plain files, and the name without it.

    Raises UnsupportedFormat where zstd is asked for and not installed.
    """
    stem, suffix = os.path.splitext(name)
    if suffix == ".gz":
        return _Gzip(), stem
    if suffix in (".zst", ".zstd"):
        return _Zstd(suffix), stem
    return None, name


class _Gzip:
    def member(self, content: bytes) -> bytes:
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)
        return packer.compress(content) + packer.flush()

    def scan(self, file: BinaryIO) -> Members:
        return _scan(file, lambda: zlib.decompressobj(31), zlib.error)

    def plain(self, members: bytes) -> bytes:
        return b"".join(content for _, content in self.each(members))

    def each(self, members: bytes) -> Iterator[tuple[int, bytes]]:
        return _each(members, lambda: zlib.decompressobj(31))


class _Zstd:
    def __init__(self, suffix: str) -> None:
        try:
            self._library: Any = importlib.import_module("zstandard")
        except ImportError:
            raise UnsupportedFormat(
                f"{suffix} needs zstandard: pip install 'whence[zstd]', or use .gz"
            ) from None

    def member(self, content: bytes) -> bytes:
        packed: bytes = self._library.ZstdCompressor(level=3, write_checksum=True).compress(content)
        return packed

    def scan(self, file: BinaryIO) -> Members:
        make = self._library.ZstdDecompressor().decompressobj
        return _scan(file, make, self._library.ZstdError)

    def plain(self, members: bytes) -> bytes:
        return b"".join(content for _, content in self.each(members))

    def each(self, members: bytes) -> Iterator[tuple[int, bytes]]:
        return _each(members, self._library.ZstdDecompressor().decompressobj)


def _each(members: bytes, make: Any) -> Iterator[tuple[int, bytes]]:
    whole = len(members)
    while members:
        begin, unpacker = whole - len(members), make()
        content = unpacker.decompress(members)
        members = unpacker.unused_data
        yield begin, content


def _scan(file: BinaryIO, make: Any, damage: type[Exception]) -> Members:
    last, end = 0, 0
    file.seek(0)
    rest, position = b"", 0
    while True:
        unpacker, first = make(), position - len(rest)
        try:
            while not unpacker.eof:
                data = rest or file.read(CHUNK_BYTES)
                if not data:
                    return Members(last, end)
                position += 0 if rest else len(data)
                rest = b""
                unpacker.decompress(data)
        except damage:
            return Members(last, end)
        rest = unpacker.unused_data
        last, end = first, position - len(rest)
