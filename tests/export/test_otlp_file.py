"""OTLP files: a request a line, a signal a file, whole again after a crash."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("opentelemetry.proto", reason="opentelemetry-proto is not installed")

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

import whence
from tests.export.otlp_reference import encode, in_base64
from tests.own_events import OwnEvents
from whence.collect.events import to_events
from whence.collect.local import local_session
from whence.collect.sink import Drained, Sink
from whence.export.sinks import open_sink


@pytest.fixture
def drained(recorded: OwnEvents) -> Drained:
    """A log record and a span."""
    kind = whence.kind("file_otlp", component="C", text=str, duration_ns=int)
    with whence.request("4bf92f35-77b3-4da6-a3ce-929d0e0e4736"):
        kind("line\nbreak\u2028", 0)
        kind("", 500)
    session = local_session()
    assert session is not None
    return Drained(recorded.batch(), {session.name: session})


def delivered(url: str, drained: Drained, times: int = 1, **options: Any) -> Sink:
    """A sink that has written these events so many times."""
    sink = open_sink(url, options)
    for _ in range(times):
        for payload in sink.encode(drained):
            assert sink.deliver(payload, 1).delivered == payload.events
    sink.close()
    return sink


def test_each_signal_has_a_file_that_others_can_read(drained: Drained, tmp_path: Path) -> None:
    """A line is a LogsData or TracesData in OTLP's JSON. R5.17"""
    delivered(f"otlp-file:{tmp_path / 'out.jsonl'}", drained)
    logs = (tmp_path / "out.logs.jsonl").read_bytes().split(b"\n")
    traces = (tmp_path / "out.traces.jsonl").read_bytes().split(b"\n")
    assert len(logs) == len(traces) == 2
    assert logs[1] == traces[1] == b""
    (session,) = drained.sessions.values()
    wanted_logs, wanted_traces = encode(to_events(drained.batch.rows()), session)
    got_logs = ParseDict(in_base64(json.loads(logs[0])), LogsData())
    got_traces = ParseDict(in_base64(json.loads(traces[0])), TracesData())
    assert list(got_logs.resource_logs) == list(wanted_logs.resource_logs)
    assert list(got_traces.resource_spans) == list(wanted_traces.resource_spans)


def test_one_signal_alone_is_in_the_file_that_was_named(drained: Drained, tmp_path: Path) -> None:
    """With signals=logs spans are log records, too. R5.17"""
    path = tmp_path / "all.jsonl"
    delivered(f"otlp-file:{path}?signals=logs", drained)
    (group,) = json.loads(path.read_bytes())["resourceLogs"]
    assert len(group["scopeLogs"][0]["logRecords"]) == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["all.jsonl"]


def test_compressed_files_grow_by_members(drained: Drained, tmp_path: Path) -> None:
    """Their name says so; what a crash cut off is gone when the file is opened again. R5.17"""
    url = f"otlp-file:{tmp_path / 'out.jsonl.gz'}?signals=traces"
    delivered(url, drained, times=2)
    path = tmp_path / "out.jsonl.gz"
    assert len(gzip.decompress(path.read_bytes()).splitlines()) == 2
    path.write_bytes(path.read_bytes()[:-5])
    delivered(url, drained)
    assert len(gzip.decompress(path.read_bytes()).splitlines()) == 2


def test_a_line_that_a_crash_cut_off_is_removed(drained: Drained, tmp_path: Path) -> None:
    """Whoever reads the file finds whole lines. R5.17"""
    url = f"otlp-file:{tmp_path / 'out.jsonl'}?signals=logs"
    delivered(url, drained)
    path = tmp_path / "out.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    open_sink(url).close()
    assert path.read_bytes() == whole
    path.write_bytes(whole[:10])
    open_sink(url).close()
    assert path.read_bytes() == b""


def test_a_full_file_makes_room_for_the_next(drained: Drained, tmp_path: Path) -> None:
    """Files are ended between two lines. R5.17"""
    url = f"otlp-file:{tmp_path / 'out.jsonl'}?signals=logs"
    delivered(url, drained, times=3, rotate_bytes=1)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "out-000001.jsonl",
        "out-000002.jsonl",
        "out.jsonl",
    ]


@pytest.mark.parametrize("url", ["otlp-file:", "otlp-file:x?colour=1", "otlp-file:x?signals=no"])
def test_what_is_wrong_in_a_url_is_said(url: str) -> None:
    """Before a file is made. R5.17"""
    with pytest.raises(ValueError, match="otlp-file:PATH"):
        open_sink(url)
