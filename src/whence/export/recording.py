"""Writes a recording as a JSON export that reads back as the same recording."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from whence.model.errors import ExportError
from whence.model.recording import KindInfo, Recording, RingLedger, SessionInfo
from whence.query.plain import plain_event

__all__ = ["write_recording", "write_recording_to"]


def write_recording(
    recording: Recording,
    path: str | os.PathLike[str],
    *,
    filtered: str = "",
    clock: Callable[[], int] = time.time_ns,
) -> None:
    """Write the recording to a file, which appears whole or not at all.

    `filtered` says in words which events were left out, if any were; readers then know that what
    they miss may have been recorded. `clock` returns wall nanoseconds. Raises ExportError.
    """
    target = Path(path)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            write_recording_to(recording, file, filtered=filtered, clock=clock)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        temporary = ""
    except OSError as error:
        raise ExportError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def write_recording_to(
    recording: Recording,
    file: BinaryIO,
    *,
    filtered: str = "",
    clock: Callable[[], int] = time.time_ns,
) -> None:
    """Write the recording into an open file, one event per line, in constant memory."""
    head: dict[str, Any] = {
        "format": "whence-json",
        "version": 1,
        "exported_at_ns": clock(),
        "sessions": [_session(session) for session in recording.sessions],
        "kinds": [_kind(kind) for kind in recording.kinds],
        "rings": [_ring(ring) for ring in recording.rings],
        "gates": [
            {
                "session": change.session,
                "monotonic_ns": change.monotonic_ns,
                "event_type": change.kind,
                "on": change.on,
            }
            for change in recording.gate_changes
        ],
    }
    if filtered:
        head["filtered"] = filtered
    file.write(_encoded(head)[:-1] + b',"events":[')
    for line in _lines(recording):
        file.write(line)
    file.write(b"\n]}\n")


def _lines(recording: Recording) -> Iterator[bytes]:
    before = b"\n"
    for event in recording.events:
        yield before + _encoded(plain_event(event))
        before = b",\n"


def _encoded(value: dict[str, Any]) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a surrogate pair has no UTF-8, but JSON can escape it
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _session(session: SessionInfo) -> dict[str, Any]:
    return {
        "name": session.name,
        "uuid": session.uuid,
        "key": str(session.key),
        "pid": session.pid,
        "service": session.service,
        "run": session.run,
        "boot_id": session.boot_id,
        "started_wall_ns": session.started_wall_ns,
        "anchors": [[anchor.monotonic_ns, anchor.wall_ns] for anchor in session.anchors],
        "live": session.live,
    }


def _kind(kind: KindInfo) -> dict[str, Any]:
    return {
        "id": kind.id,
        "event_type": kind.name,
        "component": kind.component,
        "decision": kind.decision,
        "severity": kind.severity.name,
        "rationale": kind.rationale,
        "fields": [[field.name, field.type] for field in kind.fields],
        "otel_name": kind.otel_name,
        "source": kind.source,
    }


def _ring(ring: RingLedger) -> dict[str, Any]:
    return {
        "session": ring.session,
        "ring": ring.ring,
        "capacity": ring.capacity,
        "owners": list(ring.owners),
        "recorded": ring.recorded,
        "readable": ring.readable,
        "lost": ring.lost,
        "cleared": ring.cleared,
        "text_lost": ring.text_lost,
        "truncated": ring.truncated,
        "in_flight": ring.in_flight,
        "oldest_ns": ring.oldest_ns,
        "newest_ns": ring.newest_ns,
        "per_kind": [
            {
                "event_type": counts.kind,
                "component": counts.component,
                "recorded": counts.recorded,
                "sampled_out": counts.sampled_out,
                "throttled": counts.throttled,
                "below_minimum": counts.below_minimum,
                "rejected": counts.rejected,
                "nested": counts.nested,
            }
            for counts in ring.per_kind
        ],
    }
