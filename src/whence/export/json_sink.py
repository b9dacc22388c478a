"""The JSON sink: at every moment one valid document of all events, replaced whole."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from whence.collect.sink import Drained, Payload, Reply, Sink, Unavailable
from whence.export.codec import Codec
from whence.export.growing_file import open_locked, rotated_name, write_all
from whence.export.json_export import FORMAT, VERSION, utc_text
from whence.export.ndjson_sink import clocks_of
from whence.model.errors import ExportError
from whence.model.plain_parts import plain_kind, plain_session

__all__ = ["JsonSink"]

OPENING = b'{"events":['
CLOSING = b'\n],"exported_at":'  # an event holds no line break, so this stands nowhere else
DEFAULT_ROTATE_BYTES = 64 << 20


class JsonSink(Sink):
    """Keeps {"events": [...], "exported_at": ...} with the events' sessions and kinds in a file.

    Each delivery writes the document anew beside the file, from the old one and the new events,
    and renames it: readers see the old or the new one. That copies the document, so it is ended
    at `rotate_bytes` and the next one begun; for many events NDJSON is the better format.
    """

    most_events = 65_536
    most_bytes = 0

    def __init__(
        self,
        path: Path,
        codec: Codec | None,
        rotate_bytes: int = DEFAULT_ROTATE_BYTES,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.name = f"file://{path.absolute()}"
        self._path = path
        self._codec = codec
        self._rotate_bytes = rotate_bytes or DEFAULT_ROTATE_BYTES
        self._now_ns = now_ns
        self._sessions: dict[str, dict[str, Any]] = {}
        self._kinds: dict[tuple[str, int], dict[str, Any]] = {}
        self._handle = open_locked(path)
        self._events_end = 0  # of the opening and the events
        try:
            self._find_end()
        except BaseException:
            self.close()
            raise

    def encode(self, drained: Drained) -> Iterable[Payload]:
        """One payload: the events, joined by commas."""
        for info in drained.sessions.values():
            self._sessions[info.name] = plain_session(info)
        for session, kinds in drained.kinds.items():
            for kind in kinds:
                self._kinds[session, kind.id] = plain_kind(kind)
        yield Payload(b"".join(drained.batch.json(clocks=clocks_of(drained))), len(drained))

    def deliver(self, payload: Payload, timeout_s: float) -> Reply:
        """Writes the document with these events added, waits for the disk, and renames it."""
        try:
            if self._handle < 0 or not os.path.exists(self._path):
                self._begin_anew()
            elif self._events_end + len(payload.body) > self._rotate_bytes and self._events_end:
                os.rename(self._path, rotated_name(self._path))
                self._begin_anew()
            self._replace(payload.body)
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror or error}") from error
        return Reply(payload.events)

    def leave_behind(self) -> None:
        """In a forked child: the file and its lock are the parent's."""
        self.close()

    def close(self) -> None:
        """Gives up the file. May come twice."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _begin_anew(self) -> None:
        self.close()
        self._handle = open_locked(self._path)
        self._events_end = 0
        self._find_end()

    def _replace(self, events: bytes) -> None:
        head = self._packed((b"," if self._events_end else OPENING) + events) if events else b""
        tail = self._packed(self._trailer() if events else OPENING + self._trailer())
        temporary = self._path.with_name(f".{self._path.name}.new")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)  # of a collector that was killed; the lock is ours
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(temporary, flags, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _copy(self._handle, handle, self._events_end)
            write_all(handle, head, self._events_end)
            write_all(handle, tail, self._events_end + len(head))
            os.fsync(handle)
            os.rename(temporary, self._path)
        except BaseException:
            os.close(handle)
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        os.close(self._handle)
        self._handle = handle
        self._events_end += len(head)

    def _trailer(self) -> bytes:
        now_ns = self._now_ns()
        rest = {
            "exported_at": utc_text(now_ns),
            "exported_at_ns": now_ns,
            "format": FORMAT,
            "version": VERSION,
            "filtered": "collected while it was being recorded",
            "sessions": list(self._sessions.values()),
            "kinds": list(self._kinds.values()),
            "rings": [],
            "gates": [],
        }
        return b"\n]," + json.dumps(rest, separators=(",", ":")).encode()[1:] + b"\n"

    def _packed(self, content: bytes) -> bytes:
        return self._codec.member(content) if self._codec else content

    def _find_end(self) -> None:
        """Where the events of the present document end. Raises ExportError if it is not ours."""
        size = os.fstat(self._handle).st_size
        if size == 0:
            self._replace(b"")
            return
        try:
            end, trailer = self._last_part(size)
            rest = json.loads(b'{"events":[' + trailer)
            if rest["format"] != FORMAT:
                raise ValueError("it is of another format")
            for session in rest["sessions"]:
                self._sessions[session["name"]] = session
            for kind in rest["kinds"]:
                self._kinds[kind.get("session", ""), kind["id"]] = kind
        except (ValueError, KeyError, TypeError) as error:
            raise ExportError(
                f"{self._path} is there and no collector's document ({error}): "
                "move it away, or name another file"
            ) from error
        self._events_end = end

    def _last_part(self, size: int) -> tuple[int, bytes]:
        if self._codec is not None:
            with open(os.dup(self._handle), "rb") as file:
                begin = self._codec.scan(file).last_begin
            last = self._codec.plain(os.pread(self._handle, size - begin, begin))
            return begin, last[last.rfind(CLOSING) :]
        part, at = b"", size
        while at > 0 and CLOSING not in part:
            step = min(at, 1 << 16)
            at -= step
            part = os.pread(self._handle, step, at) + part
        place = part.rfind(CLOSING)
        if place < 0 or not os.pread(self._handle, len(OPENING), 0) == OPENING:
            raise ValueError("it holds something else")
        end = at + place
        return (end if end > len(OPENING) else 0), part[place:]


def _copy(source: int, target: int, count: int) -> None:
    """The first `count` bytes, without their passing through here."""
    at = 0
    while at < count:
        copied = os.sendfile(target, source, at, count - at)
        if copied == 0:
            raise OSError("the document became shorter while it was copied")
        at += copied
