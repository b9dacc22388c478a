"""What happens before a route sees a request: hosts, tokens, sizes, room and deadlines."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whence.serve.auth import Token, Tokens
from whence.serve.inflate import Inflating
from whence.serve.json import problem_response
from whence.serve.limits import Limits
from whence.serve.origins import Origins
from whence.serve.problem import Problem, problem_of

__all__ = ["OTLP", "PUBLIC", "Door", "Traffic", "token_of"]

PUBLIC = frozenset({"/api/v1/healthz", "/api/v1/openapi.json"})
OTLP = frozenset({"/v1/traces", "/v1/logs", "/v1/metrics"})
STREAMS = frozenset({"/api/v1/events/stream"})
_LOG = logging.getLogger("whence.serve")
_HEADERS = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_HSTS = (b"strict-transport-security", b"max-age=31536000")
_LATER = {"Retry-After": "1"}


class Traffic:
    """What is under way, and what has been: for /metrics. The server's loop counts."""

    def __init__(self) -> None:
        self.now = 0
        self.each: Counter[str] = Counter()
        self.body_bytes = 0
        self.answers: Counter[tuple[str, int]] = Counter()  # by method and status
        self.seconds = 0.0
        self.refused: Counter[str] = Counter()  # by code


class Door:
    """The app within its bounds. Nothing of a body is read before its sender is known."""

    def __init__(
        self,
        app: ASGIApp,
        tokens: Tokens,
        limits: Limits,
        origins: Origins,
        traffic: Traffic,
        otlp: ASGIApp | None = None,
    ) -> None:
        self._app = app
        self._otlp = otlp
        self._tokens = tokens
        self._limits = limits
        self._origins = origins
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, self._origins.headers(scope), scope["scheme"] == "https")
        began = time.perf_counter()
        try:
            await self._admit(scope, receive, answer)
        except Problem as problem:
            self._traffic.refused[problem.code] += 1
            if not answer.started:
                await problem_response(problem)(scope, receive, answer)
        finally:
            self._traffic.answers[scope["method"], answer.status] += 1
            self._traffic.seconds += time.perf_counter() - began

    async def _admit(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        self._origins.check(scope)
        if self._origins.is_preflight(scope):
            answer.is_preflight = True
            await answer({"type": "http.response.start", "status": 204, "headers": []})
            await answer({"type": "http.response.body"})
            return
        scope.setdefault("state", {})["token"] = self._token(scope)
        if scope["path"] in OTLP:
            await self._take_in(scope, receive, answer)
            return
        with self._counted(scope):
            body = await self._body(scope, receive)
            await self._ask(scope, body, receive, answer)

    async def _take_in(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        """What comes from OpenTelemetry: its app reads and bounds bodies as it is used to."""
        token = token_of(scope)
        if token is None or "ingest" not in token.scopes:
            advice = "whence token add --scope ingest"
            raise Problem(403, "missing_scope", "this needs the scope ingest", advice)
        if self._otlp is None:
            advice = "send to the process that owns the store"
            raise Problem(403, "read_only", "this server only reads", advice)
        with self._counted(scope):
            try:
                async with asyncio.timeout(self._limits.request_s):
                    await self._otlp(scope, receive, answer)
            except TimeoutError:
                detail = f"no answer within {self._limits.request_s} s"
                raise Problem(503, "too_slow", detail, "send it again", headers=_LATER) from None

    def _token(self, scope: Scope) -> Token | None:
        words = [value for name, value in scope["headers"] if name == b"authorization"]
        kind, _, text = (words[0].decode("latin-1") if words else "").partition(" ")
        token = self._tokens.check(text.strip()) if kind.lower() == "bearer" else None
        if token is None and scope["path"] not in PUBLIC:
            said = "this token is not known, or has expired" if words else "a token is needed"
            raise Problem(
                401,
                "unauthorized",
                said,
                "send Authorization: Bearer TOKEN; whence token add makes one",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return token

    @contextlib.contextmanager
    def _counted(self, scope: Scope) -> Iterator[None]:
        traffic, limits = self._traffic, self._limits
        if scope["path"] in STREAMS:  # they stay, and are counted where they are
            yield
            return
        address = scope["client"][0] if scope.get("client") else ""
        if traffic.each[address] >= limits.requests_each:
            many = "this address has too many requests under way"
            raise Problem(429, "too_many", many, "send it again later", headers=_LATER)
        if traffic.now >= limits.requests:
            many = "too many requests are under way"
            raise Problem(503, "busy", many, "send it again later", headers=_LATER)
        traffic.now += 1
        traffic.each[address] += 1
        try:
            yield
        finally:
            traffic.now -= 1
            traffic.each[address] -= 1
            if not traffic.each[address]:
                del traffic.each[address]

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body, inflated; Problem for one that is too large or of another encoding."""
        limits, traffic = self._limits, self._traffic
        headers = dict(scope["headers"])
        encoding = headers.get(b"content-encoding", b"identity").strip().lower()
        if encoding not in (b"identity", b"", b"gzip"):
            raise Problem(415, "bad_encoding", "bodies come as gzip or as they are", "send gzip")
        length = headers.get(b"content-length")
        if length is None and b"transfer-encoding" not in headers:
            return b""
        most = limits.body if length is None else int(length)
        if most > limits.body:
            raise self._too_large()
        if traffic.body_bytes + most > limits.body_room:
            raise Problem(
                503, "busy", "too many bodies are on their way", "send it again later",
                headers=_LATER,
            )  # fmt: skip
        traffic.body_bytes += most
        try:
            inflating = Inflating(limits) if encoding == b"gzip" else None
            parts: list[bytes] = []
            size = 0
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Problem(400, "gone", "the client went away")
                piece = message.get("body", b"")
                size += len(piece)
                if size > limits.body:
                    raise self._too_large()
                parts.append(piece if inflating is None else inflating.add(piece))
                if not message.get("more_body"):
                    break
            if inflating is not None and size:
                inflating.end()
            return b"".join(parts)
        finally:
            traffic.body_bytes -= most

    def _too_large(self) -> Problem:
        detail = f"the body has more than {self._limits.body} bytes"
        return Problem(413, "too_large", detail, "send it in several requests")

    async def _ask(self, scope: Scope, body: bytes, receive: Receive, answer: _Answer) -> None:
        """Runs the route until it has answered, the client goes away, or its time is over."""
        scope["headers"] = [
            (name, value) for name, value in scope["headers"] if name != b"content-encoding"
        ]
        gone = asyncio.Event()
        first: deque[Message] = deque([{"type": "http.request", "body": body, "more_body": False}])

        async def replay() -> Message:
            if first:
                return first.popleft()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()

        seconds = None if scope["path"] in STREAMS else self._limits.request_s
        asking = asyncio.ensure_future(self._app(scope, replay, answer))
        watching = asyncio.ensure_future(watch())
        try:
            await asyncio.wait(
                (asking, watching), timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if not asking.done():
                asking.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await asking
                if watching.done():
                    raise Problem(400, "gone", "the client went away")
                raise Problem(
                    503, "too_slow", f"no answer within {seconds} s", "ask for less at once"
                )
            await self._told(asking)
        finally:
            for task in (asking, watching):
                if not task.done():
                    task.cancel()

    async def _told(self, asking: asyncio.Future[None]) -> None:
        try:
            await asking
        except Problem:
            raise
        except Exception as error:
            problem = problem_of(error)
            if problem.status == 500:
                _LOG.error("a request failed", exc_info=error)
            raise problem from None


class _Answer:
    """Sends an answer with the headers that every one has."""

    def __init__(self, send: Send, extra: list[tuple[bytes, bytes]], is_tls: bool) -> None:
        self._send = send
        self._extra = [*_HEADERS, *extra, *([_HSTS] if is_tls else [])]
        self.started = False
        self.is_preflight = False
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            present = {name.lower() for name, _ in message["headers"]}
            more = [pair for pair in self._extra if pair[0] not in present]
            message = {**message, "headers": [*message["headers"], *more]}
        await self._send(message)


def token_of(scope: Any) -> Token | None:
    """The token of a request that came through the door."""
    found = scope.get("state", {}).get("token")
    return found if isinstance(found, Token) else None
