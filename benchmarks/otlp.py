"""What OpenTelemetry's messages cost: T24 on their way out, T27 on their way in."""

from __future__ import annotations

import importlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import whence
from benchmarks.emit import REQUEST
from benchmarks.figure import Measure
from benchmarks.ratio import Ratio, compare_functions
from benchmarks.read import EVENTS, median_of, own_ring
from whence import _native
from whence.export.otlp import otlp_requests
from whence.receive.otlp.requests import RequestReader

__all__ = ["measures"]


@whence.kind(component="Scheduler", decision=True, rationale="Selected {model}: {slack_ns:ns} left")
def otlp_decision(model: str, slack_ns: int, utilisation: float, queue: int) -> None:
    """A decision such as programs record."""


def measures() -> Iterator[Measure]:
    """T24, T27."""
    yield Measure("T24", "10,000 events from slots to OTLP / python-protobuf objects", _encode)
    yield Measure("T27", "10,000 spans from OTLP to columns / protobuf ParseFromString", _decode)


def _encode() -> Ratio:
    with whence.request(REQUEST):
        for i in range(EVENTS):
            otlp_decision("ocr_rec", 8_000_000 + i, 0.5 + i / 1e5, i % 7)
    reader, catalogue, session = own_ring()
    sessions = {session.name: session}

    def ours() -> float:
        reader.seek(reader.next_ticket - EVENTS)
        batch = _native.Batch()
        begin = time.perf_counter_ns()
        batch.drain(reader, catalogue, session.name, session.key)
        requests = otlp_requests(batch, sessions)
        cost = time.perf_counter_ns() - begin
        assert sum(request.events for request in requests) == EVENTS
        return cost

    batch = _native.Batch()
    reader.seek(reader.next_ticket - EVENTS)
    batch.drain(reader, catalogue, session.name, session.key)
    ((_, wanted, _),) = otlp_requests(batch, sessions)
    build = _peer(wanted)

    def peer() -> float:
        begin = time.perf_counter_ns()
        body = build()
        cost = time.perf_counter_ns() - begin
        assert len(body) == len(wanted)
        return cost

    return compare_functions(median_of(ours, 5), median_of(peer, 3))


def _decode() -> Ratio:
    """CPU time; of what comes after it the store's encoding takes most, as for all events."""
    service = importlib.import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    request_type: Any = service.ExportTraceServiceRequest
    body = _spans(request_type())
    reader = RequestReader()

    def ours() -> float:
        begin = time.process_time_ns()
        received = reader.read("traces", body)
        cost = time.process_time_ns() - begin
        assert received.records == EVENTS
        return cost

    def peer() -> float:
        request = request_type()
        begin = time.process_time_ns()
        request.ParseFromString(body)
        return time.process_time_ns() - begin

    return compare_functions(median_of(ours, 5), median_of(peer, 5))


def _spans(request: Any) -> bytes:
    """A request as the SDK's exporters send it: spans of a service, three attributes each."""
    chance = random.Random(27)
    scope = request.resource_spans.add().scope_spans.add()
    scope.scope.name, scope.scope.version = "shop", "1.2"
    trace = b""
    for number in range(EVENTS):
        trace = trace if number % 8 else chance.randbytes(16)
        start = 1_700_000_000_000_000_000 + number * 1_000
        span = scope.spans.add(trace_id=trace, span_id=chance.randbytes(8), kind=2)
        span.parent_span_id, span.name = chance.randbytes(8), f"operation-{number % 7}"
        span.start_time_unix_nano, span.end_time_unix_nano = start, start + 5_000
        span.attributes.add(key="http.request.method").value.string_value = "GET"
        span.attributes.add(key="http.response.status_code").value.int_value = 200
        span.attributes.add(key="server.load").value.double_value = 0.5
    serialized: bytes = request.SerializeToString()
    return serialized


def _peer(body: bytes) -> Callable[[], bytes]:
    """Builds the same request of message objects, as exporters in Python do.

    What it builds from is ready: names, numbers and texts in tuples.
    """
    service = importlib.import_module("opentelemetry.proto.collector.logs.v1.logs_service_pb2")
    common = importlib.import_module("opentelemetry.proto.common.v1.common_pb2")
    logs = importlib.import_module("opentelemetry.proto.logs.v1.logs_pb2")
    request_type: Any = service.ExportLogsServiceRequest
    record_type, pair_type, any_type = logs.LogRecord, common.KeyValue, common.AnyValue
    whole = request_type.FromString(body)
    (group,) = whole.resource_logs
    rows = [_row(record) for record in group.scope_logs[0].log_records]

    def build() -> bytes:
        request = request_type()
        made = request.resource_logs.add(schema_url=group.schema_url)
        made.resource.CopyFrom(group.resource)
        scoped = made.scope_logs.add(schema_url=group.schema_url)
        scoped.scope.CopyFrom(group.scope_logs[0].scope)
        for time_ns, name, text, trace_id, attributes in rows:
            scoped.log_records.append(
                record_type(
                    time_unix_nano=time_ns,
                    observed_time_unix_nano=time_ns,
                    severity_number=9,
                    severity_text="Info",
                    event_name=name,
                    body=any_type(string_value=text),
                    flags=1,
                    trace_id=trace_id,
                    attributes=[
                        pair_type(key=key, value=any_type(**{kind: value}))
                        for key, kind, value in attributes
                    ],
                )
            )
        serialized: bytes = request.SerializeToString()
        return serialized

    return build


def _row(record: Any) -> tuple[int, str, str, bytes, Sequence[tuple[str, str, object]]]:
    attributes = [
        (pair.key, pair.value.WhichOneof("value"), _value(pair.value)) for pair in record.attributes
    ]
    text = record.body.string_value
    return record.time_unix_nano, record.event_name, text, record.trace_id, attributes


def _value(value: Any) -> object:
    return getattr(value, value.WhichOneof("value"))
