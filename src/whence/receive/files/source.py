"""A file's bytes, bounded and inflated, and the name that its own ids are told apart by."""

from __future__ import annotations

import hashlib
import importlib
import zlib
from dataclasses import dataclass
from datetime import timezone
from pathlib import Path
from typing import Any

from whence.model.errors import CorruptFile, UnsupportedFormat
from whence.receive.inflate import TooLarge, inflated

__all__ = ["ImportLimits", "ReadOptions", "SourceFile", "read_source", "source_of"]

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_STEP_BYTES = 4 << 10  # of zstd; may become 128 MiB at once, if its window is that large
_MOST_WINDOW_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class ImportLimits:
    """What a file may hold. What is beyond it is refused, and said."""

    file_bytes: int = 512 << 20
    """Of a file, as it is and when it is inflated."""
    line_bytes: int = 1 << 20
    """Of one line; a longer one is rejected."""
    depth: int = 64
    """Of values in each other."""
    names: int = 10_000
    """Of the fields of one event."""
    document_bytes: int = 256 << 20
    """Of a JSON document that is read whole."""
    value_bytes: int = 16 << 20
    """Of one value in it."""
    memory_bytes: int = 8 << 30
    """Of the process that reads files, where one does."""
    cpu_s: int = 600
    """Of its time for one file."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How files are read. `unit` is that of times that are numbers, `zone` of those without one.

    `called` is what the file's ids are told apart by, instead of what the file holds. With
    `strict` the first thing that cannot be taken is an error.
    """

    strict: bool = False
    unit: str = ""
    zone: timezone | None = None
    called: str = ""
    limits: ImportLimits = ImportLimits()


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file's content. `key` stands before its own ids, `run` is what its events are called."""

    name: str
    content: bytes
    sha256: str
    key: str
    run: str


def read_source(path: str, options: ReadOptions) -> SourceFile:
    """Reads a file, and takes gzip or zstd off it.

    Raises OSError, CorruptFile for a file that is damaged or larger than it may be, and
    UnsupportedFormat for zstd where that is not installed.
    """
    most = options.limits.file_bytes
    with open(path, "rb") as file:
        content = file.read(most + 1)
    return source_of(content, path, options)


def source_of(content: bytes, path: str, options: ReadOptions) -> SourceFile:
    """The same of bytes that were read already."""
    most = options.limits.file_bytes
    try:
        if content.startswith(_GZIP):
            content = inflated(content, "gzip", most)
        elif content.startswith(_ZSTD):
            content = _from_zstd(content, path, most)
    except TooLarge as error:
        raise CorruptFile(f"{path} holds {error}") from None
    except (ValueError, zlib.error) as error:
        if isinstance(error, UnsupportedFormat | CorruptFile):
            raise
        raise CorruptFile(f"{path} is damaged: {error}") from None
    if len(content) > most:
        raise CorruptFile(f"{path} holds more than {most} bytes")
    digest = hashlib.sha256(content).hexdigest()
    name = Path(path).name
    stem = name.partition(".")[0] or name
    return SourceFile(
        name=name,
        content=content,
        sha256=digest,
        key=options.called or digest[:12],
        run=options.called or f"{stem[:80]}-{digest[:8]}".encode(errors="replace").decode(),
    )


def _from_zstd(content: bytes, path: str, most: int) -> bytes:
    try:
        zstd: Any = importlib.import_module("zstandard")
    except ImportError:
        raise UnsupportedFormat(
            f"{path} is compressed with zstd, which needs zstandard: pip install 'whence[cli]'"
        ) from None
    out = bytearray()
    at, view = 0, memoryview(content)
    try:
        while at < len(content):
            unpacker = zstd.ZstdDecompressor(max_window_size=_MOST_WINDOW_BYTES).decompressobj()
            while not unpacker.eof:
                if at >= len(content):
                    raise CorruptFile(f"{path} is cut short")
                chunk = view[at : at + _STEP_BYTES]
                out += unpacker.decompress(chunk)
                at += len(chunk) - len(unpacker.unused_data)
                if len(out) > most:
                    raise TooLarge(f"more than {most} bytes when inflated")
    except zstd.ZstdError as error:
        raise CorruptFile(f"{path} is damaged: {error}") from None
    return bytes(out)
