"""Others send OTLP to us: rotel passes on what it was sent, and OpenTelemetry's JavaScript SDK."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("grpc", reason="grpcio is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install 'whence[serve]'")
pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")
pytest.importorskip("opentelemetry.exporter.otlp.proto.grpc", reason="no OTLP exporter over gRPC")

from opentelemetry.sdk.trace.export import SpanExportResult

from tests.receive.otlp.test_over_grpc import Listening, finished_spans
from whence.model.event import TraceEvent

DEADLINE_S = 30.0
JS = os.environ.get("WHENCE_OTEL_JS", "")  # a folder where npm installed the packages below
PACKAGES = {
    "http": "exporter-trace-otlp-http",  # JSON
    "proto": "exporter-trace-otlp-proto",
    "grpc": "exporter-trace-otlp-grpc",
}
PROGRAM = """
const { NodeTracerProvider, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-node');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { OTLPTraceExporter } = require('@opentelemetry/PACKAGE');
const { SpanKind, SpanStatusCode } = require('@opentelemetry/api');
const exporter = new OTLPTraceExporter({ url: 'URL', compression: 'gzip' });
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ 'service.name': 'js-shop' }),
  spanProcessors: [new SimpleSpanProcessor(exporter)],
});
const tracer = provider.getTracer('js-lib', '3');
const attributes = { grams: 250, sizes: [1, 2.5], big: true };
const span = tracer.startSpan('picked', { kind: SpanKind.CLIENT, attributes });
span.addEvent('looked', { shelf: 'B4' });
span.recordException(new Error('broke'));
span.setStatus({ code: SpanStatusCode.ERROR, message: 'no' });
span.end();
provider.forceFlush().then(() => provider.shutdown());
"""


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    """A receiver on free ports."""
    made = Listening(tmp_path / "traces")
    yield made
    made.close()


def arrived(listening: Listening, enough: Callable[[list[TraceEvent]], bool]) -> list[TraceEvent]:
    """What is stored, once it is enough."""
    end = time.monotonic() + DEADLINE_S
    while not enough(found := listening.events()):
        assert time.monotonic() < end, f"only {len(found)} events came"
        time.sleep(0.05)
    return found


@pytest.mark.parametrize("onward", ["grpc", "http"])
def test_what_a_collector_passes_on_is_what_came_directly(
    listening: Listening, onward: str, tmp_path: Path
) -> None:
    """The SDK, through rotel, to us: the same events with the same ids as without it. R5.17"""
    pytest.importorskip("rotel", reason="rotel is not installed: pip install 'whence[peers]'")
    from tests.peers.test_rotel import agent
    from tests.receive.otlp.test_over_grpc import GrpcSpans

    spans = finished_spans()
    assert listening.exporter("grpc").export(spans) is SpanExportResult.SUCCESS
    directly = {event.event_id: event for event in listening.events()}
    other = Listening(tmp_path / "others")
    try:
        port = other.receiver.grpc_port if onward == "grpc" else other.receiver.http_port
        out = f"http://127.0.0.1:{port}"
        with agent(out, onward, tmp_path / "rotel.log") as (grpc_port, _):
            exporter = GrpcSpans(endpoint=f"http://127.0.0.1:{grpc_port}", insecure=True)
            assert exporter.export(spans) is SpanExportResult.SUCCESS
            found = arrived(other, lambda events: len(events) >= len(directly))
    finally:
        other.close()
    assert {event.event_id: event for event in found} == directly


@pytest.mark.skipif(not JS or not shutil.which("node"), reason="WHENCE_OTEL_JS names no packages")
@pytest.mark.parametrize("protocol", list(PACKAGES))
def test_javascript_sends_in_every_encoding(listening: Listening, protocol: str) -> None:
    """Spans of OpenTelemetry's JavaScript SDK over JSON, protobuf and gRPC. R5.17"""
    receiver = listening.receiver
    url = f"http://127.0.0.1:{receiver.http_port}/v1/traces"
    if protocol == "grpc":
        url = f"http://127.0.0.1:{receiver.grpc_port}"
    program = PROGRAM.replace("PACKAGE", PACKAGES[protocol]).replace("URL", url)
    done = subprocess.run(
        ["node", "-e", program], cwd=JS, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found = {event.event_type: event for event in arrived(listening, lambda e: len(e) >= 3)}
    span = found["picked"]
    assert (span.session, span.component, span.status) == ("js-shop", "js-lib", "error")
    assert {name: span.attributes[name] for name in ("grams", "sizes", "big")} == {
        "grams": 250,
        "sizes": "[1,2.5]",
        "big": True,
    }
    assert span.attributes["otel.span.kind"] == "client"
    assert found["looked"].span_id == found["exception"].span_id == span.span_id
    assert "broke" in found["exception"].rationale
