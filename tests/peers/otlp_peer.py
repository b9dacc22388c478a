"""A recorded session, how it is sent to a real collector, and what must come out there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.mocks.otlp_receiver import Received
from whence.collect.sessions import find_sessions, read_batches
from whence.export.otlp import otlp_requests

__all__ = ["EVENTS", "PROGRAM", "as_counts", "collect", "free_ports", "sent", "wait_for"]

EVENTS = 400
PROGRAM = f"""
import whence
whence.start(text_bytes=4 << 20, service="rotel-test")
decided = whence.kind("decided", component="Scheduler", decision=True, rationale="took {{model}}",
                      model=str, n=int, share=float, late=bool, options=list[whence.Option])
lasted = whence.kind("lasted", component="Worker", duration_ns=int, caused_by=str,
                     lineage_id=whence.U64, text=str)
for i in range({EVENTS} // 2):
    with whence.request(f"4bf92f35-77b3-4da6-a3ce-{{i:012x}}" if i % 2 else f"request-{{i}}"):
        options = [whence.Option("a", {{"cost": i / 7}}, True), whence.Option("b", reason="no")]
        decided("m\\u00e9\\U0001f600", i, i / 3, i % 3 == 0, options)
        lasted(1_000 + i, "", 2**64 - 1 - i, "line\\nbreak")
"""


def free_ports(count: int) -> list[int]:
    """Ports that nobody has just now."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path, timeout_s: float = 30) -> None:
    """Until somebody listens there."""
    end_s = time.monotonic() + timeout_s
    while True:
        assert process.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < end_s, log.read_text()
        time.sleep(0.05)


def collect(folder: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Delivers what is in the folder once."""
    command = [sys.executable, "-m", "whence", "collect", "--once", "--keep", "--from", str(folder)]
    return subprocess.run(
        [*command, "--to", url, *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        env=os.environ | {"NO_COLOR": "1", "WHENCE_DIR": str(folder)},
        check=False,
    )


def sent(folder: Path) -> tuple[Counter[bytes], Counter[bytes]]:
    """What an equal collector must receive: log records and spans, with their resources."""
    drained, _, _ = read_batches(find_sessions(str(folder)))
    wanted = Received()
    for session, batch in drained:
        for signal, body, _ in otlp_requests(batch, {session.name: session}):
            if signal == "logs":
                wanted.logs.append(ExportLogsServiceRequest.FromString(body))
            else:
                wanted.traces.append(ExportTraceServiceRequest.FromString(body))
    return as_counts(wanted)


def as_counts(received: Received) -> tuple[Counter[bytes], Counter[bytes]]:
    """Every record and span with its resource, in whatever order."""
    return tuple(  # type: ignore[return-value]
        Counter(_bytes(resource) + _bytes(record) for resource, record in pairs)
        for pairs in (received.records, received.spans)
    )


def _bytes(message: Any) -> bytes:
    content: bytes = message.SerializeToString(deterministic=True)
    return content
