"""What sinks over HTTP share, against servers that misbehave."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from whence.collect.http_post import MOST_ANSWER_BYTES, Answer, HttpPost, retry_after_s
from whence.collect.sink import Unavailable

LONG_S = 60.0


@contextlib.contextmanager
def server(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[HttpPost]:
    """A post to a server that reads the head of one request and then does as `answer` says."""
    over = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                received = b""
                while b"\r\n\r\n" not in received:
                    received += connection.recv(65536)
                answer(connection, over)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        post = HttpPost(urlsplit(f"http://127.0.0.1:{port}"), secure=False, path="/")
        try:
            yield post
        finally:
            post.close()
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _drips(head: bytes, drop: bytes) -> Callable[[socket.socket, threading.Event], None]:
    def answer(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head)
        while not over.wait(0.02):
            connection.sendall(drop)

    return answer


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"HTTP/1.1 200 ", b"O"),
        (b"HTTP/1.1 200 OK\r\nx: ", b"y"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
)
def test_an_answer_that_drips_ends_at_the_timeout(head: bytes, drop: bytes) -> None:
    """However slowly status, headers or body come, the attempt is over in time. R1.43"""
    with server(_drips(head, drop)) as post, pytest.raises(Unavailable, match=r"in time|timed out"):
        post.post(b"x", {}, 0.2)


@pytest.mark.parametrize("encoding", [b"", b"Transfer-Encoding: chunked\r\n"])
def test_an_answer_without_end_is_cut(encoding: bytes) -> None:
    """No more is read of a body than its limit, whatever its server sends on. R1.43"""
    piece = b"x" * 65536
    drop = b"10000\r\n" + piece + b"\r\n" if encoding else piece

    def answer(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + encoding + b"\r\n")
        while not over.is_set():
            connection.sendall(drop)

    with server(answer) as post:
        found = post.post(b"x", {}, LONG_S)
    assert (found.status, len(found.body)) == (200, MOST_ANSWER_BYTES)


def test_a_date_that_no_clock_shows_asks_for_nothing() -> None:
    """Numbers too large for a date are nonsense, not an error that costs events. R1.43"""
    for said in (
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2026 99999999999999999:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 +99999999999999",
    ):
        assert retry_after_s(Answer(503, {"retry-after": said}, b"")) is None


@pytest.mark.parametrize("header", [("", "x"), ("a b", "x"), ("a:", "x"), ("a", "\u65e5")])
def test_headers_that_http_cannot_carry_are_refused_at_once(header: tuple[str, str]) -> None:
    """They are told of before anything is sent, without their values. R1.43"""
    with pytest.raises(ValueError, match="header") as caught:
        HttpPost(urlsplit("http://h"), secure=False, path="/", headers=dict([header]))
    assert "\u65e5" not in str(caught.value)
