"""OTLP over HTTP without the wire: content types, encodings, limits, and what is answered."""

from __future__ import annotations

import base64
import gzip
import json
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("opentelemetry.proto", reason="requests are made with opentelemetry-proto")

from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status
from hypothesis import HealthCheck, given, settings
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.receive.otlp.made_requests import logs, traces
from whence.model.errors import StoreBusy, StoreFull, StoreOwned
from whence.receive.inflate import TooLarge, inflated
from whence.receive.otlp.intake import OtlpIntake
from whence.receive.otlp.json_in import protobuf_of
from whence.receive.otlp.requests import OtlpLimits
from whence.store.delivery import StoreDelivery
from whence.store.folder import FolderStore

JSON, PROTOBUF = "application/json", "application/x-protobuf"
quick = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def intake(tmp_path: Path) -> Any:
    """Into a store that commits by itself."""
    delivery = StoreDelivery(FolderStore(tmp_path / "traces", write=True))
    delivery.start()
    yield OtlpIntake(delivery.intake, OtlpLimits(body_bytes=100_000))
    delivery.finish(5.0)


def request(count: int = 1, *, bad: int = 0) -> ExportTraceServiceRequest:
    """Spans, the last ones of them without ids."""
    made = ExportTraceServiceRequest()
    spans = made.resource_spans.add().scope_spans.add().spans
    for number in range(count + bad):
        good = number < count
        spans.add(
            trace_id=bytes([number + 1] * 16) if good else b"",
            span_id=bytes([number + 1] * 8),
            name="op",
            start_time_unix_nano=10**18 + number,
        )
    return made


def as_json(message: Any) -> dict[str, Any]:
    """By OTLP's rules: ids in hexadecimal digits."""

    def changed(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: changed(each, name) for name, each in value.items()}
        if isinstance(value, list):
            return [changed(each) for each in value]
        if key in ("traceId", "spanId", "parentSpanId"):
            return base64.b64decode(value).hex()
        return value

    return dict(changed(MessageToDict(message, use_integers_for_enums=True)))


@quick
@given(traces)
def test_json_says_the_same_of_spans(message: ExportTraceServiceRequest) -> None:
    """What others write as JSON becomes the same message. R5.17"""
    body = json.dumps(as_json(message)).encode()
    assert ExportTraceServiceRequest.FromString(protobuf_of("traces", body)) == message or (
        b"NaN" in body
    )


@quick
@given(logs)
def test_json_says_the_same_of_log_records(message: ExportLogsServiceRequest) -> None:
    """Bodies, attributes and enums of log records among it. R5.17"""
    body = json.dumps(as_json(message)).encode()
    assert ExportLogsServiceRequest.FromString(protobuf_of("logs", body)) == message or (
        b"NaN" in body
    )


def test_integers_in_json_may_be_texts_and_keys_unknown() -> None:
    """Both forms are read; what is not of the protocol is passed over. R5.17"""
    span = {
        "traceId": "0A" * 16,
        "spanId": "0b" * 8,
        "kind": 3,
        "startTimeUnixNano": "5",
        "endTimeUnixNano": 7,
        "news": [1, {"a": None}],
        "attributes": [{"key": "n", "value": {"intValue": "-9"}}, {"key": "none", "value": {}}],
    }
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}], "schemaUrl": "x"}], "x": 1}
    made = ExportTraceServiceRequest.FromString(protobuf_of("traces", json.dumps(body).encode()))
    (found,) = made.resource_spans[0].scope_spans[0].spans
    assert (found.trace_id, found.span_id) == (b"\n" * 16, b"\x0b" * 8)
    assert (found.start_time_unix_nano, found.end_time_unix_nano, found.kind) == (5, 7, 3)
    assert found.attributes[0].value.int_value == -9


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate", "identity"])
@pytest.mark.parametrize("kind", [JSON, PROTOBUF, "application/json; charset=utf-8"])
def test_every_encoding_is_taken(intake: OtlpIntake, kind: str, encoding: str) -> None:
    """Protobuf and JSON, plain and compressed; the answer is of the same type, and empty. R5.17"""
    message = request()
    plain = json.dumps(as_json(message)).encode() if "json" in kind else message.SerializeToString()
    pack = {"gzip": gzip.compress, "deflate": zlib.compress}.get(encoding, bytes)
    reply = intake.receive("traces", pack(plain), kind, encoding)
    assert reply.status == 200
    assert reply.content_type == kind.partition(";")[0]
    assert reply.body == (b"{}" if "json" in kind else b"")
    assert intake.counts.rows == 1


def test_nothing_is_a_success(intake: OtlpIntake) -> None:
    """An empty request is answered as one that was kept whole. R5.17"""
    assert intake.receive("logs", b"", PROTOBUF)[:2] == (200, b"")
    assert intake.receive("metrics", b"{}", JSON)[:2] == (200, b"{}")


def test_a_partial_success_says_what_was_rejected(intake: OtlpIntake) -> None:
    """Spans without ids are counted in the answer; the others are kept. R5.17"""
    message = request(2, bad=3)
    reply = intake.receive("traces", message.SerializeToString(), PROTOBUF)
    told = ExportTraceServiceResponse.FromString(reply.body).partial_success
    assert (reply.status, told.rejected_spans) == (200, 3)
    assert "16 bytes" in told.error_message
    answer = intake.receive("traces", json.dumps(as_json(message)).encode(), JSON)
    assert json.loads(answer.body)["partialSuccess"]["rejectedSpans"] == "3"
    assert intake.counts.duplicates == 2


@pytest.mark.parametrize(
    ("body", "kind", "encoding", "status"),
    [
        (b"\xff\xff", PROTOBUF, "", 400),
        (b"[1]", JSON, "", 400),
        (b"{", JSON, "", 400),
        (b"[" * 100_000, JSON, "", 400),
        (b'{"resourceSpans":7}', JSON, "", 400),
        (b"", "text/plain", "", 415),
        (b"", "", "", 415),
        (b"x", PROTOBUF, "br", 415),
        (b"x", PROTOBUF, "gzip", 400),
        (gzip.compress(b"x" * 50)[:-9], PROTOBUF, "gzip", 400),
        (b"x" * 100_001, PROTOBUF, "", 413),
        (gzip.compress(b"x" * 100_001), PROTOBUF, "gzip", 413),
    ],
)
def test_what_cannot_be_read_is_refused(
    intake: OtlpIntake, body: bytes, kind: str, encoding: str, status: int
) -> None:
    """With a status that no client sends again, and words in the client's language. R5.17"""
    reply = intake.receive("traces", body, kind, encoding)
    assert (reply.status, reply.retry_after_s) == (status, None)
    if kind == JSON:
        assert json.loads(reply.body)["message"]
    else:
        assert Status.FromString(reply.body).message


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreBusy("later", 0.2), 429),
        (StoreFull("no room", 10.0), 503),
        (StoreOwned("another one's"), 503),
        (MemoryError(), 503),
    ],
)
def test_what_may_come_again_says_when(
    intake: OtlpIntake, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    """429 and 503 have a Retry-After of whole seconds, one at least. R5.17"""

    def fail(parts: object) -> None:
        raise error

    monkeypatch.setattr(intake._intake, "put_all", fail)
    reply = intake.receive("traces", request().SerializeToString(), PROTOBUF)
    assert reply.status == status
    assert (reply.retry_after_s or 0) >= 1
    assert reply.headers["retry-after"] == str(reply.retry_after_s)
    assert intake.counts.failed == 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_bomb_is_stopped_before_it_bursts(encoding: str, layers: int) -> None:
    """A gigabyte of zeros is refused after as much as the limit and a step. R5.17"""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    bomb = b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(1024)) + packer.flush()
    if layers == 2 and encoding == "gzip":
        bomb = gzip.compress(b"x") * 10_000 + bomb  # many members
    tracemalloc.start()
    with pytest.raises(TooLarge):
        inflated(bomb, encoding, 1 << 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < (8 << 20) + 2 * len(bomb)
