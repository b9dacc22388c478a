"""The OpenTelemetry Collector itself takes what we send and passes it on unchanged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("grpc", reason="grpcio is not installed")

from tests.apps import AppRun
from tests.mocks.otlp_receiver import GrpcReceiver, HttpReceiver
from tests.peers.go_program import build
from tests.peers.otlp_peer import EVENTS, PROGRAM, as_counts, collect, free_ports, sent, wait_for

SOURCE = Path(__file__).with_name("otelcol")

pytestmark = [
    pytest.mark.skipif(not os.environ.get("WHENCE_PEERS"), reason="set WHENCE_PEERS=1 to build it"),
    pytest.mark.skipif(shutil.which("go") is None, reason="no Go toolchain"),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collector of otelcol/, built with modules from the module proxy."""
    return build(SOURCE, tmp_path_factory.mktemp("otelcol") / "passes_on")


@contextmanager
def collector(program: Path, onward: str, out_port: int, log: Path) -> Iterator[tuple[int, int]]:
    """A running collector that exports to `out_port`; its ports for gRPC and HTTP."""
    grpc_port, http_port = free_ports(2)
    exporter, endpoint = ("otlp", "") if onward == "grpc" else ("otlphttp", "http://")
    out = {"endpoint": f"{endpoint}127.0.0.1:{out_port}", "tls": {"insecure": True}}
    pipeline = {"receivers": ["otlp"], "exporters": [exporter]}
    protocols = {
        "grpc": {"endpoint": f"127.0.0.1:{grpc_port}"},
        "http": {"endpoint": f"127.0.0.1:{http_port}"},
    }
    settings = {
        "receivers": {"otlp": {"protocols": protocols}},
        "exporters": {exporter: out},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"logs": pipeline, "traces": pipeline},
        },
    }
    kept = {name: value for name, value in os.environ.items() if "OTEL" not in name}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [program, json.dumps(settings)], stdout=file, stderr=file, env=kept
        )
        try:
            for port in (grpc_port, http_port):
                wait_for(port, process, log)
            yield grpc_port, http_port
        finally:
            process.terminate()
            process.wait(30)


@pytest.mark.parametrize("scheme", ["otlp", "otlp+http"])
@pytest.mark.parametrize("onward", ["grpc", "http"])
def test_what_the_collector_passes_on_is_what_we_sent(
    scheme: str, onward: str, program: Path, run_app: Callable[..., AppRun], tmp_path: Path
) -> None:
    """Ours, through the Collector on either transport, to a receiver: equal in every field. R5.17

    R1.42 Log records, spans, links, options, wide numbers and 128-bit ids.
    """
    folder = run_app(PROGRAM).whence_dir
    receiver = GrpcReceiver() if onward == "grpc" else HttpReceiver()
    with receiver:
        log = tmp_path / "otelcol.log"
        with collector(program, onward, receiver.port, log) as (grpc_port, http_port):
            port = grpc_port if scheme == "otlp" else http_port
            result = collect(folder, f"{scheme}://127.0.0.1:{port}")
            assert result.returncode == 0, result.stdout + result.stderr
            receiver.received.wait(lambda r: len(r.records) + len(r.spans) >= EVENTS)
    for _, span in receiver.received.spans:
        if not span.status.ByteSize():
            span.ClearField("status")  # the Collector writes an empty one, which says the same
    assert as_counts(receiver.received) == sent(folder)
