"""OTLP over gRPC and HTTP, from the exporters of OpenTelemetry's own SDK, into a store."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grpc", reason="grpcio is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install 'whence[serve]'")
pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")
pytest.importorskip("opentelemetry.exporter.otlp.proto.grpc", reason="no OTLP exporter over gRPC")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="no OTLP exporter over HTTP")

import grpc
import httpx
import pyarrow.parquet as pq
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode

from tests.receive.otlp.test_over_http import request
from whence.model.errors import StoreBusy
from whence.model.event import TraceEvent
from whence.receive.otlp.receiver import OtlpReceiver
from whence.receive.otlp.requests import OtlpLimits
from whence.store.columns import events_of
from whence.store.delivery import StoreDelivery
from whence.store.folder import FolderStore

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Listening:
    """A receiver on free ports, and the store that it fills."""

    def __init__(self, path: Path, **limits: int) -> None:
        self.path = path
        self.delivery = StoreDelivery(FolderStore(path, write=True))
        self.delivery.start()
        self.receiver = OtlpReceiver(
            self.delivery.intake, OtlpLimits(**limits), grpc_port=0, http_port=0
        )
        self.receiver.start()

    def exporter(self, protocol: str) -> Any:
        """One of the SDK's."""
        if protocol == "grpc":
            return GrpcSpans(endpoint=f"http://127.0.0.1:{self.receiver.grpc_port}", insecure=True)
        packed = Compression.Gzip if protocol == "gzip" else Compression.NoCompression
        url = f"http://127.0.0.1:{self.receiver.http_port}/v1/traces"
        return HttpSpans(endpoint=url, compression=packed)

    def events(self) -> list[TraceEvent]:
        """What is stored."""
        found = FolderStore(self.path).snapshot()
        names = {key: each.info.service for key, each in found.sessions.items()}
        return [
            event
            for path in found.files
            for event in events_of(pq.read_table(path, partitioning=None), names)
        ]

    def call(self, body: bytes, **more: Any) -> Any:
        """One call without any SDK."""
        with grpc.insecure_channel(f"127.0.0.1:{self.receiver.grpc_port}") as channel:
            export = channel.unary_unary(EXPORT)
            return export(body, timeout=30, **more)

    def close(self) -> None:
        """Ends both."""
        self.receiver.stop()
        self.delivery.finish(5.0)


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    """With a limit of 100 kB."""
    made = Listening(tmp_path / "traces", body_bytes=100_000)
    yield made
    made.close()


def finished_spans() -> tuple[ReadableSpan, ...]:
    """A parent and a child with all that spans can have."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("lib", "1.2")
    link = Link(SpanContext(5, 6, False), {"why": 1})
    with tracer.start_as_current_span("outer", kind=SpanKind.SERVER, links=[link]) as outer:
        outer.set_attribute("sizes", [1, 2])
        with tracer.start_as_current_span("inner") as inner:
            inner.add_event("looked", {"n": 2})
            inner.set_status(StatusCode.ERROR, "broke")
    return memory.get_finished_spans()


@pytest.mark.parametrize("protocol", ["grpc", "http", "gzip"])
def test_the_sdk_sends_and_the_store_has_it(listening: Listening, protocol: str) -> None:
    """Success is told when it is stored; sent again, by whatever way, it is there once. R5.17"""
    spans = finished_spans()
    exporter = listening.exporter(protocol)
    assert exporter.export(spans) is SpanExportResult.SUCCESS
    found = {event.event_type: event for event in listening.events()}
    assert exporter.export(spans) is SpanExportResult.SUCCESS
    exporter.shutdown()
    assert len(listening.events()) == 3
    assert listening.receiver.counts.duplicates == 3
    outer, inner, looked = found["outer"], found["inner"], found["looked"]
    assert {event.session for event in found.values()} == {"shop"}
    assert inner.parent_span_id == outer.span_id
    assert looked.span_id == inner.span_id
    assert (inner.status, inner.status_message) == ("error", "broke")
    assert outer.attributes["otel.span.kind"] == "server"
    assert outer.attributes["sizes"] == "[1,2]"
    (link,) = outer.links
    assert (int(link.trace_id, 16), link.span_id, dict(link.attributes)) == (5, 6, {"why": 1})
    (parent,) = [span for span in spans if span.name == "outer"]
    assert outer.timestamp.value_ns == parent.start_time
    assert outer.trace_id == f"{parent.context.trace_id:032x}"


def test_logs_come_by_the_sdk(listening: Listening) -> None:
    """Log records of the SDK are stored with their level and words. R5.17"""
    provider = LoggerProvider()
    target = f"http://127.0.0.1:{listening.receiver.grpc_port}"
    exporter = GrpcLogs(endpoint=target, insecure=True)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    provider.get_logger("lib").emit(
        timestamp=7, severity_number=SeverityNumber.ERROR, body="no shelf", event_name="lost"
    )
    provider.shutdown()
    (event,) = listening.events()
    assert (event.rationale, event.severity.name, event.event_type) == ("no shelf", "Error", "lost")
    assert event.timestamp.value_ns == 7


def test_what_is_too_large_is_not_sent_again(listening: Listening) -> None:
    """INVALID_ARGUMENT over gRPC, 413 over HTTP, before it is inflated whole. R5.17"""
    with pytest.raises(grpc.RpcError) as caught:
        listening.call(b"x" * 100_001)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    url = f"http://127.0.0.1:{listening.receiver.http_port}/v1/traces"
    bomb = gzip.compress(b"\0" * 50_000_000)
    headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
    assert httpx.post(url, content=bomb, headers=headers).status_code == 413
    assert httpx.post(url, content=b"x" * 100_001, headers=headers).status_code == 413
    assert httpx.get(url).status_code == 405
    assert httpx.post(f"{url}x", content=b"", headers=headers).status_code == 404


def test_a_bomb_over_grpc_is_stopped(listening: Listening) -> None:
    """gRPC's own compression inflates no further than its limit. R5.17"""
    with pytest.raises(grpc.RpcError) as caught:
        listening.call(b"\0" * 60_000_000, compression=grpc.Compression.Gzip)
    assert caught.value.code() in (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INVALID_ARGUMENT,
    )


def test_bytes_that_are_no_message_are_refused(listening: Listening) -> None:
    """INVALID_ARGUMENT, and the next call works. R5.17"""
    with pytest.raises(grpc.RpcError) as caught:
        listening.call(b"\xff\xff\xff")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert listening.call(b"") == b""


def test_a_busy_store_tells_when_to_come_again(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UNAVAILABLE with the delay in both trailers; the SDK's exporter comes again. R5.17"""
    put_all = listening.delivery.intake.put_all
    refusals = [StoreBusy("later", 0.2)] * 2

    def busy(parts: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return put_all(parts)

    monkeypatch.setattr(listening.delivery.intake, "put_all", busy)
    with pytest.raises(grpc.RpcError) as caught:
        listening.call(request().SerializeToString())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    trailers = dict(caught.value.trailing_metadata())
    delay = RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"]).retry_delay
    assert delay.ToMilliseconds() == 200
    told = Status.FromString(trailers["grpc-status-details-bin"])
    inside = RetryInfo()
    assert told.details[0].Unpack(inside)
    assert inside.retry_delay == delay
    assert listening.exporter("grpc").export(finished_spans()) is SpanExportResult.SUCCESS
    assert refusals == []
    assert len(listening.events()) == 3
