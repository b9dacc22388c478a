"""OTLP over gRPC: what is sent, and what is made of every status."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.proto", reason="opentelemetry-proto is not installed")
pytest.importorskip("grpc", reason="grpcio is not installed")

import grpc
import trustme
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

import whence
from tests.export.otlp_reference import encode, log_payload
from tests.mocks.otlp_receiver import GrpcAnswer, GrpcReceiver
from tests.own_events import OwnEvents
from whence.collect.events import to_events
from whence.collect.local import local_session
from whence.collect.sink import Drained, Refused, Reply, Sink, TooLarge, Unavailable
from whence.export.sinks import open_sink

pytestmark = pytest.mark.usefixtures("no_otlp_environment")
RETRYABLE = [
    "CANCELLED",
    "DEADLINE_EXCEEDED",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNAVAILABLE",
    "DATA_LOSS",
]
OTHERS = ["UNKNOWN", "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
          "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "UNIMPLEMENTED", "INTERNAL",
          "UNAUTHENTICATED"]  # fmt: skip


@pytest.fixture
def drained(recorded: OwnEvents) -> Drained:
    """A log record and a span."""
    kind = whence.kind("grpc_otlp", component="C", text=str, duration_ns=int)
    with whence.request("4bf92f35-77b3-4da6-a3ce-929d0e0e4736"):
        kind("x" * 2_000, 0)
        kind("", 500)
    session = local_session()
    assert session is not None
    return Drained(recorded.batch(), {session.name: session})


def retry_info(seconds: int, nanos: int = 0) -> RetryInfo:
    """How long to wait, as gRPC says it."""
    return RetryInfo(retry_delay=Duration(seconds=seconds, nanos=nanos))


@pytest.mark.parametrize("query", ["", "?compression=none"])
def test_what_arrives_means_what_was_recorded(
    query: str, drained: Drained, sinks: Callable[..., Sink]
) -> None:
    """Both services of one collector, with and without gzip. R1.42 R5.17"""
    with GrpcReceiver() as receiver:
        sink = sinks(receiver, query)
        replies = [sink.deliver(payload, 10) for payload in sink.encode(drained)]
    assert replies == [Reply(1), Reply(1)]
    (session,) = drained.sessions.values()
    wanted = encode(to_events(drained.batch.rows()), session)
    assert (receiver.received.logs[0], receiver.received.traces[0]) == wanted
    assert receiver.received.headers[0]["user-agent"].startswith(f"whence/{whence.__version__}")


@pytest.mark.parametrize("code", RETRYABLE)
def test_a_status_that_may_pass_is_tried_again(
    code: str, drained: Drained, sinks: Callable[..., Sink]
) -> None:
    """The six that OTLP names. R1.42"""
    with GrpcReceiver([GrpcAnswer(grpc.StatusCode[code], "busy")]) as receiver:
        sink = sinks(receiver)
        payload = log_payload(sink, drained)
        with pytest.raises(Unavailable, match=f"{code}: busy") as caught:
            sink.deliver(payload, 10)
        assert caught.value.retry_after_s is None
        assert sink.deliver(payload, 10) == Reply(1)


@pytest.mark.parametrize("code", OTHERS)
def test_any_other_status_is_final(code: str, drained: Drained, sinks: Callable[..., Sink]) -> None:
    """RESOURCE_EXHAUSTED among them, unless it says when to come back. R1.42"""
    with GrpcReceiver([GrpcAnswer(grpc.StatusCode[code], "no\r\nway")]) as receiver:
        sink = sinks(receiver)
        with pytest.raises(Refused, match=f"{code}: no way") as caught:
            sink.deliver(log_payload(sink, drained), 10)
    assert not isinstance(caught.value, TooLarge)


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
@pytest.mark.parametrize("trailer", ["google.rpc.retryinfo-bin", "grpc-status-details-bin"])
def test_a_throttling_receiver_says_when_to_come_back(
    code: str, trailer: str, drained: Drained, sinks: Callable[..., Sink]
) -> None:
    """RetryInfo is read from either of the trailers it is sent in. R1.42"""
    info = retry_info(3, 500_000_000)
    content = info.SerializeToString()
    if trailer == "grpc-status-details-bin":
        detail = AnyMessage()
        detail.Pack(info)
        content = Status(code=8, details=[detail]).SerializeToString()
    answer = GrpcAnswer(grpc.StatusCode[code], "later", ((trailer, content),))
    with GrpcReceiver([answer]) as receiver:
        sink = sinks(receiver)
        with pytest.raises(Unavailable) as caught:
            sink.deliver(log_payload(sink, drained), 10)
    assert caught.value.retry_after_s == 3.5


def test_a_trailer_that_cannot_be_read_says_nothing(
    drained: Drained, sinks: Callable[..., Sink]
) -> None:
    """Garbage in RetryInfo's place is no delay. R1.42"""
    trailers = (("google.rpc.retryinfo-bin", b"\xff\xff"),)
    answer = GrpcAnswer(grpc.StatusCode.UNAVAILABLE, "", trailers)
    with GrpcReceiver([answer]) as receiver:
        sink = sinks(receiver)
        with pytest.raises(Unavailable) as caught:
            sink.deliver(log_payload(sink, drained), 10)
    assert caught.value.retry_after_s is None


def test_a_message_beyond_the_receivers_limit_is_too_large(
    drained: Drained, sinks: Callable[..., Sink]
) -> None:
    """gRPC says RESOURCE_EXHAUSTED for that, too: the payload is halved, not given up. R1.42"""
    with GrpcReceiver(most_bytes=1_000) as receiver:
        sink = sinks(receiver)
        with pytest.raises(TooLarge):
            sink.deliver(log_payload(sink, drained), 10)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("RESOURCE_EXHAUSTED", "grpc: received message larger than max (5 vs. 4)"),
        ("OUT_OF_RANGE", "Error, decoded message length too large: found 5 bytes"),
        ("INVALID_ARGUMENT", "request too large"),
    ],
)
def test_libraries_say_too_large_in_their_own_ways(
    code: str, words: str, drained: Drained, sinks: Callable[..., Sink]
) -> None:
    """Those of Go, of Rust, and what Python's client understands. R1.42"""
    with GrpcReceiver([GrpcAnswer(grpc.StatusCode[code], words)]) as receiver:
        sink = sinks(receiver)
        with pytest.raises(TooLarge):
            sink.deliver(log_payload(sink, drained), 10)


def test_partial_success_is_counted(drained: Drained, sinks: Callable[..., Sink]) -> None:
    """The rejected records are refused, with the message. R1.42"""
    response = ExportLogsServiceResponse()
    response.partial_success.rejected_log_records = 1
    response.partial_success.error_message = "too old"
    with GrpcReceiver([GrpcAnswer(response=response.SerializeToString())]) as receiver:
        sink = sinks(receiver)
        assert sink.deliver(log_payload(sink, drained), 10) == Reply(0, 1, "too old")


def test_a_receiver_that_is_down_is_found_when_it_is_back(
    drained: Drained, sinks: Callable[..., Sink]
) -> None:
    """The same sink delivers to a receiver that was started later. R1.42"""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    sink = open_sink(f"otlp://127.0.0.1:{port}")
    payload = log_payload(sink, drained)
    with pytest.raises(Unavailable, match="UNAVAILABLE"):
        sink.deliver(payload, 5)
    end_s = time.monotonic() + 30
    with GrpcReceiver(port=port):
        while True:
            try:
                assert sink.deliver(payload, 1) == Reply(1)
                break
            except Unavailable:
                assert time.monotonic() < end_s
                time.sleep(0.05)
    sink.close()


def test_certificates_are_checked(drained: Drained, tmp_path: Path) -> None:
    """A stranger's certificate is refused; with the CA and a client's own it works. R1.42"""
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    chain = b"".join(part.bytes() for part in server.cert_chain_pems)
    credentials = grpc.ssl_server_credentials(
        [(server.private_key_pem.bytes(), chain)], authority.cert_pem.bytes(), True
    )
    ca, cert, key = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem"))
    authority.cert_pem.write_to_path(str(ca))
    client = authority.issue_cert("client@whence.test")
    cert.write_bytes(b"".join(part.bytes() for part in client.cert_chain_pems))
    client.private_key_pem.write_to_path(str(key))
    with GrpcReceiver(credentials=credentials) as receiver:
        base = f"otlps://127.0.0.1:{receiver.port}"
        stranger = open_sink(base)
        with pytest.raises(Unavailable):
            stranger.deliver(log_payload(stranger, drained), 3)
        stranger.close()
        known = open_sink(f"{base}?ca={ca}&cert={cert}&key={key}")
        assert known.deliver(log_payload(known, drained), 10) == Reply(1)
        known.close()


def test_headers_are_metadata_and_told_to_nobody_else(drained: Drained) -> None:
    """Keys are in no name, no error and no repr(). R1.42"""
    denied = GrpcAnswer(grpc.StatusCode.UNAUTHENTICATED, "who?")
    with GrpcReceiver([denied]) as receiver:
        url = f"otlp://me:s3cret@127.0.0.1:{receiver.port}"
        sink = open_sink(url, {"headers": {"X-Key": "s3cret too"}})
        payload = log_payload(sink, drained)
        with pytest.raises(Refused) as caught:
            sink.deliver(payload, 10)
        sink.deliver(payload, 10)
        sink.close()
    (headers,) = receiver.received.headers
    assert headers["x-key"] == "s3cret too"
    assert headers["authorization"].startswith("Basic ")
    assert "s3cret" not in f"{sink.name} {caught.value} {sink!r}"
    assert sink.name.partition("#")[0] == f"otlp://127.0.0.1:{receiver.port}"


@pytest.mark.parametrize("headers", [{"grpc-x": "s3cret"}, {"a b": "s3cret"}, {"a": "s3cret\n"}])
def test_headers_that_grpc_cannot_carry_are_named_at_once(headers: dict[str, str]) -> None:
    """The error names the header, not its value. R1.42"""
    with pytest.raises(ValueError, match="header") as caught:
        open_sink("otlp://127.0.0.1:4317", {"headers": headers})
    assert "s3cret" not in str(caught.value)
