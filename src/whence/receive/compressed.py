"""Unpacks exports that were compressed with gzip or zstd, told by how they begin."""

from __future__ import annotations

import gzip
import importlib
import io
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from whence.model.errors import CorruptFile, UnsupportedFormat

__all__ = ["is_compressed", "unpacked"]

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
MOST_BYTES = 16 << 30  # a small file that unpacks to more was made to harm
_CHUNK_BYTES = 1 << 20
_ZSTD_STEP_BYTES = 4 << 10  # may unpack to 128 MiB at once


def is_compressed(beginning: bytes) -> bool:
    """Whether a file that begins so is one that `unpacked` unpacks."""
    return beginning.startswith((_GZIP, _ZSTD))


def unpacked(content: bytes, name: str) -> bytes:
    """The content itself, or what it holds if it is compressed; `name` is for error messages.

    Raises CorruptFile if it is damaged or unpacks to more than 16 GiB, UnsupportedFormat for zstd
    where zstandard is not installed.
    """
    if content.startswith(_GZIP):
        try:
            return _bounded(_members(content), name)
        except (OSError, EOFError, zlib.error) as error:
            raise CorruptFile(f"{name} is damaged: {error}") from None
    if not content.startswith(_ZSTD):
        return content
    try:
        zstd: Any = importlib.import_module("zstandard")
    except ImportError:
        raise UnsupportedFormat(
            f"{name} is compressed with zstd, which needs zstandard: pip install 'whence[cli]'"
        ) from None
    try:
        return _bounded(_frames(zstd, content, name), name)
    except zstd.ZstdError as error:
        raise CorruptFile(f"{name} is damaged: {error}") from None


def _members(content: bytes) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as reader:
        while chunk := reader.read(_CHUNK_BYTES):
            yield chunk


def _frames(zstd: Any, content: bytes, name: str) -> Iterator[bytes]:
    at, view = 0, memoryview(content)
    while at < len(content):
        unpacker = zstd.ZstdDecompressor().decompressobj()
        while not unpacker.eof:
            if at >= len(content):
                raise CorruptFile(f"{name} is cut short")
            chunk = view[at : at + _ZSTD_STEP_BYTES]
            yield unpacker.decompress(chunk)
            at += len(chunk) - len(unpacker.unused_data)


def _bounded(chunks: Iterable[bytes], name: str) -> bytes:
    out = bytearray()
    for chunk in chunks:
        out += chunk
        if len(out) > MOST_BYTES:
            raise CorruptFile(f"{name} unpacks to more than {MOST_BYTES >> 30} GiB")
    return bytes(out)
