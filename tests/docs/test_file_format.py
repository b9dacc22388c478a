"""The page about files is enough to read them: a reader made from it alone agrees with whence."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.page_reader import read_session
from whence.collect.sessions import read_recording
from whence.export.json_export import write_recording
from whence.model.event import TraceEvent
from whence.model.recording import Recording
from whence.receive.json_export import parse_json_export

PAGE = Path(__file__).parents[2] / "docs" / "file-format.md"
PROGRAM = Path(__file__).with_name("record_everything.py")
COLUMNS = (
    "event_id", "event_type", "component", "model_id", "request_id", "rationale", "severity",
    "decision_chain_id", "caused_by", "lineage_id", "decision", "text_lost", "truncated", "ring",
    "ticket", "span", "span_id", "parent_span_id", "status", "status_message",
)  # fmt: skip
COUNTS = ("recorded", "readable", "lost", "cleared", "text_lost", "truncated", "in_flight")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The session of a program that recorded everything and was killed."""
    base = tmp_path_factory.mktemp("format")
    finished = subprocess.run(
        [sys.executable, str(PROGRAM)],
        env={**os.environ, "WHENCE_DIR": str(base)},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == -signal.SIGKILL, finished.stderr
    return Path(finished.stdout.strip())


@pytest.fixture(scope="module")
def page(folder: Path) -> dict[str, Any]:
    """What the reader made from the page finds."""
    return read_session(folder)


@pytest.fixture(scope="module")
def ours(folder: Path) -> Recording:
    """What whence's own reader finds."""
    return read_recording([folder])


def by_page(event: dict[str, Any]) -> dict[str, Any]:
    """An event of the page's reader, ready to be compared."""
    times = {"timestamp": event["timestamp_ns"], "duration": event["duration_ns"]}
    told = {name: event[name] for name in COLUMNS} | times
    options = [tuple(option) for option in event["options"]]
    told |= {"links": comparable(event["links"])}
    return told | {"options": comparable(options), "attributes": comparable(event["attributes"])}


def by_us(event: TraceEvent) -> dict[str, Any]:
    """The same of an event of ours."""
    told: dict[str, Any] = {name: getattr(event, name) for name in COLUMNS}
    told["severity"] = int(event.severity)
    told |= {"timestamp": event.timestamp.value_ns, "duration": event.duration.nanos}
    options = [(o.name, dict(o.scores), o.chosen, o.reason) for o in event.options]
    told |= {"links": comparable([(*link[:2], dict(link[2])) for link in event.links])}
    return told | {"options": comparable(options), "attributes": comparable(dict(event.attributes))}


def comparable(value: Any) -> Any:
    """The value with its types, and with NaN equal to itself."""
    if isinstance(value, float):
        return "float", "nan" if math.isnan(value) else repr(value)
    if isinstance(value, dict):
        return [(key, comparable(part)) for key, part in value.items()]
    if isinstance(value, list | tuple):
        return [comparable(part) for part in value]
    return type(value).__name__, value


def test_every_event_is_read_alike(page: dict[str, Any], ours: Recording) -> None:
    """Both readers find the same events with the same fields, in the same order. R5.1"""
    assert len(page["events"]) == len(ours.events)
    for read, known in zip(page["events"], ours.events, strict=True):
        assert by_page(read) == by_us(known)
        assert read["trace_id"] in ("", known.trace_id)


def test_open_spans_are_read_alike(page: dict[str, Any], ours: Recording) -> None:
    """Both readers find the same spans open, and how many found no room. R5.1"""
    for read, known in zip(page["rings"], ours.rings, strict=True):
        spans = [
            (s.name, s.span_id, s.parent_span_id, s.start_ns, s.request_id)
            for s in known.open_spans
        ]
        assert read["open_spans"] == spans
        assert read["open_spans_unseen"] == known.open_spans_unseen
    assert any(read["open_spans_unseen"] for read in page["rings"])


def test_the_recording_holds_what_the_page_describes(page: dict[str, Any]) -> None:
    """Nothing on the page is left untried: each form, entry and loss occurs in the recording."""
    events = page["events"]
    requests = {event["request_id"] for event in events}
    assert {"", "r", "exactly sixteen!", "exactly seventeen"} <= requests
    assert any(name.startswith("lost:") for name in requests)
    for flag in ("text_lost", "truncated", "decision", "options", "caused_by", "lineage_id"):
        assert any(event[flag] for event in events)
        assert not all(event[flag] for event in events)
    kinds = {event["event_type"] for event in events}
    assert {"wide64", "narrow23", "built", "type 0", "type 2049"} <= kinds
    assert any(ring["lost"] for ring in page["rings"])
    assert any(ring["cleared"] for ring in page["rings"])


def test_kinds_are_read_alike(page: dict[str, Any], ours: Recording) -> None:
    """Both readers find the same declarations."""
    assert list(page["kinds"]) == [kind.id for kind in ours.kinds]
    for read, known in zip(page["kinds"].values(), ours.kinds, strict=True):
        for name in ("name", "component", "rationale", "otel_name", "source", "decision"):
            assert read[name] == getattr(known, name)
        assert read["severity"] == int(known.severity)
        assert [field[2] for field in read["fields"]] == [field.name for field in known.fields]


def test_sessions_are_read_alike(page: dict[str, Any], ours: Recording) -> None:
    """Both readers say the same of the process and its clocks."""
    session = ours.sessions[0]
    for name in ("name", "uuid", "key", "pid", "run", "boot_id", "started_wall_ns"):
        assert page[name] == getattr(session, name)
    assert page["said"]["service"] == session.service == "everything"
    assert page["anchors"] == [(each.monotonic_ns, each.wall_ns) for each in session.anchors]
    assert not session.live


def test_ledgers_are_read_alike(page: dict[str, Any], ours: Recording) -> None:
    """Both readers count the same, ring by ring and kind by kind, and the counts add up. R5.1"""
    assert len(page["rings"]) == len(ours.rings)
    for read, known in zip(page["rings"], ours.rings, strict=True):
        assert known.closes
        assert {name: read[name] for name in COUNTS} == {
            name: getattr(known, name) for name in COUNTS
        }
        assert [str(owner) for owner in read["owners"]] == list(known.owners)
        rows = [tuple(getattr(row, name) for name in ROW) for row in known.per_kind]
        assert sorted(read["rows"].values()) == sorted(rows)


ROW = ("recorded", "sampled_out", "throttled", "below_minimum", "rejected", "nested")


def test_gate_changes_are_read_alike(page: dict[str, Any], ours: Recording) -> None:
    """Both readers know when which kind was switched."""
    read = [
        (when, page["kinds"][kind]["name"], bool(after & 1))
        for when, kind, _, after in page["gates"]
    ]
    known = [(change.monotonic_ns, change.kind, change.on) for change in ours.gate_changes]
    assert read == known
    assert [on for _, _, on in read] == [False, True, False]


@pytest.mark.parametrize("back", [1, 2, 5])
def test_half_written_and_unused_slots_are_read_alike(
    folder: Path, tmp_path: Path, back: int
) -> None:
    """A slot that its process did not finish is in flight for both readers. R5.1"""
    copy = shutil.copytree(folder, tmp_path / folder.name, copy_function=shutil.copyfile)
    for ring in read_session(folder)["rings"]:
        path = copy / f"ring-{ring['ring']:05d}"
        following = ring["cleared"] + ring["readable"] + ring["lost"]
        if following < back:
            continue  # it has no such slot
        slots = ring["capacity"]
        data = bytearray(path.read_bytes())
        for ticket in range(following - back, following):  # as if the last ones never came
            at = 0x4000 + 64 * (ticket % slots)
            older = max(ticket - slots + 1, 0) * 2
            struct.pack_into("<Q", data, at, older)
        at = 0x4000 + 64 * ((following - back) % slots)
        struct.pack_into("<Q", data, at, (following - back + 1) * 2 + 1)
        path.write_bytes(data)
    page, ours = read_session(copy), read_recording([copy])
    for event, known in zip(page["events"], ours.events, strict=True):
        assert by_page(event) == by_us(known)
    for read, known in zip(page["rings"], ours.rings, strict=True):
        assert {name: read[name] for name in COUNTS} == {
            name: getattr(known, name) for name in COUNTS
        }


def json_section() -> str:
    """What the page says of JSON exports."""
    return PAGE.read_text().partition("## JSON export")[2]


def test_the_export_on_the_page_is_one() -> None:
    """The document that the page shows is read as it stands."""
    shown = re.search(r"```json\n(.*?)```", json_section(), re.DOTALL)
    assert shown is not None
    read = parse_json_export(shown[1].encode())
    assert read.events[0].attributes == {"slack_ns": 8_400_000}
    assert read.rings[0].recorded == 2
    assert [change.on for change in read.gate_changes] == [False]


def test_every_field_of_an_export_is_on_the_page(ours: Recording, tmp_path: Path) -> None:
    """An export has no field that the page does not name, and reads back the same. R0.51"""
    target = tmp_path / "everything.json"
    write_recording(target, ours, 1, filtered="nothing")
    text = target.read_text()
    named = set(re.findall(r"[\w]+", json_section()))
    document = json.loads(text)
    rows = [
        document,
        *(row for part in document.values() if isinstance(part, list) for row in part),
    ]
    rows += [counts for ring in document["rings"] for counts in ring["per_kind"]]
    rows += [option for event in document["events"] for option in event.get("options", ())]
    assert {key for row in rows for key in row} - named == set()
    again = parse_json_export(text.encode())
    assert [by_us(event) for event in again.events] == [by_us(event) for event in ours.events]
