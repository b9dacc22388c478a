"""ASGI middleware: every HTTP request and websocket is a request with a span; pure ASGI."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from whence import _native
from whence.emit.kind import kind
from whence.emit.request import request
from whence.emit.w3c import extract
from whence.model.severity import Severity

__all__ = ["Middleware"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LONGEST_ID = 128
LONGEST_HEADER_BYTES = 8 << 10  # tracestate and baggage; longer ones are left out
LONGEST_PATH = 1024

# Printable, and nothing that means something to a shell, a log file or a page.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/+=~-]*")
_CARRIED = (b"traceparent", b"tracestate", b"baggage")


@kind(name="asgi_lifespan", component="ASGI", rationale="{what} {outcome}")
def _lifespan_told(what: str, outcome: str, message: str, severity: Severity) -> None: ...


class Middleware:
    """Wraps an ASGI application: `app = Middleware(app)`, or `app.add_middleware(Middleware)`.

    All that happens inside an HTTP request or a websocket belongs to one request of ours: its id is
    the header `x-request-id` (or `id_header`; "" trusts no header), if that is 1 to 128 characters
    of letters, digits and `._:@/+=~-`, else a new UUID. A `traceparent` puts it into the caller's
    trace. Each has a span `http_request` or `websocket` with method, path, route, status, bytes and
    the client's address; the query string is not recorded, since secrets travel in it. A status
    from 500 on is an error; exceptions are noted and go on. `skip` are paths that are passed on
    unrecorded, such as health checks.

    Bodies are passed on as they come: nothing is read ahead, buffered or copied. Some 10 us a
    request. One object serves any number of requests at once.
    """

    def __init__(
        self,
        app: App,
        *,
        component: str = "ASGI",
        id_header: str = "x-request-id",
        skip: Iterable[str] = (),
    ) -> None:
        self.app = app
        self._component = component
        self._id_header = id_header.lower().encode("latin-1")
        self._skip = frozenset(skip)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, as a server calls it."""
        what = scope["type"]
        if what == "lifespan":
            await self._lifespan(scope, receive, send)
        elif what not in ("http", "websocket") or scope.get("path") in self._skip:
            await self.app(scope, receive, send)
        else:
            await self._connection(scope, receive, send)

    async def _connection(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id, carried = self._headers(scope.get("headers") or ())
        caller = _native.enter(extract(carried)) if carried else None
        try:
            with request(request_id):
                await self._inside(scope, receive, send)
        finally:
            if caller is not None:
                _native.leave(caller)

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = "http_request" if scope["type"] == "http" else "websocket"
        seen = _Exchange(scope, receive, send)
        with _native.begin_span(name, self._component, _asked(scope)) as span:
            try:
                await self.app(scope, seen.receive, seen.send)
            finally:
                span.set(**seen.answered())
                if seen.status >= 500:
                    span._status(2, f"status {seen.status}")

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def note(message: Message) -> None:
            _, what, outcome = f"{message.get('type')}..".split(".")[:3]
            failed = outcome == "failed"
            severity = Severity.Error if failed else Severity.Info
            _lifespan_told(what, outcome, str(message.get("message", ""))[:4096], severity)
            await send(message)

        await self.app(scope, receive, note)

    def _headers(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[str | None, dict[str, str]]:
        """(the request's id, what carries the caller's trace); the first of each header counts."""
        request_id: str | None = None
        carried: dict[str, str] = {}
        for name, value in headers:
            if name == self._id_header and request_id is None:
                request_id = _good_id(value)
            elif name in _CARRIED and len(value) <= LONGEST_HEADER_BYTES:
                carried.setdefault(name.decode("latin-1"), value.decode("latin-1"))
        return request_id, carried if "traceparent" in carried else {}


class _Exchange:
    """What went in and out of one connection, counted on its way."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._came, self._went = 0, 0
        self._messages_in, self._messages_out = 0, 0
        self._started = self._complete = self._disconnected = False
        self._close_code = 0
        self.status = 0

    async def receive(self) -> Message:
        """The application's receive."""
        message = await self._receive()
        what = message["type"]
        if what == "http.request":
            self._came += len(message.get("body") or b"")
        elif what == "websocket.receive":
            self._messages_in += 1
            self._came += _size(message)
        elif what == "http.disconnect":
            self._disconnected = not self._complete
        elif what == "websocket.disconnect":
            self._close_code = self._close_code or message.get("code") or 1005
        return message

    async def send(self, message: Message) -> None:
        """The application's send."""
        what = message["type"]
        if what in ("http.response.start", "websocket.http.response.start"):
            self.status = int(message.get("status") or 0)
        elif what in ("http.response.body", "websocket.http.response.body"):
            self._went += len(message.get("body") or b"")
            self._complete = not message.get("more_body", False)
        elif what == "websocket.accept":
            self._started = True
        elif what == "websocket.send":
            self._messages_out += 1
            self._went += _size(message)
        elif what == "websocket.close":
            self._close_code = message.get("code") or 1000
        await self._send(message)

    def answered(self) -> dict[str, int | bool | str]:
        """What is known at the end; the route is known only after routing."""
        found: dict[str, int | bool | str] = {}
        route = _route(self._scope)
        if route:
            found["http.route"] = route
        found["http.request.body.size"] = self._came
        found["http.response.body.size"] = self._went
        if self.status:
            found["http.response.status_code"] = self.status
        if self._scope["type"] == "websocket":
            found["websocket.accepted"] = self._started
            found["websocket.messages_received"] = self._messages_in
            found["websocket.messages_sent"] = self._messages_out
            if self._close_code:
                found["websocket.close_code"] = self._close_code
        elif self._disconnected:
            found["client_disconnected"] = True
        elif not self._complete:
            found["response_incomplete"] = True
        return found


def _asked(scope: Scope) -> dict[str, int | float | bool | str]:
    found: dict[str, int | float | bool | str] = {
        "url.path": _text(scope.get("path"), LONGEST_PATH)
    }
    if scope["type"] == "http":
        found["http.request.method"] = _text(scope.get("method"), 32)
    for name, value in (
        ("url.scheme", scope.get("scheme")),
        ("network.protocol.version", scope.get("http_version")),
        ("client.address", (scope.get("client") or ("",))[0]),
    ):
        if value:
            found[name] = _text(value, 256)
    return found


def _route(scope: Scope) -> str:
    """As Starlette, FastAPI and Litestar leave it in the scope."""
    route = scope.get("route")
    for name in ("path_format", "path"):
        path = getattr(route, name, None)
        if isinstance(path, str) and path:
            return _text(path, LONGEST_PATH)
    template = scope.get("path_template")
    return _text(template, LONGEST_PATH) if isinstance(template, str) else ""


def _good_id(value: bytes) -> str | None:
    if not 0 < len(value) <= LONGEST_ID:
        return None
    text = value.decode("latin-1")
    return text if _ID.fullmatch(text) else None


def _text(value: object, longest: int) -> str:
    return value[:longest] if isinstance(value, str) else ""


def _size(message: Message) -> int:
    if message.get("bytes") is not None:
        return len(message["bytes"])
    return len((message.get("text") or "").encode("utf-8", "surrogatepass"))
