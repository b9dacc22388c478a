"""Session files made by hand, byte by byte, for tests of their readers."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

from whence.ring import layout

__all__ = ["UUID_BYTES", "session_bytes", "write_session"]

UUID_BYTES = bytes(range(16))


def session_bytes(
    *,
    magic: bytes = layout.SESSION_MAGIC,
    endian: int = layout.ENDIAN_MARK,
    major: int = layout.FORMAT_MAJOR,
    minor: int = 0,
    key: int = 0x0A0B0C0D0E0F,
    pid: int = 4711,
    run: int = 0xBEEF,
    seed: int = 0,
    created_wall_ns: int = 1_700_000_000_000_000_000,
    said: object = None,
    anchors: tuple[tuple[int, int], ...] = ((1_000, 1_700_000_000_000_001_000),),
    text_length: int | None = None,
    ready: int = 1,
) -> bytes:
    """The bytes of a session file; its checksum is right."""
    text = json.dumps(said if said is not None else {"service": "by hand"}).encode()
    length = len(text) if text_length is None else text_length
    head = layout.SESSION_HEADER.pack(
        magic, endian, major, minor, UUID_BYTES, key, pid, 0, 5, UUID_BYTES[::-1], run,
        900, created_wall_ns, 1, length, seed, 0, ready,
    )  # fmt: skip
    crc = zlib.crc32(text[:length], zlib.crc32(head[: layout.SESSION_CRC_OFFSET]))
    head = head[: layout.SESSION_CRC_OFFSET] + struct.pack("<II", crc, ready)
    data = bytearray(layout.SESSION_BYTES)
    data[: len(head)] = head
    data[layout.SESSION_TEXT_OFFSET : layout.SESSION_TEXT_OFFSET + len(text)] = text
    struct.pack_into("<Q", data, layout.ANCHORS_OFFSET, len(anchors))
    for i, anchor in enumerate(anchors[: layout.ANCHOR_COUNT]):
        layout.ANCHOR.pack_into(data, layout.ANCHORS_OFFSET + 16 + i * layout.ANCHOR.size, *anchor)
    return bytes(data)


def write_session(base: Path, name: str, data: bytes | None = None) -> Path:
    """A dead session's folder with nothing but its session file."""
    folder = base / name
    folder.mkdir(parents=True, mode=0o700)
    (folder / "session").write_bytes(session_bytes() if data is None else data)
    return folder
