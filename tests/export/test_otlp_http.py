"""OTLP over HTTP: what is sent, and what is made of every kind of answer."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.proto", reason="opentelemetry-proto is not installed")
pytest.importorskip("grpc", reason="grpcio is not installed")

import trustme
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

import whence
from tests.export.otlp_reference import encode, log_payload
from tests.mocks.otlp_receiver import Answer, HttpReceiver, reset
from tests.own_events import OwnEvents
from whence.collect.events import to_events
from whence.collect.local import local_session
from whence.collect.sink import Drained, Refused, Reply, Sink, TooLarge, Unavailable
from whence.export.sinks import open_sink

pytestmark = pytest.mark.usefixtures("no_otlp_environment")


@pytest.fixture
def drained(recorded: OwnEvents) -> Drained:
    """A log record and a span."""
    kind = whence.kind("http_otlp", component="C", n=int, duration_ns=int)
    with whence.request("4bf92f35-77b3-4da6-a3ce-929d0e0e4736"):
        kind(1, 0)
        kind(2, 500)
    session = local_session()
    assert session is not None
    return Drained(recorded.batch(), {session.name: session})


@pytest.mark.parametrize("query", ["", "?compression=none", "?protocol=http/json"])
def test_what_arrives_means_what_was_recorded(
    query: str, drained: Drained, sinks: Callable[..., Sink]
) -> None:
    """Both signals, with and without gzip, as protobuf and as JSON. R1.42 R5.17"""
    with HttpReceiver() as receiver:
        sink = sinks(receiver, query)
        replies = [sink.deliver(payload, 5) for payload in sink.encode(drained)]
    assert replies == [Reply(1), Reply(1)]
    received = receiver.received
    assert received.paths == ["/v1/logs", "/v1/traces"]
    gzipped = "none" not in query
    assert [h.get("content-encoding") for h in received.headers] == [
        "gzip" if gzipped else None
    ] * 2
    assert received.headers[0]["user-agent"] == f"whence/{whence.__version__}"
    (session,) = drained.sessions.values()
    assert (received.logs[0], received.traces[0]) == encode(
        to_events(drained.batch.rows()), session
    )


def test_one_connection_carries_many_requests(drained: Drained, sinks: Callable[..., Sink]) -> None:
    """A connection is kept, and renewed where the other side closed it. R1.42"""
    closing = Answer(headers={"Connection": "close"})
    with HttpReceiver([Answer(), closing, Answer()]) as receiver:
        sink = sinks(receiver)
        payload = log_payload(sink, drained)
        assert [sink.deliver(payload, 5) for _ in range(3)] == [Reply(1)] * 3


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_an_overloaded_receiver_is_tried_again(
    status: int, drained: Drained, sinks: Callable[..., Sink]
) -> None:
    """These four and no others, after the time that it asks for. R1.42"""
    asked = [Answer(status, {"Retry-After": "7"}), Answer(status)]
    with HttpReceiver(asked) as receiver:
        sink = sinks(receiver)
        payload = log_payload(sink, drained)
        with pytest.raises(Unavailable, match=str(status)) as first:
            sink.deliver(payload, 5)
        with pytest.raises(Unavailable) as second:
            sink.deliver(payload, 5)
        assert (first.value.retry_after_s, second.value.retry_after_s) == (7, None)
        assert sink.deliver(payload, 5) == Reply(1)


def test_a_date_to_come_back_is_understood(drained: Drained, sinks: Callable[..., Sink]) -> None:
    """Retry-After may be a date. R1.42"""
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    with HttpReceiver([Answer(503, {"Retry-After": later})]) as receiver:
        sink = sinks(receiver)
        with pytest.raises(Unavailable) as caught:
            sink.deliver(log_payload(sink, drained), 5)
    assert caught.value.retry_after_s is not None
    assert 3_000 < caught.value.retry_after_s <= 3_600


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 500, 501])
def test_what_will_never_be_taken_is_refused(
    status: int, drained: Drained, sinks: Callable[..., Sink]
) -> None:
    """Any other status ends it, with what the receiver says of it. R1.42"""
    said = Status(code=3, message="no such\r\nfield\x1b[31m").SerializeToString()
    with HttpReceiver([Answer(status, body=said)]) as receiver:
        sink = sinks(receiver)
        with pytest.raises(Refused, match=rf"^{status} no such field \[31m$") as caught:
            sink.deliver(log_payload(sink, drained), 5)
    assert not isinstance(caught.value, TooLarge)


def test_a_request_that_is_too_large_is_told_apart(
    drained: Drained, sinks: Callable[..., Sink]
) -> None:
    """413 has the payload halved. R1.42"""
    with HttpReceiver([Answer(413)]) as receiver:
        sink = sinks(receiver)
        with pytest.raises(TooLarge, match="413"):
            sink.deliver(log_payload(sink, drained), 5)


def test_redirections_are_not_followed(drained: Drained, sinks: Callable[..., Sink]) -> None:
    """Headers must not travel to another host. R1.42"""
    answer = Answer(307, {"Location": "http://127.0.0.1:9/v1/logs"})
    with HttpReceiver([answer]) as receiver:
        sink = sinks(receiver)
        with pytest.raises(Refused, match="307: redirections are not followed"):
            sink.deliver(log_payload(sink, drained), 5)
    assert receiver.received.paths == []


@pytest.mark.parametrize("query", ["", "?protocol=http/json"])
@pytest.mark.parametrize("rejected", [0, 1, 99])
def test_partial_success_is_counted_and_not_sent_again(
    rejected: int, query: str, drained: Drained, sinks: Callable[..., Sink]
) -> None:
    """What was rejected is refused, with the message; a message alone is a warning. R1.42"""
    response = ExportLogsServiceResponse()
    response.partial_success.rejected_log_records = rejected
    response.partial_success.error_message = "too old"
    body = response.SerializeToString()
    if query:
        told = f'"rejectedLogRecords":"{rejected}","errorMessage":"too old"'
        body = f'{{"partialSuccess":{{{told}}}}}'.encode()
    with HttpReceiver([Answer(200, body=body)]) as receiver:
        sink = sinks(receiver, query)
        reply = sink.deliver(log_payload(sink, drained), 5)
    refused = min(rejected, 1)
    assert reply == Reply(1 - refused, refused, "too old")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b"<html>please log in</html>"),
        ("application/json", b"[1, 2"),
        ("application/json", b"[]"),
        ("application/x-protobuf", b"\xff\xff\xff"),
    ],
)
def test_an_answer_that_is_not_otlps_is_no_success(
    kind: str, body: bytes, drained: Drained, sinks: Callable[..., Sink]
) -> None:
    """A portal that says 200 has not taken anything. R1.42"""
    with HttpReceiver([Answer(200, {"Content-Type": kind}, body)]) as receiver:
        sink = sinks(receiver)
        with pytest.raises(Refused, match="is this an OTLP endpoint"):
            sink.deliver(log_payload(sink, drained), 5)


def test_a_body_of_another_type_is_told_but_believed(
    drained: Drained, sinks: Callable[..., Sink]
) -> None:
    """Some receivers answer "OK" in words. R1.42"""
    with HttpReceiver([Answer(200, {"Content-Type": "text/plain"}, b"ok")]) as receiver:
        sink = sinks(receiver)
        reply = sink.deliver(log_payload(sink, drained), 5)
    assert reply == Reply(1, 0, "answered 200 with text/plain")


def test_a_connection_that_breaks_is_tried_again(
    drained: Drained, sinks: Callable[..., Sink]
) -> None:
    """Reset in the middle of the answer, or nobody there. R1.42"""
    with HttpReceiver([Answer(instead=reset)]) as receiver:
        sink = sinks(receiver)
        payload = log_payload(sink, drained)
        with pytest.raises(Unavailable):
            sink.deliver(payload, 5)
        assert sink.deliver(payload, 5) == Reply(1)
    sink.close()
    with pytest.raises(Unavailable, match="refused"):
        sink.deliver(payload, 5)


def test_a_slow_receiver_is_given_up_in_time(drained: Drained, sinks: Callable[..., Sink]) -> None:
    """One that never answers, and one whose answer drips. R1.42"""

    def silent(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(1)  # until we hang up
        handler.close_connection = True

    def dripping(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        try:
            while True:
                handler.wfile.write(b"x")
                time.sleep(0.02)
        except OSError:
            handler.close_connection = True

    with HttpReceiver([Answer(instead=silent), Answer(instead=dripping)]) as receiver:
        sink = sinks(receiver)
        payload = log_payload(sink, drained)
        for _ in range(2):
            with pytest.raises(Unavailable):
                sink.deliver(payload, 0.2)
        assert sink.deliver(payload, 5) == Reply(1)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority for this file."""
    return trustme.CA()


def tls_of(authority: trustme.CA) -> ssl.SSLContext:
    """What a server of it wants."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_certificates_are_checked_on_both_sides(
    authority: trustme.CA, drained: Drained, tmp_path: Path
) -> None:
    """Unknown authorities are told; with the CA and a client certificate it works. R1.42"""
    ca, pair = tmp_path / "ca.pem", tmp_path / "client.pem"
    authority.cert_pem.write_to_path(str(ca))
    authority.issue_cert("client@whence.test").private_key_and_cert_chain_pem.write_to_path(
        str(pair)
    )
    context = tls_of(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    with HttpReceiver(tls=context) as receiver:
        base = f"otlp+https://127.0.0.1:{receiver.port}"
        stranger = open_sink(base)
        with pytest.raises(Unavailable, match="certificate verify failed"):
            stranger.deliver(log_payload(stranger, drained), 5)
        stranger.close()
        known = open_sink(f"{base}?ca={ca}&cert={pair}")
        assert known.deliver(log_payload(known, drained), 5) == Reply(1)
        known.close()
    with pytest.raises(OSError, match="No such file"):
        open_sink(f"otlp+https://127.0.0.1:1?ca={tmp_path / 'absent.pem'}")


def test_headers_arrive_and_are_told_to_nobody_else(
    drained: Drained, sinks: Callable[..., Sink], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys are in no name, no error and no repr(). R1.42"""
    monkeypatch.setenv("WHENCE_OTLP_HEADERS", "x-key=s3cret%20one")
    with HttpReceiver([Answer(401), Answer()]) as receiver:
        url = f"otlp+http://me:s3cret%20two@127.0.0.1:{receiver.port}"
        sink = open_sink(url, {"headers": {"X-Other": "s3cret three"}})
        payload = log_payload(sink, drained)
        with pytest.raises(Refused) as caught:
            sink.deliver(payload, 5)
        sink.deliver(payload, 5)
        sink.close()
    (headers,) = receiver.received.headers
    assert headers["x-key"] == "s3cret one"
    assert headers["x-other"] == "s3cret three"
    assert headers["authorization"].startswith("Basic ")
    shown = f"{sink.name} {caught.value} {sink!r} {vars(sink)}"
    assert "s3cret" not in shown
    assert sink.name.partition("#")[0] == f"otlp+http://127.0.0.1:{receiver.port}"
