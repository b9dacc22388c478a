"""Arize Phoenix, where it is installed, keeps the spans we send and tells them unchanged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grpc", reason="grpcio is not installed")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.apps import AppRun
from tests.peers.otlp_peer import collect, free_ports, wait_for
from whence.collect.sessions import find_sessions, read_batches
from whence.export.otlp import otlp_requests

PHOENIX = os.environ.get("WHENCE_PHOENIX") or shutil.which("phoenix")
REQUESTS = 6
PROGRAM = f"""
import whence
whence.start(service="phoenix-test")
chosen = whence.kind("chosen", component="Scheduler", decision=True, rationale="took {{model}}",
                     model=str, n=int, duration_ns=int, options=list[whence.Option])
lasted = whence.kind("lasted", component="Worker", duration_ns=int, gen_ai_usage_input_tokens=int,
                     share=float, late=bool, lineage_id=whence.U64, text=str)
for i in range({REQUESTS}):
    with whence.request(f"4bf92f35-77b3-4da6-a3ce-{{i:012x}}" if i % 2 else f"request-{{i}}"):
        with whence.span("answer", component="Server"):
            with whence.span("generate", component="Server"):
                lasted(1_000_000 + i, 2**40 + i, i / 3, i % 3 == 0, 2**64 - 1 - i, "a\\n\\u00e9")
            options = [whence.Option("a", {{"cost": i / 7}}, True), whence.Option("b", reason="no")]
            chosen("m", i, 10_000, options)
"""

pytestmark = [
    pytest.mark.skipif(
        PHOENIX is None,
        reason="no Arize Phoenix: set WHENCE_PHOENIX to bin/phoenix of a venv with arize-phoenix",
    ),
    pytest.mark.timeout(300),
]


@contextmanager
def phoenix(folder: Path) -> Iterator[tuple[int, int]]:
    """A running Phoenix with its database in `folder`; its ports for gRPC and HTTP."""
    grpc_port, http_port = free_ports(2)
    settings = {
        "HOME": str(folder),
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(http_port),
        "PHOENIX_GRPC_PORT": str(grpc_port),  # on all interfaces: there is no setting for it
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    }
    dropped = ("OTEL", "PHOENIX", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    log = folder / "phoenix.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [str(PHOENIX), "serve"], cwd=folder, stdout=file, stderr=file, env=kept | settings
        )
        try:
            for port in (http_port, grpc_port):
                wait_for(port, process, log, timeout_s=120)
            yield grpc_port, http_port
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def told(http_port: int, count: int) -> list[dict[str, Any]]:
    """The spans that its REST interface tells, once there are as many."""
    url = f"http://127.0.0.1:{http_port}/v1/projects/default/spans?limit=1000"
    end_s = time.monotonic() + 60
    while True:
        with urllib.request.urlopen(url, timeout=30) as answer:
            spans: list[dict[str, Any]] = json.load(answer)["data"]
        if len(spans) >= count:
            return spans
        assert time.monotonic() < end_s, f"{len(spans)} of {count} spans came"
        time.sleep(0.2)


def sent(folder: Path) -> list[Any]:
    """The spans of the session, as we encode them."""
    drained, _, _ = read_batches(find_sessions(str(folder)))
    return [
        span
        for session, batch in drained
        for signal, body, _ in otlp_requests(batch, {session.name: session})
        if signal == "traces"
        for group in ExportTraceServiceRequest.FromString(body).resource_spans
        for scoped in group.scope_spans
        for span in scoped.spans
    ]


def flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """An attribute as Phoenix tells it: what maps hold has a name each, with dots."""
    which = value.WhichOneof("value")
    values = value.array_value.values
    if which == "kvlist_value":
        yield from flat_all(value.kvlist_value.values, f"{name}.")
    elif any(each.HasField("kvlist_value") for each in values):
        for place, each in enumerate(values):
            yield from flat(f"{name}.{place}", each)
    elif which == "array_value":
        yield name, [getattr(each, each.WhichOneof("value")) for each in values]
    else:
        yield name, getattr(value, which)


def flat_all(pairs: Iterable[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All of them."""
    for pair in pairs:
        yield from flat(prefix + pair.key, pair.value)


@pytest.mark.parametrize("scheme", ["otlp", "otlp+http"])
def test_phoenix_tells_the_spans_that_we_sent(
    scheme: str, run_app: Callable[..., AppRun], tmp_path: Path
) -> None:
    """Ids, parents, names and typed attributes come back equal from its REST interface. R1.42 R5.17

    Token counts by the names of `gen_ai` are understood: it adds its own name for them.
    """
    folder = run_app(PROGRAM).whence_dir
    ours = {span.span_id.hex(): span for span in sent(folder)}
    assert len(ours) == 4 * REQUESTS
    with phoenix(tmp_path) as (grpc_port, http_port):
        port = grpc_port if scheme == "otlp" else http_port
        result = collect(folder, f"{scheme}://127.0.0.1:{port}")
        assert result.returncode == 0, result.stdout + result.stderr
        theirs = {each["context"]["span_id"]: each for each in told(http_port, len(ours))}
    assert theirs.keys() == ours.keys()
    for span_id, span in ours.items():
        there = theirs[span_id]
        assert there["context"]["trace_id"] == span.trace_id.hex()
        assert there["parent_id"] == (span.parent_span_id.hex() or None)
        assert there["name"] == span.name
        wanted = dict(flat_all(span.attributes))
        if (tokens := wanted.get("gen_ai.usage.input_tokens")) is not None:
            wanted["llm.token_count.prompt"] = tokens
        assert there["attributes"] == wanted
        assert typed(there["attributes"]) == typed(wanted)


def typed(attributes: dict[str, Any]) -> dict[str, type]:
    """True is 1 to an equation, not to us."""
    return {name: type(value) for name, value in attributes.items()}
