"""The ASGI middleware, called as a server calls it, and under Starlette and FastAPI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from tests.own_events import OwnEvents
from whence import _native
from whence.emit.request import current
from whence.integrations.asgi import Middleware
from whence.model.event import TraceEvent
from whence.model.severity import Severity

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
Messages = list[dict[str, Any]]


def scope(what: str = "http", *headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    """A connection as a server describes it."""
    return {
        "type": what,
        "method": "POST",
        "path": "/orders/17",
        "query_string": b"token=secret",
        "scheme": "https",
        "http_version": "1.1",
        "client": ("192.0.2.7", 4711),
        "headers": list(headers),
        **more,
    }


def call(
    app: Any, connection: dict[str, Any], incoming: Sequence[dict[str, Any]] = (), **options: Any
) -> Messages:
    """Calls the wrapped app with these messages; gives what it sent."""
    waiting = list(incoming)
    sent: Messages = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Middleware(app, **options)(connection, receive, send))
    return sent


async def echo(connection: Any, receive: Any, send: Any) -> None:
    """Answers with what it was sent, in two parts."""
    message = await receive()
    _native.begin_span("inside", "App").end()
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": message["body"], "more_body": True})
    await send({"type": "http.response.body", "body": b"!"})


def span_of(events: list[TraceEvent], name: str = "http_request") -> TraceEvent:
    """The only span of that name."""
    (found,) = [event for event in events if event.event_type == name]
    return found


def test_a_request_is_a_request_and_a_span(recorded: OwnEvents) -> None:
    """Id, method, path, status, bytes, client; the query, where secrets travel, is not. R5.20"""
    sent = call(
        echo,
        scope("http", (b"x-request-id", b"req-9.a")),
        [{"type": "http.request", "body": b"hello", "more_body": False}],
    )
    assert [message["type"] for message in sent] == [
        "http.response.start",
        "http.response.body",
        "http.response.body",
    ]
    span = span_of(recorded())
    assert span.request_id == "req-9.a"
    assert dict(span.attributes) == {
        "http.request.method": "POST",
        "url.path": "/orders/17",
        "url.scheme": "https",
        "network.protocol.version": "1.1",
        "client.address": "192.0.2.7",
        "http.request.body.size": 5,
        "http.response.body.size": 6,
        "http.response.status_code": 201,
    }
    assert span.status == ""
    inside = span_of(recorded(), "inside")
    assert (inside.request_id, inside.parent_span_id) == ("req-9.a", span.span_id)
    assert current().request_id == ""


def test_a_traceparent_puts_the_request_into_the_callers_trace(recorded: OwnEvents) -> None:
    """The caller's span is the parent. R5.20 R5.3"""
    call(
        echo,
        scope("http", (b"traceparent", PARENT.encode())),
        [{"type": "http.request", "body": b""}],
    )
    span = span_of(recorded())
    assert (span.trace_id, f"{span.parent_span_id:016x}") == (PARENT[3:35], PARENT[36:52])
    assert len(span.request_id) == 36
    assert span_of(recorded(), "inside").trace_id == PARENT[3:35]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"a" * 129,
        b"a b",
        b"a\r\nx-admin: 1",
        b"\x1b[31m",
        b"\xff\xfe",
        b"<script>",
        b"-rf",
        "ä".encode(),
    ],
)
def test_a_hostile_request_id_is_replaced(recorded: OwnEvents, value: bytes) -> None:
    """Only short, plain ids are taken over; all else gets a new UUID. R5.20"""
    call(echo, scope("http", (b"x-request-id", value)), [{"type": "http.request", "body": b""}])
    assert len(span_of(recorded()).request_id) == 36


@pytest.mark.parametrize(
    "headers",
    [
        [(b"traceparent", b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01")],
        [(b"traceparent", b"\xff" * 55)],
        [(b"traceparent", b"x" * 100_000)],
        [(b"traceparent", PARENT.encode()), (b"tracestate", b"\xff=,,==" * 10_000)],
        [(b"baggage", b"\x00" * 100)],
    ],
)
def test_hostile_trace_headers_do_no_harm(
    recorded: OwnEvents, headers: list[tuple[bytes, bytes]]
) -> None:
    """What is wrong is ignored; the request is served and recorded. R5.20"""
    sent = call(echo, scope("http", *headers), [{"type": "http.request", "body": b"x"}])
    assert len(sent) == 3
    assert span_of(recorded()).attributes["http.response.status_code"] == 201


def test_an_id_header_of_ones_own_and_none_at_all(recorded: OwnEvents) -> None:
    """The header is an option; "" trusts nobody. R5.20"""
    body = [{"type": "http.request", "body": b""}]
    call(echo, scope("http", (b"x-id", b"mine")), body, id_header="X-Id")
    assert span_of(recorded()).request_id == "mine"
    call(echo, scope("http", (b"x-request-id", b"theirs")), body, id_header="")
    assert "theirs" not in {event.request_id for event in recorded()}


def test_an_exception_is_noted_and_goes_on(recorded: OwnEvents) -> None:
    """The server still sees it. R5.20"""

    async def fails(connection: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("no stock")

    with pytest.raises(RuntimeError, match="no stock"):
        call(fails, scope())
    span = span_of(recorded())
    assert (span.status, span.status_message) == ("error", "RuntimeError: no stock")
    assert span.attributes["response_incomplete"] is True


def test_a_server_error_and_a_client_that_left_are_told(recorded: OwnEvents) -> None:
    """Status 500 is an error; a disconnect before the end is no error of ours. R5.20"""

    async def unwell(connection: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def left(connection: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"

    call(unwell, scope())
    assert span_of(recorded()).status_message == "status 503"
    call(left, scope(path="/left"))
    (span,) = [e for e in recorded() if e.attributes.get("url.path") == "/left"]
    assert span.attributes["client_disconnected"] is True
    assert span.status == ""


def test_a_websocket_is_one_span_with_its_messages(recorded: OwnEvents) -> None:
    """Messages and bytes both ways, and the close code. R5.20"""

    async def chat(connection: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await send({"type": "websocket.send", "text": "grüße"})
        await send({"type": "websocket.send", "bytes": b"123"})
        await receive()

    call(
        chat,
        scope("websocket"),
        [
            {"type": "websocket.connect"},
            {"type": "websocket.receive", "text": "hi"},
            {"type": "websocket.disconnect", "code": 1001},
        ],
    )
    attributes = span_of(recorded(), "websocket").attributes
    assert attributes["websocket.accepted"] is True
    assert attributes["websocket.messages_received"] == 1
    assert attributes["websocket.messages_sent"] == 2
    assert attributes["http.request.body.size"] == 2
    assert attributes["http.response.body.size"] == 10
    assert attributes["websocket.close_code"] == 1001


def test_the_lifespan_is_told(recorded: OwnEvents) -> None:
    """Start-up and shut-down, and why a start failed. R5.20"""

    async def app(connection: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.failed", "message": "still busy"})

    call(app, {"type": "lifespan"})
    first, second = recorded()
    assert (first.rationale, first.severity) == ("startup complete", Severity.Info)
    assert (second.rationale, second.severity) == ("shutdown failed", Severity.Error)
    assert second.attributes["message"] == "still busy"


def test_paths_to_skip_and_other_protocols_pass_untouched(recorded: OwnEvents) -> None:
    """A health check leaves no event. R5.20"""
    body = [{"type": "http.request", "body": b""}]

    async def nothing(connection: Any, receive: Any, send: Any) -> None:
        return None

    call(nothing, scope(path="/health"), body, skip=["/health"])
    call(nothing, {"type": "mqtt"})
    assert recorded() == []


def test_requests_at_the_same_time_do_not_mix(recorded: OwnEvents) -> None:
    """A hundred interleaved requests keep their own ids. R5.20 R0.28"""

    async def app(connection: Any, receive: Any, send: Any) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            assert current().request_id == connection["path"][1:]

    async def main() -> None:
        served = Middleware(app)
        none: Callable[..., Awaitable[Any]] = asyncio.sleep
        await asyncio.gather(
            *(
                served(
                    scope("http", (b"x-request-id", f"r{n}".encode()), path=f"/r{n}"), none, none
                )
                for n in range(100)
            )
        )

    asyncio.run(main())
    assert {e.request_id for e in recorded()} == {f"r{n}" for n in range(100)}


def test_under_starlette_and_fastapi_routes_are_named(recorded: OwnEvents) -> None:
    """A real framework, a real client, streaming both ways. R5.20"""
    fastapi = pytest.importorskip("fastapi", reason="FastAPI is not installed")
    httpx = pytest.importorskip("httpx", reason="httpx is not installed")
    from starlette.responses import StreamingResponse

    app = fastapi.FastAPI()
    app.add_middleware(Middleware)

    @app.get("/items/{item}")
    async def item(item: int) -> Any:
        async def parts() -> Any:
            for n in range(3):
                yield f"{item}-{n};"

        return StreamingResponse(parts())

    async def main() -> str:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            answer = await client.get("/items/5", headers={"X-Request-ID": "fast-1"})
            return str(answer.text)

    assert asyncio.run(main()) == "5-0;5-1;5-2;"
    span = span_of(recorded())
    assert span.request_id == "fast-1"
    assert span.attributes["http.route"] == "/items/{item}"
    assert span.attributes["http.response.body.size"] == 12
