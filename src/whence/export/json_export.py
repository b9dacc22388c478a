"""The JSON export: one valid document, written whole or not at all."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from whence.model.errors import ExportError
from whence.model.plain_parts import (
    plain_damage,
    plain_gate,
    plain_kind,
    plain_ring,
    plain_session,
)
from whence.model.recording import Recording
from whence.query.plain import plain_event

if TYPE_CHECKING:
    from whence._native import Batch
    from whence.export.codec import Codec
    from whence.model.event import TraceEvent

__all__ = [
    "packed",
    "replacing",
    "utc_text",
    "write_batches",
    "write_recording",
    "write_recording_to",
]

FORMAT = "whence-json"
VERSION = 1
MEMBER_BYTES = 4 << 20  # compressed at a time
_END = b"\n]}\n"


def write_batches(
    path: str | os.PathLike[str],
    batches: Sequence[Batch],
    recording: Recording,
    exported_at_ns: int,
) -> int:
    """Writes the events of native batches, with all else from `recording` but its events.

    Returns the number of bytes. Raises ExportError; the file is then as it was before. Events
    cost about 0.3 us each; several batches come one after the other.
    """

    def fill(handle: Any) -> int:
        written, comma = handle.write(_opening(recording, exported_at_ns)), b""
        for batch in batches:
            if len(batch):
                written += handle.write(comma)
                handle.flush()  # what comes is written past it
                written += batch.write_json(handle.fileno())
                comma = b","
        return int(written + handle.write(_END))

    return _write(path, fill)


def write_recording(
    path: str | os.PathLike[str],
    recording: Recording,
    exported_at_ns: int,
    *,
    filtered: str = "",
    codec: Codec | None = None,
    events: Iterable[TraceEvent] | None = None,
) -> int:
    """Writes a recording that is held as values. Returns the number of bytes; ExportError.

    With a `codec` of whence.export.codec the file is compressed. `filtered` says in words which
    events were left out, if any were: readers then know that what they miss may have been recorded.
    `events`, if given, are taken one after the other instead of the recording's.
    """
    events = recording.events if events is None else events
    parts = itertools.chain(
        [_opening(recording, exported_at_ns, filtered)], _event_lines(events), [_END]
    )
    return _write(path, lambda handle: sum(handle.write(part) for part in packed(parts, codec)))


def write_recording_to(
    file: BinaryIO,
    recording: Recording,
    exported_at_ns: int,
    *,
    filtered: str = "",
    codec: Codec | None = None,
    events: Iterable[TraceEvent] | None = None,
) -> None:
    """The same into an open file, one event per line, in constant memory. Raises OSError."""
    events = recording.events if events is None else events
    opening = _opening(recording, exported_at_ns, filtered)
    parts = itertools.chain([opening], _event_lines(events), [_END])
    file.writelines(packed(parts, codec))


def _write(path: str | os.PathLike[str], fill: Callable[[Any], int]) -> int:
    try:
        with replacing(Path(path)) as handle:
            return fill(handle)
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror or error}") from error


def packed(parts: Iterable[bytes], codec: Codec | None) -> Iterator[bytes]:
    """The parts themselves, or members of the codec of some megabytes each."""
    if codec is None:
        yield from parts
        return
    waiting = bytearray()
    for part in parts:
        waiting += part
        if len(waiting) >= MEMBER_BYTES:
            yield codec.member(bytes(waiting))
            waiting.clear()
    if waiting:
        yield codec.member(bytes(waiting))


def _opening(recording: Recording, exported_at_ns: int, filtered: str = "") -> bytes:
    head = {
        "format": FORMAT,
        "version": VERSION,
        "exported_at": utc_text(exported_at_ns),
        "exported_at_ns": exported_at_ns,
        "sessions": [plain_session(session) for session in recording.sessions],
        "kinds": [plain_kind(kind) for kind in recording.kinds],
        "rings": [plain_ring(ring) for ring in recording.rings],
        "gates": [plain_gate(change) for change in recording.gate_changes],
    }
    if recording.damage:
        head["damage"] = [plain_damage(damage) for damage in recording.damage]
    if filtered:
        head["filtered"] = filtered
    return _dump(head)[:-1] + b',\n"events":['


def _event_lines(events: Iterable[TraceEvent]) -> Iterator[bytes]:
    """The same objects that the native writer makes."""
    before = b"\n"
    for event in events:
        yield before + _dump(plain_event(event))
        before = b",\n"


def utc_text(wall_ns: int) -> str:
    """A wall time as ISO 8601 has it, in UTC, to the nanosecond; "" for one beyond the years."""
    seconds, nanos = divmod(wall_ns, 1_000_000_000)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanos:09}Z"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Any]:
    """A file beside `path` that takes its place at the end, or vanishes.

    Links are followed and an old file's mode is kept. A device or pipe is written to as it is.
    """
    path = path.resolve()
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file")
    if path.exists() and not path.is_file():
        with _opened(lambda: open(path, "wb")) as device:
            yield device
        return
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_umask()
    beside, prefix = path.parent, f".{path.name}."
    with _opened(
        lambda: tempfile.NamedTemporaryFile("wb", dir=beside, prefix=prefix, delete=False)
    ) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, mode)
            os.replace(file.name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(file.name)
            raise


def _opened(opening: Callable[[], Any]) -> Any:
    """The file; MemoryError where Python says RuntimeError, having no memory for its lock."""
    try:
        return opening()
    except RuntimeError as error:
        raise MemoryError(str(error)) from error


def _umask() -> int:
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o077


def _dump(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()
