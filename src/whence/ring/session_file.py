"""What a session file says: who recorded, when, and whether the process still lives."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import uuid
import zlib
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from whence.model.errors import CorruptFile, NotASession, UnsupportedFormat
from whence.model.recording import MOST_INT64, Anchor, SessionInfo
from whence.ring import layout
from whence.ring.folders import open_session_file

__all__ = [
    "is_locked",
    "is_recording",
    "parse_description",
    "parse_session",
    "read_description",
    "read_removed",
    "read_request_seed",
    "read_session_file",
]


def read_session_file(folder: Path) -> SessionInfo:
    """The session in `folder`. Raises NotASession, UnsupportedFormat, CorruptFile or OSError."""
    try:
        handle = open_session_file(folder, "session")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotASession(f"{folder} holds no session") from error
    try:
        data = os.pread(handle, layout.SESSION_BYTES, 0)
        live = is_locked(handle)
    finally:
        os.close(handle)
    info = parse_session(data, folder, live)
    unnamed, in_memory = _missing(folder)
    if unnamed or in_memory:
        info = replace(info, unnamed_kinds=unnamed, memory_rings=in_memory)
    return info


def _missing(folder: Path) -> tuple[int, int]:
    """The kinds without a name and the rings without a file, as the control page counts them."""
    try:
        handle = open_session_file(folder, "control")
    except (NotASession, OSError):
        return 0, 0
    try:
        data = os.pread(handle, layout.MISSING.size, layout.MISSING_OFFSET)
    finally:
        os.close(handle)
    unnamed, in_memory = layout.MISSING.unpack(data.ljust(layout.MISSING.size, b"\0"))
    return unnamed, in_memory


def read_removed(folder: Path) -> tuple[int, int]:
    """How many rings of ended collectors made room for others, and what was recorded to them.

    Raises NotASession or OSError where there is no control page, CorruptFile for one cut short.
    """
    handle = open_session_file(folder, "control")
    try:
        data = os.pread(handle, layout.REMOVED_RINGS.size, layout.REMOVED_RINGS_OFFSET)
    finally:
        os.close(handle)
    if len(data) < layout.REMOVED_RINGS.size:
        raise CorruptFile("is cut short: rings that were removed are not counted")
    rings, events = layout.REMOVED_RINGS.unpack(data)
    return rings, events


def is_recording(folder: Path) -> bool:
    """Whether the session's process lives: 10 us. Raises NotASession, or OSError if it is gone."""
    handle = open_session_file(folder, "session")
    try:
        return is_locked(handle)
    finally:
        os.close(handle)


def read_description(folder: Path) -> dict[str, object]:
    """What the process said of itself when its session began; {} where that cannot be read."""
    try:
        handle = open_session_file(folder, "session")
    except (NotASession, OSError):
        return {}
    try:
        data = os.pread(handle, layout.SESSION_BYTES, 0)
    finally:
        os.close(handle)
    return parse_description(data)


def parse_description(data: bytes) -> dict[str, object]:
    """The same from the bytes of a session file."""
    if len(data) < layout.SESSION_BYTES or data[:8] != layout.SESSION_MAGIC:
        return {}
    length = layout.SESSION_HEADER.unpack_from(data)[14]
    start = layout.SESSION_TEXT_OFFSET
    return _described(data[start : start + min(length, layout.SESSION_TEXT_BYTES)])


def parse_session(data: bytes, folder: Path | None, live: bool) -> SessionInfo:
    """The session that these bytes of a session file describe."""
    where = folder or "session file"
    if len(data) < layout.SESSION_BYTES:
        raise CorruptFile(f"{where}: the session file is cut short ({len(data)} bytes)")
    fields = layout.SESSION_HEADER.unpack_from(data)
    (magic, endian, major, _minor, uuid_bytes, key, pid, _uid, _ticks, boot_id, run) = fields[:11]
    (_created_monotonic, created_wall, _clock, text_length, _seed, crc, ready) = fields[11:]
    if magic != layout.SESSION_MAGIC:
        raise CorruptFile(f"{where}: not a session file")
    if endian != layout.ENDIAN_MARK:
        raise UnsupportedFormat(f"{where}: recorded on a machine of the other byte order")
    if major != layout.FORMAT_MAJOR:
        raise UnsupportedFormat(
            f"{where}: format {major}; this whence reads format {layout.FORMAT_MAJOR}"
        )
    if ready != 1 or text_length > layout.SESSION_TEXT_BYTES:
        raise CorruptFile(f"{where}: the session file was never completed")
    start = layout.SESSION_TEXT_OFFSET
    text = data[start : start + text_length]
    if zlib.crc32(text, zlib.crc32(data[: layout.SESSION_CRC_OFFSET])) != crc:
        raise CorruptFile(f"{where}: the session file fails its checksum")
    described = _described(text)
    return SessionInfo(
        name=folder.name if folder else "",
        path=str(folder) if folder else "",
        uuid=str(uuid.UUID(bytes=uuid_bytes)),
        key=key,
        pid=pid,
        service=str(described.get("service", "")),
        run=f"{run:016x}",
        boot_id=str(uuid.UUID(bytes=boot_id)),
        started_wall_ns=min(created_wall, MOST_INT64),
        anchors=_anchors(data),
        live=live,
        state="recording" if live else "dead",
        resource=_resource(described),
    )


def read_request_seed(folder: Path) -> int:
    """The secret of the session's long request ids; of a session that read_session_file reads.

    No SessionInfo has it: whoever chooses request ids must not come to know it. Raises OSError.
    """
    handle = open_session_file(folder, "session")
    try:
        data = os.pread(handle, layout.SESSION_HEADER.size, 0)
    finally:
        os.close(handle)
    seed: int = layout.SESSION_HEADER.unpack(data)[-3]
    return seed


def _described(text: bytes) -> dict[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _resource(described: dict[str, object]) -> tuple[tuple[str, str], ...]:
    """What the process said of itself; its $OTEL_RESOURCE_ATTRIBUTES overrule what we know."""
    known = {"host.name": described.get("host"), "process.runtime.version": described.get("python")}
    given = described.get("attributes")
    for name, value in given.items() if isinstance(given, dict) else ():
        known[unquote(name)] = unquote(value) if isinstance(value, str) else value
    return tuple((name, value) for name, value in known.items() if value and isinstance(value, str))


def _anchors(data: bytes) -> tuple[Anchor, ...]:
    (count,) = struct.unpack_from("<Q", data, layout.ANCHORS_OFFSET)
    first = layout.ANCHORS_OFFSET + 16
    pairs = (
        layout.ANCHOR.unpack_from(data, first + i * layout.ANCHOR.size)
        for i in range(min(count, layout.ANCHOR_COUNT))
    )
    return tuple(
        sorted(
            Anchor(monotonic, wall)
            for monotonic, wall in pairs
            if wall and max(monotonic, wall) <= MOST_INT64
        )
    )


def is_locked(handle: int) -> bool:
    """Whether the process that owns the file lives: it holds an OFD lock that ends with it."""
    wanted = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    found = fcntl.fcntl(handle, fcntl.F_OFD_GETLK, wanted)
    return bool(struct.unpack("hhqqi", found)[0] != fcntl.F_UNLCK)
