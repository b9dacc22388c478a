"""Libraries that instrument themselves, through our provider, against a server on loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from tests.own_events import OwnEvents
from whence.emit.request import request
from whence.model.event import TraceEvent

pytest.importorskip("opentelemetry", reason="OpenTelemetry is not installed")

from whence.otel import TracerProvider


class Seen(BaseHTTPRequestHandler):
    """Answers 200, or 503 to /bad, and keeps the traceparent it was sent."""

    parents: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Any path."""
        Seen.parents.append(self.headers.get("traceparent", ""))
        self.send_response(503 if self.path == "/bad" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        """Quietly."""


@pytest.fixture
def server() -> Iterator[str]:
    """Its address."""
    Seen.parents.clear()
    served = ThreadingHTTPServer(("127.0.0.1", 0), Seen)
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    thread.join()
    served.server_close()


def check(found: list[TraceEvent], library: str) -> None:
    """One good and one bad request were recorded, in our request, and told to the server."""
    good, bad = (event for event in found if event.span)
    assert (good.event_type, bad.event_type) == ("GET", "GET")
    assert good.component == f"opentelemetry.instrumentation.{library}"
    assert good.attributes["otel.span.kind"] == "client"
    assert {good.request_id, bad.request_id} == {"req-http"}
    statuses = [
        e.attributes.get("http.status_code") or e.attributes.get("http.response.status_code")
        for e in (good, bad)
    ]
    assert statuses == [200, 503]
    assert (good.status, bad.status) == ("", "error")
    assert Seen.parents == [f"00-{e.trace_id}-{e.span_id:016x}-01" for e in (good, bad)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_httpx_is_recorded_and_passes_the_trace_on(server: str, recorded: OwnEvents) -> None:
    """Sync and async clients, name, status, attributes, propagation. R5.17 R5.3"""
    httpx = pytest.importorskip("httpx", reason="httpx is not installed")
    instrumentation = pytest.importorskip(
        "opentelemetry.instrumentation.httpx", reason="its instrumentation is not installed"
    )
    instrumentor = instrumentation.HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=TracerProvider())

    async def ask_async() -> None:
        async with httpx.AsyncClient() as client:
            await client.get(f"{server}/bad")

    try:
        with request("req-http"):
            with httpx.Client() as client:
                client.get(f"{server}/good")
            asyncio.run(ask_async())
    finally:
        instrumentor.uninstrument()
    check(recorded(), "httpx")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_requests_is_recorded_and_passes_the_trace_on(server: str, recorded: OwnEvents) -> None:
    """The same of the library most programs use. R5.17 R5.3"""
    requests = pytest.importorskip("requests", reason="requests is not installed")
    instrumentation = pytest.importorskip(
        "opentelemetry.instrumentation.requests", reason="its instrumentation is not installed"
    )
    instrumentor = instrumentation.RequestsInstrumentor()
    instrumentor.instrument(tracer_provider=TracerProvider())
    ask: Callable[..., object] = requests.get
    try:
        with request("req-http"):
            ask(f"{server}/good", timeout=30)
            ask(f"{server}/bad", timeout=30)
    finally:
        instrumentor.uninstrument()
    check(recorded(), "requests")
