"""One kept connection that POSTs to one host: what all that speaks HTTP shares."""

from __future__ import annotations

import base64
import functools
import http.client
import io
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote

from whence.collect.sink import Unavailable

__all__ = ["Answer", "Connect", "HttpPost", "basic_credentials", "retry_after_s"]

MOST_ANSWER_BYTES = 64 << 10
Connect = Callable[[str, int, float], socket.socket]
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class Answer(NamedTuple):
    """What the server said: redirections are not followed, and long bodies are cut."""

    status: int
    headers: Mapping[str, str]  # by lower-case name
    body: bytes

    @property
    def text(self) -> str:
        """The body as one short line."""
        return " ".join(self.body.decode("utf-8", "replace").split())[:500]


class HttpPost:
    """Sends bodies to one host; connects at the first one. One thread at a time.

    Certificates are checked against the system's authorities unless `context` says otherwise.
    """

    def __init__(
        self,
        parts: SplitResult,
        *,
        secure: bool,
        path: str,
        headers: Mapping[str, str] = {},
        context: ssl.SSLContext | None = None,
        connect: Connect | None = None,
    ) -> None:
        """`parts` gives host and port; ValueError where it has no host, or a header is no header.

        `context` is for `secure` connections alone. `connect` opens the connections where not any
        address will do: it gets host, port and timeout; certificates are still those of the host.
        """
        if not parts.hostname:
            raise ValueError("the URL names no host")
        self._host, self._port = parts.hostname, parts.port
        self._path = path
        self._headers = {name: _header(name, value) for name, value in headers.items()}
        self._secure = secure
        self._context = context
        self._connect = connect
        self._connection: http.client.HTTPConnection | None = None

    def post(
        self,
        body: bytes | memoryview,
        headers: Mapping[str, str],
        timeout_s: float,
        *,
        path: str | None = None,
        most_bytes: int = MOST_ANSWER_BYTES,
    ) -> Answer:
        """One attempt, on a fresh connection where the kept one turned out to be closed.

        `path` goes before that of the constructor; an answer's body is cut after `most_bytes`.
        Raises Unavailable where no whole answer came.
        """
        kept = self._connection is not None
        asked = _Asked(path or self._path, body, {**self._headers, **headers}, most_bytes)
        try:
            return self._attempt(asked, timeout_s)
        except (ConnectionError, http.client.HTTPException) as error:
            self.close()
            if not kept or isinstance(error, http.client.IncompleteRead):
                raise Unavailable(_said(error)) from error
        except OSError as error:
            self.close()
            raise Unavailable(_said(error)) from error
        try:  # servers close idle connections whenever they like
            return self._attempt(asked, timeout_s)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unavailable(_said(error)) from error

    def close(self) -> None:
        """Closes the connection; the next post opens one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _attempt(self, asked: _Asked, timeout_s: float) -> Answer:
        connection = self._connected(timeout_s)
        end_s = time.monotonic() + timeout_s
        response_class: Any = functools.partial(_TimedResponse, end_s=end_s)
        connection.response_class = response_class
        connection.request("POST", asked.path, asked.body, asked.headers)
        response = connection.getresponse()
        content = _read(response, asked.most_bytes)
        found = {name.lower(): value for name, value in response.getheaders()}
        if response.will_close or not response.isclosed():
            self.close()
        return Answer(response.status, found, content)

    def _connected(self, timeout_s: float) -> http.client.HTTPConnection:
        if self._connection is None:
            if self._secure:
                context = self._context or ssl.create_default_context()
                self._connection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=timeout_s, context=context
                )
            else:
                self._connection = http.client.HTTPConnection(
                    self._host, self._port, timeout=timeout_s
                )
            if (connect := self._connect) is not None:
                opened: Any = self._connection

                def create(address: tuple[str, int], timeout: float, source: object) -> Any:
                    return connect(*address, timeout)

                opened._create_connection = create
        if self._connection.sock is not None:
            self._connection.sock.settimeout(timeout_s)
        self._connection.timeout = timeout_s
        return self._connection


class _Asked(NamedTuple):
    path: str
    body: bytes | memoryview
    headers: dict[str, str]
    most_bytes: int


class _TimedResponse(http.client.HTTPResponse):
    """An answer that must be there by `end_s`, however slowly its headers or its body drip."""

    def __init__(self, sock: socket.socket, *args: Any, end_s: float, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Timed(sock, self.fp.detach(), end_s))


class _Timed(io.RawIOBase):
    def __init__(self, sock: socket.socket, raw: io.RawIOBase, end_s: float) -> None:
        self._sock, self._raw, self._end_s = sock, raw, end_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer was not whole in time")
        self._sock.settimeout(left_s)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _read(response: http.client.HTTPResponse, most_bytes: int) -> bytes:
    """The body, cut if it is long; what is left of it then is never read."""
    content = bytearray()
    while response.length != 0 and len(content) < most_bytes:
        part = response.read1(most_bytes - len(content))
        content += part
        if not part and response.length:
            raise http.client.IncompleteRead(bytes(content), response.length)
        if not part:
            break
    if response.length == 0:
        response.read()  # nothing is left: the connection is free for the next request
    return bytes(content)


def basic_credentials(parts: SplitResult) -> dict[str, str]:
    """The Authorization header that a URL's user and password mean; none where it has none."""
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode("ascii")}


def retry_after_s(answer: Answer, now: datetime | None = None) -> float | None:
    """What Retry-After asks for, given in seconds or as a date; None where it says nothing."""
    said = answer.headers.get("retry-after", "").strip()
    if said.isdecimal() and len(said) < 10:
        return float(said)
    try:
        moment = parsedate_to_datetime(said)
    except (TypeError, ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def _header(name: str, value: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a header")
    if any(letter in name + value for letter in "\r\n\0"):
        raise ValueError(f"header {name!r} holds a line break or NUL")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"header {name!r} holds letters that HTTP has none for") from None
    return value


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
