"""OTLP lines and our own exports into a store; how formats are told, and hostile files."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.query.build import late_chain, recording
from tests.receive.files.stored import AGENT_RUNS, brought, stored_events, written
from whence.export.codec import codec_of
from whence.export.json_export import write_recording
from whence.model.event import TraceEvent
from whence.model.nested import whole
from whence.receive.files.source import ImportLimits, ReadOptions

SPAN: dict[str, Any] = {
    "traceId": "0af7651916cd43dd8448eb211c80319c",
    "spanId": "b7ad6b7169203331",
    "name": "picked",
    "startTimeUnixNano": "1700000000000000001",
    "endTimeUnixNano": "1700000000000000011",
    "attributes": [
        {"key": "grams", "value": {"intValue": "250"}},
        {"key": "names", "value": {"arrayValue": {"values": [{"stringValue": "a" * 300_000}]}}},
    ],
}


def request(*spans: dict[str, Any]) -> dict[str, Any]:
    """An export request of one resource."""
    attributes = [{"key": "service.name", "value": {"stringValue": "shop"}}]
    return {
        "resourceSpans": [
            {"resource": {"attributes": attributes}, "scopeSpans": [{"spans": list(spans)}]}
        ]
    }


def test_otlp_lines_are_read_as_the_receiver_reads_requests(tmp_path: Path) -> None:
    """R4.69 R5.17 R5.18 Spans with all their attributes; large ones are not cut, as files hold."""
    log = {"body": {"stringValue": "hello"}, "timeUnixNano": "1700000000000000005"}
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]}
    path = written(
        tmp_path / "otlp.jsonl",
        json.dumps(request(SPAN)),
        json.dumps(logs),
        "{}",
        json.dumps(request({**SPAN, "spanId": "00"})),
    )
    (report,) = brought(tmp_path / "store", path)
    assert (report.format, report.stored, report.lines) == ("otlp", 2, 4)
    assert [(each.where, each.reason) for each in report.rejected] == [
        ("line 3", "no-request"),
        ("line 4", "rejected-records"),
    ]
    span, record = stored_events(tmp_path / "store")
    assert (span.event_type, span.duration.nanos) == ("picked", 10)
    said = whole(span.attributes)
    assert (said["grams"], said["names"]) == (250, ["a" * 300_000])
    assert record.rationale == "hello"
    (again,) = brought(tmp_path / "store", path)
    assert (again.stored, again.duplicates) == (0, 2)


def test_otlp_of_a_whole_document_is_one_request(tmp_path: Path) -> None:
    """R4.69 However it is laid out."""
    path = tmp_path / "t.json"
    path.write_text(json.dumps(request(SPAN), indent=2))
    (report,) = brought(tmp_path / "store", path)
    assert (report.format, report.stored, report.rejected) == ("otlp", 1, [])


def plainly(event: TraceEvent) -> TraceEvent:
    """The event without its place and its clock."""
    attributes = {k: v for k, v in event.attributes.items() if not k.startswith("import.")}
    return replace(
        event, session="", ring=-1, ticket=-1, attributes=attributes, timestamp=late[0].timestamp
    )


late = late_chain()


@pytest.mark.parametrize("ending", [".json", ".json.gz"])
def test_our_own_exports_come_back_with_their_ids(ending: str, tmp_path: Path) -> None:
    """R4.69 R5.18 Events, decisions, options and ids; times are wall times by the anchors."""
    made = recording(late)
    path = tmp_path / f"run{ending}"
    write_recording(path, made, 1, codec=codec_of(path.name)[0])
    (report,) = brought(tmp_path / "store", path)
    assert (report.format, report.stored) == ("whence", len(late))
    events = stored_events(tmp_path / "store")
    assert [plainly(each) for each in events] == [plainly(each) for each in made.events]
    assert [each.timestamp.value_ns for each in events] == [made.wall_ns(e) for e in made.events]
    assert [each.attributes["import.ticket"] for each in events] == [e.ticket for e in made.events]
    (again,) = brought(tmp_path / "store", path)
    assert (again.stored, again.duplicates) == (0, len(late))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"hello\nworld\n", "no format"),
        (b'{"a": 1}', "no format"),
        (b"\x1f\x8bnot gzip", "damaged"),
        (b"\x28\xb5\x2f\xfdnot zstd", "damaged"),
        (b"\xff\xfe{\x00", "no format"),
        (b"[" * 100_000, "no format"),
        (gzip.compress(b" " * 2_000_000), "more than 1000000 bytes"),
    ],
)
def test_a_file_that_cannot_be_read_says_why_and_hinders_no_other(
    content: bytes, why: str, tmp_path: Path
) -> None:
    """R4.69 Damaged, strange and swelling files are refused by name; nothing else is touched."""
    path = tmp_path / "odd"
    path.write_bytes(content)
    options = ReadOptions(limits=ImportLimits(file_bytes=1_000_000))
    good = next(AGENT_RUNS.glob("c-acp.ndjson"))
    odd, report, missing = brought(tmp_path / "s", path, good, tmp_path / "no", options=options)
    assert why in odd.error
    assert (report.stored, report.error) == (11, "")
    assert "No such file" in missing.error
