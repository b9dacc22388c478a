"""whence collect into OTLP receivers that have limits, refuse, vanish and come back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grpc", reason="grpcio is not installed")

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from tests.apps import AppRun
from tests.mocks.otlp_receiver import Answer, GrpcReceiver, HttpReceiver, reset

EVENTS = 300
PROGRAM = f"""
import whence
whence.start(text_bytes=4 << 20)
logged = whence.kind("logged", component="A", n=int, text=str)
lasted = whence.kind("lasted", component="B", n=int, duration_ns=int)
for n in range({EVENTS} // 2):
    logged(n, "x" * 100)
    lasted(n, 1 + n)
"""


@pytest.fixture
def folder(run_app: Callable[..., AppRun]) -> Path:
    """A recorded session, half log records, half spans."""
    return run_app(PROGRAM).whence_dir


def collect(folder: Path, url: str, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Delivers once: exit code, the ledger of the sink, what was told on standard error."""
    command = [sys.executable, "-m", "whence", "collect", "--once", "--keep", "--json"]
    done = subprocess.run(
        [*command, "--from", str(folder), "--to", url, *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        env=os.environ | {"NO_COLOR": "1", "WHENCE_DIR": str(folder)},
        check=False,
    )
    told = json.loads(done.stdout)
    (sink,) = told["sinks"]
    return done.returncode, sink, done.stderr


def closes(sink: dict[str, Any]) -> bool:
    """read = delivered + filtered + refused + expired + queued."""
    parts = ("delivered", "filtered", "refused", "expired", "queued")
    return bool(sink["read"] == sum(sink[part] for part in parts) == EVENTS)


def numbers(receiver: GrpcReceiver | HttpReceiver) -> tuple[list[int], list[int]]:
    """Which events came, of either signal."""
    found = []
    for pairs in (receiver.received.records, receiver.received.spans):
        attributes = ({a.key: a.value for a in record.attributes} for _, record in pairs)
        found.append(sorted(each["n"].int_value for each in attributes))
    return found[0], found[1]


def test_a_receiver_with_a_small_limit_gets_everything_in_halves(folder: Path) -> None:
    """What is too large for it is halved until it fits; nothing comes twice. R1.42"""
    with GrpcReceiver(most_bytes=9_000) as receiver:
        code, sink, _ = collect(folder, f"otlp://127.0.0.1:{receiver.port}")
    assert (code, sink["delivered"]) == (0, EVENTS)
    assert closes(sink)
    assert numbers(receiver) == (list(range(EVENTS // 2)),) * 2
    assert len(receiver.received.logs) > 4


def test_a_stumbling_receiver_gets_everything(folder: Path) -> None:
    """503, too many requests, a reset connection and 413 in a row. R1.42"""
    answers = [
        Answer(503, {"Retry-After": "0"}),
        Answer(429, {"Retry-After": "0"}),
        Answer(instead=reset),
        Answer(413),
    ]
    with HttpReceiver(answers) as receiver:
        code, sink, _ = collect(folder, f"otlp+http://127.0.0.1:{receiver.port}")
    assert (code, sink["delivered"]) == (0, EVENTS)
    assert closes(sink)
    assert numbers(receiver) == (list(range(EVENTS // 2)),) * 2


def test_what_is_partly_refused_is_counted(folder: Path) -> None:
    """Seven of the log records are rejected; the spans are not concerned. R1.42"""
    response = ExportLogsServiceResponse()
    response.partial_success.rejected_log_records = 7
    response.partial_success.error_message = "too old"
    with HttpReceiver([Answer(body=response.SerializeToString())]) as receiver:
        code, sink, told = collect(folder, f"otlp+http://127.0.0.1:{receiver.port}")
    assert code == 3
    assert (sink["refused"], sink["delivered"]) == (7, EVENTS - 7)
    assert closes(sink)
    assert "too old" in json.dumps(sink) + told


def test_nobody_there_is_told_and_nothing_is_delivered(folder: Path) -> None:
    """The end comes after the grace, with everything accounted for. R1.42"""
    with HttpReceiver() as receiver:
        port = receiver.port
    code, sink, told = collect(folder, f"otlp+http://127.0.0.1:{port}", "--grace", "300ms")
    assert (code, sink["delivered"]) == (3, 0)
    assert closes(sink)
    assert "refused" in json.dumps(sink) + told


def test_spans_alone_leave_the_others_filtered(folder: Path) -> None:
    """With signals=traces log records are counted as filtered. R1.42"""
    with HttpReceiver() as receiver:
        code, sink, _ = collect(folder, f"otlp+http://127.0.0.1:{receiver.port}?signals=traces")
    assert (code, sink["delivered"], sink["filtered"]) == (0, EVENTS // 2, EVENTS // 2)
    assert closes(sink)


def test_the_environment_names_the_endpoint(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--to otlp:` is all that a program configured for OpenTelemetry needs. R1.42"""
    with HttpReceiver() as receiver:
        endpoint = f"http://127.0.0.1:{receiver.port}/base"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cret")
        code, sink, told = collect(folder, "otlp:")
    assert (code, sink["delivered"]) == (0, EVENTS)
    assert receiver.received.paths == ["/base/v1/logs", "/base/v1/traces"]
    assert receiver.received.headers[0]["api-key"] == "s3cret"
    assert "s3cret" not in json.dumps(sink) + told
