"""export_json(): every event in one document that any JSON reader takes, integers exact."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

import whence
from whence.model.errors import ExportError
from whence.model.event import Option
from whence.model.severity import Severity
from whence.model.time import Duration, Timestamp
from whence.receive.json_export import read_json_export

TEN_FIELDS = [
    "event_id",
    "event_type",
    "component",
    "timestamp_ns",
    "duration_ns",
    "model_id",
    "request_id",
    "rationale",
    "severity",
    "attributes",
]


@pytest.fixture
def collector() -> whence.TraceCollector:
    """A collector with one event that says everything, and one that says little."""
    collector = whence.TraceCollector(10)
    collector.record(
        whence.TraceEvent(
            event_id="built",
            event_type="admission_result",
            component="AdmissionController",
            timestamp=Timestamp(2**63 - 1),
            duration=Duration(-(2**63)),
            model_id="ocr",
            request_id="req-1",
            rationale="Admitted",
            severity=Severity.Error,
            attributes={
                "wcrt_ns": 72_000_000,
                "utilisation": 0.85,
                "admitted": True,
                "policy": "EDF",
                "most": 2**63 - 1,
            },
            options=(Option("ocr", {"slack": 0.1, "inf": float("inf")}, True, "only one"),),
            lineage_id=2**64 - 1,
            caused_by="cause",
        )
    )
    collector.record_now("t", "C")
    return collector


def exported(collector: Any, path: Path) -> dict[str, Any]:
    """The document that the collector writes, by the standard library's reader."""
    size = collector.export_json(path)
    assert size == path.stat().st_size
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def test_every_event_is_in_the_document(collector: whence.TraceCollector, tmp_path: Path) -> None:
    """In order of time, with the documented fields first. R0.50 R0.51 R0.58"""
    document = exported(collector, tmp_path / "out.json")
    short, full = document["events"]
    for event in (short, full):
        assert [name for name in event if name in TEN_FIELDS] == TEN_FIELDS
    assert list(short)[:10] == TEN_FIELDS
    assert (full["event_id"], full["event_type"]) == ("built", "admission_result")
    assert (full["component"], full["model_id"]) == ("AdmissionController", "ocr")
    assert (full["request_id"], full["rationale"]) == ("req-1", "Admitted")


def test_times_are_whole_nanoseconds(collector: whence.TraceCollector, tmp_path: Path) -> None:
    """Integers at both ends of their range, never floats. R0.52 R0.53"""
    before = Timestamp.now().value_ns
    document = exported(collector, tmp_path / "out.json")
    short, full = document["events"]
    assert full["timestamp_ns"] == 2**63 - 1
    assert full["duration_ns"] == -(2**63)
    assert all(
        type(event[key]) is int
        for event in (short, full)
        for key in ("timestamp_ns", "duration_ns")
    )
    assert 0 < short["timestamp_ns"] <= before
    assert short["duration_ns"] == 0
    (anchor, *_) = document["sessions"][0]["anchors"]
    assert all(type(value) is int for value in anchor)


def test_severity_is_a_name_and_attributes_are_strings(
    collector: whence.TraceCollector, tmp_path: Path
) -> None:
    """Typed values keep their type beside; ids beyond 53 bits are strings too. R0.31 R0.54"""
    short, full = exported(collector, tmp_path / "out.json")["events"]
    assert (short["severity"], full["severity"]) == ("Info", "Error")
    assert full["attributes"] == {
        "wcrt_ns": "72000000",
        "utilisation": "0.85",
        "admitted": "true",
        "policy": "EDF",
        "most": "9223372036854775807",
    }
    assert full["attribute_types"] == {
        "wcrt_ns": "int",
        "utilisation": "float",
        "admitted": "bool",
        "most": "int",
    }
    assert full["lineage_id"] == "18446744073709551615"
    assert full["options"][0]["scores"] == {"slack": 0.1, "inf": "Infinity"}
    assert (full["decision"], full["caused_by"]) == (True, "cause")
    assert short["attributes"] == {}
    assert {"decision", "options", "lineage_id", "text_lost"} & set(short) == set()


def test_an_export_reads_back_as_the_recording(
    collector: whence.TraceCollector, tmp_path: Path
) -> None:
    """Events, kinds, ledgers, gates and sessions. R0.50 R0.58"""
    gated = whence.kind("export_gated", component="C", n=int)
    gated(1)
    gated.disable()
    recording = collector.recording()
    collector.export_json(tmp_path / "out.json")
    read = read_json_export(tmp_path / "out.json")
    assert [each.event_id for each in read.events] == [each.event_id for each in recording.events]
    assert [dict(e.attributes) for e in read.events] == [
        dict(e.attributes) for e in recording.events
    ]
    assert read.rings == recording.rings
    assert read.kinds == recording.kinds
    assert read.gate_changes == recording.gate_changes
    assert [(each.kind, each.on) for each in read.gate_changes][-1] == ("export_gated", False)
    assert read.sessions[0].uuid == recording.sessions[0].uuid


def test_an_empty_collector_writes_an_empty_document(tmp_path: Path) -> None:
    """No events are still a document. R0.50"""
    document = exported(whence.TraceCollector(3), tmp_path / "out.json")
    assert document["events"] == []
    assert (document["format"], document["version"]) == ("whence-json", 1)


def test_all_rings_are_exported_together(tmp_path: Path) -> None:
    """whence.collector() writes kinds and collectors of all threads as one. R0.50"""
    tick = whence.kind("export_tick", component="C", n=int)
    threads = [threading.Thread(target=tick, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
        thread.join()
    collector = whence.TraceCollector(3)
    collector.record_now("export_now", "C")
    document = exported(whence.collector(), tmp_path / "out.json")
    types = [event["event_type"] for event in document["events"]]
    assert types.count("export_tick") == 3
    assert types.count("export_now") == 1
    times = [event["timestamp_ns"] for event in document["events"]]
    assert times == sorted(times)
    assert len(document["events"]) == sum(ring["readable"] for ring in document["rings"])


def test_an_export_replaces_a_file_whole(collector: whence.TraceCollector, tmp_path: Path) -> None:
    """The old content goes at once, its readers keep it, and no other file is left. R0.50"""
    path = tmp_path / "out.json"
    path.write_text("old")
    with path.open() as reader:
        collector.export_json(path)
        assert reader.read() == "old"
    assert json.loads(path.read_text())["events"]
    assert os.listdir(tmp_path) == ["out.json"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    collector.export_json(str(path))


def test_an_export_that_fails_leaves_nothing_behind(
    collector: whence.TraceCollector, tmp_path: Path
) -> None:
    """A folder, a place that is not there: ExportError, and the file as it was. R0.50"""
    with pytest.raises(ExportError, match=r"is a folder|Is a directory"):
        collector.export_json(tmp_path)
    with pytest.raises(ExportError, match="No such file"):
        collector.export_json(tmp_path / "nowhere" / "out.json")
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_the_old_export(
    collector: whence.TraceCollector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the bytes cannot be kept, the file stays as it was. R0.50"""
    path = tmp_path / "out.json"
    path.write_text("old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExportError, match="No space left"):
        collector.export_json(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.json"]
