"""OTLP over HTTP as an ASGI application: for a server of its own, or mounted in another one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from whence.receive.otlp.intake import OtlpIntake
from whence.receive.otlp.replies import JSON, PROTOBUF, HttpReply, status

__all__ = ["OtlpApp"]

_Message = MutableMapping[str, Any]
_BODY_S = 30.0
_INVALID, _UNAVAILABLE, _UNIMPLEMENTED = 3, 14, 12


class OtlpApp:
    """Answers `POST <prefix>/<signal>`, and nothing else. Knows nothing of who may send.

    A body is read up to the limit and no longer than `body_s`, and handed to one of some threads;
    beyond `most_requests` at a time senders are told to come again.
    """

    def __init__(
        self,
        intake: OtlpIntake,
        *,
        prefix: str = "/v1",
        workers: int = 8,
        most_requests: int = 32,
        body_s: float = _BODY_S,
    ) -> None:
        self._intake = intake
        self._prefix = prefix.rstrip("/")
        self._most = most_requests
        self._body_s = body_s
        self._under_way = 0
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="whence-otlp-http")

    async def __call__(
        self,
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        """ASGI 3; `lifespan` ends the threads."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return
        if self._under_way >= self._most:
            reply = HttpReply(503, status(_UNAVAILABLE, "too many at a time"), retry_after_s=1)
        else:
            self._under_way += 1
            try:
                reply = await self._answer(scope, receive)
            finally:
                self._under_way -= 1
        headers = {**reply.headers, "content-length": str(len(reply.body))}
        if reply.status in (408, 413):
            headers["connection"] = "close"  # what is left of the body is not read
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": pairs})
        await send({"type": "http.response.body", "body": reply.body})

    async def _answer(
        self, scope: _Message, receive: Callable[[], Awaitable[_Message]]
    ) -> HttpReply:
        path, signal = scope["path"].rstrip("/").rpartition("/")[::2]
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        kind = headers.get(b"content-type", "")
        as_json = kind.startswith(JSON)
        answered = JSON if as_json else PROTOBUF

        def refused(code: int, rpc: int, message: str) -> HttpReply:
            return HttpReply(code, status(rpc, message, as_json=as_json), answered)

        if path != self._prefix:
            return refused(404, _UNIMPLEMENTED, "there is nothing here")
        if scope["method"] != "POST":
            return refused(405, _UNIMPLEMENTED, "only POST")
        most = self._intake.limits.body_bytes
        if (told := headers.get(b"content-length", "0")).isdigit() and int(told[:20]) > most:
            return refused(413, _INVALID, f"more than {most} bytes")
        try:
            async with asyncio.timeout(self._body_s):
                body = await _body(receive, most)
        except TimeoutError:
            return refused(408, _UNAVAILABLE, "the body did not come in time")
        except ConnectionError:
            return refused(400, _INVALID, "the body is not whole")
        if body is None:
            return refused(413, _INVALID, f"more than {most} bytes")
        return await asyncio.get_running_loop().run_in_executor(
            self._pool,
            self._intake.receive,
            signal,
            body,
            kind,
            headers.get(b"content-encoding", ""),
        )

    async def _live(
        self,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                self.close()
                return

    def close(self) -> None:
        """Ends the threads, where nobody sends `lifespan`."""
        self._pool.shutdown(wait=False)


async def _body(receive: Callable[[], Awaitable[_Message]], most_bytes: int) -> bytes | None:
    """The whole body; None as soon as it is larger than that."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        part = message.get("body", b"")
        size += len(part)
        if size > most_bytes:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
