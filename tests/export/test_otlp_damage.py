"""OTLP from damaged files: whatever they hold, receivers can read what is sent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("opentelemetry.proto", reason="opentelemetry-proto is not installed")

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.apps import run_program
from whence.collect.session_reader import SessionReader
from whence.export.otlp import otlp_requests
from whence.ring import layout

CLASSES = {"logs": ExportLogsServiceRequest, "traces": ExportTraceServiceRequest}
PROGRAM = """
import whence
kind = whence.kind("some", component="C", rationale="{a} {s}", a=int, s=str, model=str,
                   options=list[whence.Option], caused_by=str, duration_ns=int)
for n in range(20):
    options = [whence.Option("a", {"s": 1.5}, True, "good")]
    with whence.request(f"a request with a long name {n}"), whence.span("work", a="b") as span:
        span.link(("4bf92f3577b34da6a3ce929d0e0e4736", 7), why="it says so")
        kind(n, "text " * n, "model", options, "cause", n % 2)
"""


@pytest.fixture(scope="module")
def dead(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The session of a program that ended."""
    return run_program(PROGRAM, tmp_path_factory.mktemp("otlp")).session_dir


@given(st.data())
def test_damaged_bytes_are_still_sent_as_otlp(dead: Path, data: st.DataObject) -> None:
    """Valid messages, valid text, every event once, in both notations. R1.42 R5.17"""
    folder = dead.parent / "damaged"
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(dead, folder)
    for path in sorted(folder.glob("ring-*")):
        content = bytearray(path.read_bytes())
        used = [at for at in range(layout.RING_HEADER_BYTES, len(content)) if content[at]]
        for _ in range(data.draw(st.integers(0, 12))):
            content[data.draw(st.sampled_from(used))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
    reader = SessionReader(folder)
    batch = reader.drain()
    for as_json in (False, True):
        requests = otlp_requests(batch, {reader.info.name: reader.info}, as_json=as_json)
        assert sum(request.events for request in requests) == len(batch)
        for signal, body, _ in requests:
            if as_json:
                json.loads(body)
                continue
            message = CLASSES[signal].FromString(body)
            str(message)  # reads every text
