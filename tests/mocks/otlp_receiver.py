"""Strict OTLP receivers on loopback, over HTTP and gRPC, that answer as a test tells them to."""

from __future__ import annotations

import gzip
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

__all__ = ["Answer", "GrpcAnswer", "GrpcReceiver", "HttpReceiver", "Received", "reset"]

REQUESTS = {"logs": ExportLogsServiceRequest, "traces": ExportTraceServiceRequest}
RESPONSES = {"logs": ExportLogsServiceResponse, "traces": ExportTraceServiceResponse}


@dataclass
class Received:
    """What all requests held so far."""

    logs: list[ExportLogsServiceRequest] = field(default_factory=list)
    traces: list[ExportTraceServiceRequest] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def take(self, signal: str, path: str, headers: dict[str, str], message: Any) -> None:
        """Keeps one request."""
        with self.arrived:
            (self.logs if signal == "logs" else self.traces).append(message)
            self.paths.append(path)
            self.headers.append(headers)
            self.arrived.notify_all()

    def wait(self, what: Callable[[Received], bool], timeout_s: float = 30) -> None:
        """Until that is true of what came."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: what(self), timeout_s), "nothing came in time"

    @property
    def records(self) -> list[tuple[Any, Any]]:
        """All log records, each with its resource."""
        return [
            (group.resource, record)
            for request in self.logs
            for group in request.resource_logs
            for scoped in group.scope_logs
            for record in scoped.log_records
        ]

    @property
    def spans(self) -> list[tuple[Any, Any]]:
        """All spans, each with its resource."""
        return [
            (group.resource, span)
            for request in self.traces
            for group in request.resource_spans
            for scoped in group.scope_spans
            for span in scoped.spans
        ]


@dataclass
class Answer:
    """An answer over HTTP; `body` None is the right one of full success."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    instead: Callable[[BaseHTTPRequestHandler], None] | None = None


def reset(handler: BaseHTTPRequestHandler) -> None:
    """Promises a body, sends a part of it and resets the connection."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npart")
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True


class HttpReceiver:
    """`answers` are given one after the other, then full success for ever."""

    def __init__(self, answers: Iterable[Answer] = (), tls: ssl.SSLContext | None = None) -> None:
        self.received = Received()
        self.answers = deque(answers)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                pass  # clients that go away are part of the tests

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """Where sinks find it, without TLS."""
        return f"otlp+http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        answer = self.answers.popleft() if self.answers else Answer()
        if answer.instead is not None:
            answer.instead(handler)
            return
        signal = handler.path.rpartition("/")[2]
        kind = handler.headers["Content-Type"]
        if signal not in REQUESTS or kind not in ("application/x-protobuf", "application/json"):
            answer = Answer(404 if signal not in REQUESTS else 415)
        content = b"" if answer.status != 200 else answer.body
        if answer.status == 200:
            if handler.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            headers = {name.lower(): value for name, value in handler.headers.items()}
            self.received.take(signal, handler.path, headers, _parsed(signal, kind, body))
        if answer.body is not None:
            content = answer.body
        elif answer.status == 200:
            empty = RESPONSES[signal]()
            content = b"{}" if kind == "application/json" else empty.SerializeToString()
        handler.send_response(answer.status)
        headers = {"Content-Type": kind, "Content-Length": str(len(content or b""))}
        for name, value in {**headers, **answer.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content or b"")


def _parsed(signal: str, kind: str, body: bytes) -> Any:
    if kind == "application/json":
        import json

        from tests.export.otlp_reference import in_base64

        return ParseDict(in_base64(json.loads(body)), REQUESTS[signal]())
    return REQUESTS[signal].FromString(body)


@dataclass
class GrpcAnswer:
    """An answer over gRPC: a status with trailers, or a response."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    details: str = ""
    trailers: tuple[tuple[str, bytes], ...] = ()
    response: bytes = b""


class GrpcReceiver:
    """The same over gRPC. `most_bytes` is what one message may have."""

    def __init__(
        self,
        answers: Iterable[GrpcAnswer] = (),
        credentials: grpc.ServerCredentials | None = None,
        most_bytes: int = 4 << 20,
        port: int = 0,
    ) -> None:
        self.received = Received()
        self.answers = deque(answers)
        options = [("grpc.max_receive_message_length", most_bytes), ("grpc.so_reuseport", 0)]
        self._server = grpc.server(ThreadPoolExecutor(2), options=options)
        for signal, package, name in (("logs", "logs", "Logs"), ("traces", "trace", "Trace")):
            service = f"opentelemetry.proto.collector.{package}.v1.{name}Service"
            method = grpc.unary_unary_rpc_method_handler(self._handler(signal))
            handlers = grpc.method_handlers_generic_handler(service, {"Export": method})
            self._server.add_generic_rpc_handlers((handlers,))
        address = f"127.0.0.1:{port}"
        if credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, credentials)

    @property
    def url(self) -> str:
        """Where sinks find it, without TLS."""
        return f"otlp://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop(0).wait()

    def _handler(self, signal: str) -> Callable[[bytes, Any], bytes]:
        def export(body: bytes, context: Any) -> bytes:
            answer = self.answers.popleft() if self.answers else GrpcAnswer()
            if answer.trailers:
                context.set_trailing_metadata(answer.trailers)
            if answer.code is not grpc.StatusCode.OK:
                context.abort(answer.code, answer.details)
            headers = {str(key): str(value) for key, value in context.invocation_metadata()}
            self.received.take(signal, signal, headers, REQUESTS[signal].FromString(body))
            return answer.response

        return export
