"""Our own exports into a store: JSON files, and events one a line, with their ids and sessions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa

from whence.model.errors import CorruptFile
from whence.model.event import AttributeValue, TraceEvent
from whence.model.recording import Recording, SessionInfo
from whence.model.time import Timestamp
from whence.receive.files.report import FileReport
from whence.receive.files.source import ReadOptions, SourceFile
from whence.receive.json_export import parse_json_export
from whence.store.outside import outside_session
from whence.store.sessions import StoredSession
from whence.store.tables import table_of

__all__ = ["is_own_export", "read_own"]

KIND = "whence-export"
CHUNK_EVENTS = 10_000


def is_own_export(found: Any) -> bool:
    """Whether a JSON value is such a file, or one event of such lines."""
    if not isinstance(found, dict):
        return False
    if "event_type" in found and "timestamp_ns" in found and "event_id" in found:
        return True
    events = found.get("events")
    return isinstance(events, list) and (
        found.get("format") == "whence-json" or (bool(events) and is_own_export(events[0]))
    )


def read_own(
    source: SourceFile, options: ReadOptions, report: FileReport
) -> Iterator[list[tuple[pa.Table, StoredSession]]]:
    """The rows of an export, under sessions that stand for those that recorded them.

    Ids stay: what was exported twice is there once. Times become wall time by the sessions'
    anchors; what an event had of its place in a ring stays as `import.` attributes. The whole file
    is read or none of it: CorruptFile, UnsupportedFormat.
    """
    if len(source.content) > options.limits.document_bytes:
        raise CorruptFile(f"{source.name} holds more than {options.limits.document_bytes} bytes")
    recording = parse_json_export(source.content, source.name)
    known = {info.name: info for info in recording.sessions}
    if recording.rings:
        report.notes["ledgers of rings: not kept, a store counts its own"] = len(recording.rings)
    if recording.gate_changes:
        report.notes["changes of gates: not kept"] = len(recording.gate_changes)
    by_session: defaultdict[str, list[TraceEvent]] = defaultdict(list)
    before_ns = None
    for number, event in enumerate(recording.events):
        made = _moved(event, recording, number, source, report)
        report.see(made.timestamp.value_ns, before_ns)
        before_ns = made.timestamp.value_ns
        by_session[event.session].append(made)
    for name, events in by_session.items():
        session = _session(known.get(name) or SessionInfo(name), recording)
        for at in range(0, len(events), CHUNK_EVENTS):
            yield [(table_of(events[at : at + CHUNK_EVENTS], ()), session)]


def _moved(
    event: TraceEvent, recording: Recording, number: int, source: SourceFile, report: FileReport
) -> TraceEvent:
    """The event at its wall time, with what it had of its place."""
    wall_ns = recording.wall_ns(event)
    how = "monotonic time, by the anchors of its session"
    if wall_ns is None:
        wall_ns, how = event.timestamp.value_ns, "as it is: the file has no anchors"
    report.times[how] += 1
    report.shapes[event.event_type] += 1
    place: dict[str, AttributeValue] = {"import.timestamp_ns": event.timestamp.value_ns}
    if event.session:
        place["import.session"] = event.session
    if event.ring >= 0:
        place |= {"import.ring": event.ring, "import.ticket": event.ticket}
    return replace(
        event,
        event_id=event.event_id or f"{source.key}:{number}",
        timestamp=Timestamp(wall_ns),
        attributes={**event.attributes, **place},
    )


def _session(info: SessionInfo, recording: Recording) -> StoredSession:
    told = {
        "session.name": info.name,
        "session.uuid": info.uuid,
        "session.run": info.run,
        "process.pid": str(info.pid) if info.pid else "",
        **dict(info.resource),
    }
    made = outside_session(KIND, {k: v for k, v in told.items() if v}, info.service)
    kinds = tuple(
        replace(kind, session=made.info.name)
        for kind in recording.kinds
        if kind.session in ("", info.name)
    )
    return replace(made, kinds=kinds)
