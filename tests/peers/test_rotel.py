"""A real OpenTelemetry collector, rotel, takes what we send and passes it on unchanged."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("rotel", reason="rotel is not installed: pip install 'whence[peers]'")
pytest.importorskip("grpc", reason="grpcio is not installed")

import rotel

from tests.apps import AppRun
from tests.mocks.otlp_receiver import GrpcReceiver, HttpReceiver
from tests.peers.otlp_peer import EVENTS, PROGRAM, as_counts, collect, free_ports, sent, wait_for

AGENT = Path(rotel.__file__).with_name("rotel-agent")


@pytest.fixture
def folder(run_app: Callable[..., AppRun]) -> Path:
    """A recorded session."""
    return run_app(PROGRAM).whence_dir


@contextmanager
def agent(out: str, protocol: str, log: Path) -> Iterator[tuple[int, int]]:
    """A running rotel that exports to `out`; its ports for gRPC and HTTP."""
    grpc_port, http_port = free_ports(2)
    command = [str(AGENT), "start", "--exporter", "otlp"]
    command += ["--otlp-grpc-endpoint", f"127.0.0.1:{grpc_port}"]
    command += ["--otlp-http-endpoint", f"127.0.0.1:{http_port}"]
    command += ["--otlp-exporter-endpoint", out, "--otlp-exporter-protocol", protocol]
    command += ["--batch-timeout", "100ms"]
    kept = {name: value for name, value in os.environ.items() if "OTEL" not in name}
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=kept)
        try:
            for port in (grpc_port, http_port):
                wait_for(port, process, log)
            yield grpc_port, http_port
        finally:
            process.terminate()
            process.wait(30)


@pytest.mark.parametrize("scheme", ["otlp", "otlp+http"])
@pytest.mark.parametrize("onward", ["grpc", "http"])
def test_what_a_collector_passes_on_is_what_we_sent(
    scheme: str, onward: str, folder: Path, tmp_path: Path
) -> None:
    """Ours, through rotel on either transport, to a receiver: equal to the last bit of an id. R5.17

    R1.42 Log records, spans, links, options, wide numbers and 128-bit ids.
    """
    receiver = GrpcReceiver() if onward == "grpc" else HttpReceiver()
    with receiver:
        out = f"http://127.0.0.1:{receiver.port}"
        with agent(out, onward, tmp_path / "rotel.log") as (grpc_port, http_port):
            port = grpc_port if scheme == "otlp" else http_port
            result = collect(folder, f"{scheme}://127.0.0.1:{port}")
            assert result.returncode == 0, result.stdout + result.stderr
            receiver.received.wait(lambda r: len(r.records) + len(r.spans) >= EVENTS)
    assert as_counts(receiver.received) == sent(folder)
