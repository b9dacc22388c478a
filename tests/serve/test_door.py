"""The door: sizes, encodings, room, deadlines, hosts, origins and headers, before any route."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.query.build import inference_chain, recording
from tests.query.stores import stored
from tests.serve.serving import API, Client, served
from whence.model.errors import BudgetExceeded
from whence.query.engines.memory import InMemory
from whence.serve.inflate import Inflating
from whence.serve.limits import Limits
from whence.serve.origins import Origins
from whence.serve.problem import Problem

SMALL = Limits(body=4_096, inflated=65_536, inflation=50, header_s=0.4, body_s=0.4,
               connections=12, connections_each=6, headers=4_096)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one chain."""
    return stored(tmp_path_factory.mktemp("door") / "traces", recording(inference_chain("req-1")))


@pytest.fixture
def client(store: Path) -> Iterator[Client]:
    """Who asks a server with small limits."""
    with served(store, SMALL) as found:
        yield found


@contextlib.contextmanager
def _connected(client: Client, address: str = "127.0.0.1") -> Iterator[socket.socket]:
    with socket.create_connection(
        (client.host, client.port), timeout=10, source_address=(address, 0)
    ) as found:
        yield found


def _until(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_a_body_that_is_too_large_is_refused_before_it_is_read(client: Client) -> None:
    """Its Content-Length is enough to refuse it: 413. R5.26"""
    with _connected(client) as found:
        found.sendall(
            f"POST {API}/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n"
            f"Authorization: Bearer {client.token}\r\n\r\n".encode()
        )
        assert found.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_body_without_a_length_is_refused_where_it_grows_too_large(client: Client) -> None:
    """Chunks are counted as they come: 413. R5.26"""
    connection = http.client.HTTPConnection(client.host, client.port, timeout=10)
    with contextlib.closing(connection):
        headers = {"Authorization": f"Bearer {client.token}"}
        chunks = iter([b"x" * 1_000] * 5)
        connection.request("POST", f"{API}/sessions", chunks, headers, encode_chunked=True)
        assert connection.getresponse().status == 413


def test_nothing_of_a_body_is_read_without_a_token(client: Client) -> None:
    """Whoever is not known is told so at once, however large the body. R5.26"""
    with _connected(client) as found:
        found.sendall(
            f"POST {API}/sessions HTTP/1.1\r\nHost: localhost\r\n"
            "Content-Length: 4000\r\n\r\n".encode()
        )
        assert found.recv(100).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("level", [1, 9])
def test_a_body_that_becomes_too_large_is_refused(client: Client, level: int) -> None:
    """A compressed body is held to what it becomes, and to how many times its size. R5.26"""
    bomb = gzip.compress(bytes(1_000_000), level)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = client.ask("POST", "/sessions", bomb[:4_096], headers)
    assert (answer.status, answer.json["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"not gzip", "bad_encoding"),
        (gzip.compress(b"one") + gzip.compress(b"two"), "bad_encoding"),
        (gzip.compress(b"one") + b"behind", "bad_encoding"),
        (gzip.compress(b"too short")[:-3], "bad_encoding"),
    ],
)
def test_what_is_no_single_gzip_member_is_refused(client: Client, body: bytes, code: str) -> None:
    """Nested, trailing, cut and false gzip is 400. R5.26"""
    answer = client.ask("POST", "/sessions", body, {"Content-Encoding": "gzip"})
    assert (answer.status, answer.json["code"]) == (400, code)


def test_other_encodings_are_refused(client: Client) -> None:
    """What is neither gzip nor plain is 415. R5.26"""
    answer = client.ask("POST", "/sessions", b"x", {"Content-Encoding": "br"})
    assert answer.status == 415


def test_a_bomb_never_becomes_more_than_a_piece_beyond_its_limit() -> None:
    """The inflated bytes are counted as they come, not when they are all there. R5.26"""
    inflating = Inflating(Limits(inflated=1 << 20, inflation=10**6))
    bomb = gzip.compress(bytes(1 << 28))
    with pytest.raises(Problem) as refused:
        inflating.add(bomb)
    assert refused.value.status == 413
    assert inflating._given <= (1 << 20) + (64 << 10)


def test_what_is_inflated_is_what_was_compressed() -> None:
    """Whatever the pieces, the bytes are those that were sent. R5.26"""
    content = b"".join(b"%d," % number for number in range(50_000))
    body = gzip.compress(content)
    for size in (1, 1_000, len(body)):
        inflating = Inflating(Limits())
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        assert b"".join(map(inflating.add, pieces)) == content
        inflating.end()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /api/v1/healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        b"POST /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n"
        b"Authorization: Bearer %s\r\n\r\nonly this",
    ],
)
def test_who_takes_too_long_to_send_is_disconnected(client: Client, sent: bytes) -> None:
    """Headers and body have a time from their first byte on, whatever still trickles in. R5.26"""
    words = (client.token or "").encode()
    with _connected(client) as found:
        stop = threading.Event()

        def dribble() -> None:
            with contextlib.suppress(OSError):
                found.sendall(sent.replace(b"%s", words))
                while sent and not stop.wait(0.05):
                    found.sendall(b"x")

        dribbling = threading.Thread(target=dribble)
        dribbling.start()
        try:
            said = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := found.recv(1_000):
                    said += piece
        finally:
            stop.set()
            dribbling.join()
    assert said.startswith(b"HTTP/1.1 408 ") or not said
    crowd = client.parts.crowd
    assert crowd is not None
    assert crowd.late == 1
    _until(lambda: crowd.count == 0)


def test_headers_that_are_too_large_are_refused(client: Client) -> None:
    """More than the limit of headers is a 400, and the end. R5.26"""
    with _connected(client) as found:
        found.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 100_000)
        with contextlib.suppress(ConnectionResetError):
            assert found.recv(100).startswith(b"HTTP/1.1 4")


def test_who_waits_gives_way_to_who_asks(client: Client) -> None:
    """Silent connections take the place of nobody: the oldest of them goes. R5.26"""
    with contextlib.ExitStack() as kept:
        for _ in range(20):
            kept.enter_context(_connected(client, "127.0.0.2"))
            kept.enter_context(_connected(client))
        assert client.get("/healthz").status == 200
    crowd = client.parts.crowd
    assert crowd is not None
    assert crowd.refused > 0
    _until(lambda: crowd.count == 0)


class _Slow(InMemory):
    """An engine that answers when it is let, or told to end."""

    def __init__(self) -> None:
        super().__init__(recording(inference_chain("req-1")))
        self.let = threading.Event()
        self.asked = threading.Semaphore(0)
        self.ended = threading.Event()

    def sessions(self) -> Any:
        """Waits."""
        self.asked.release()
        while not self.let.wait(0.01):
            if self.ended.is_set():
                raise BudgetExceeded("ended")
        return super().sessions()

    def cancel(self) -> None:
        """Ends the wait."""
        self.ended.set()


def test_a_question_ends_when_whoever_asked_goes_away(store: Path) -> None:
    """A client that disconnects takes its question with it. R5.26"""
    slow = _Slow()
    with served(store, engine=lambda: slow) as client:
        with _connected(client) as found:
            found.sendall(
                f"GET {API}/sessions HTTP/1.1\r\nHost: localhost\r\n"
                f"Authorization: Bearer {client.token}\r\n\r\n".encode()
            )
            assert slow.asked.acquire(timeout=20)
        assert slow.ended.wait(20)
        _until(lambda: client.parts.asking.waiting == 0)


@pytest.mark.parametrize("limits", [Limits(question_s=0.2), Limits(request_s=0.2)])
def test_a_question_that_takes_too_long_is_ended(store: Path, limits: Limits) -> None:
    """Past its time the answer is 503, and the store is free for others. R5.26"""
    slow = _Slow()
    with served(store, limits, engine=lambda: slow) as client:
        answer = client.get("/sessions")
        assert (answer.status, answer.json["code"]) == (503, "too_slow")
        assert slow.ended.is_set()
        _until(lambda: client.parts.asking.waiting == 0)


@pytest.mark.parametrize(
    ("limits", "status", "code"),
    [
        (Limits(questions=1, requests_each=1), 429, "too_many"),
        (Limits(questions=1, requests=1), 503, "busy"),
        (Limits(questions=1, waiting=0), 503, "busy"),
    ],
)
def test_a_flood_is_told_to_come_again(store: Path, limits: Limits, status: int, code: str) -> None:
    """More at once than there is room for is refused with when to try again. R5.26"""
    slow = _Slow()
    with served(store, limits, engine=lambda: slow) as client:
        answers = []
        first = threading.Thread(target=lambda: answers.append(client.get("/sessions")))
        first.start()
        assert slow.asked.acquire(timeout=20)
        second = client.get("/ledger")
        slow.let.set()
        first.join()
    assert (second.status, second.json["code"]) == (status, code)
    assert int(second.headers["retry-after"]) >= 1
    assert answers[0].status == 200


def test_bodies_on_their_way_have_bounded_room(store: Path) -> None:
    """What is announced is reserved before it is read: beyond the room it is 503. R5.26"""
    with served(store, Limits(body=1_000, body_room=1_500)) as client:
        with _connected(client) as found:
            found.sendall(
                f"POST {API}/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
                f"Authorization: Bearer {client.token}\r\n\r\n".encode()
            )
            _until(lambda: client.parts.traffic.body_bytes == 1_000)
            answer = client.ask("POST", "/sessions", b"x" * 600)
            assert (answer.status, answer.json["code"]) == (503, "busy")
        _until(lambda: client.parts.traffic.body_bytes == 0)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:80", 200),
        ("[::1]:80", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("10.0.0.1", 421),
        ("", 421),
        ("[", 421),
    ],
)
def test_only_names_of_ours_are_answered(client: Client, host: str, status: int) -> None:
    """A stranger's name that means this machine is refused: no DNS rebinding. R5.26"""
    assert client.get("/healthz", headers={"Host": host}).status == status


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1"])
def test_pages_of_other_origins_are_refused(client: Client, origin: str) -> None:
    """A page of another origin may neither read nor write, and is told of no permission. R5.26"""
    for method in ("GET", "POST", "OPTIONS"):
        answer = client.ask(method, "/sessions", headers={"Origin": origin})
        assert (answer.status, answer.json["code"]) == (403, "wrong_origin")
        assert not any(name.startswith("access-control") for name in answer.headers)


def test_an_origin_that_was_let_in_may_ask(store: Path) -> None:
    """By its name, and no other; its browser may ask what it may do. R5.26"""
    page = "https://dash.example"
    with served(store, origins=Origins(origins=[page])) as client:
        asked = {"Origin": page, "Access-Control-Request-Method": "GET"}
        before = client.ask("OPTIONS", "/sessions", headers=asked, token=None)
        assert before.status == 204
        assert before.headers["access-control-allow-origin"] == page
        assert client.get("/sessions", headers={"Origin": page}).status == 200
        other = client.get("/sessions", headers={"Origin": "https://evil.example"})
        assert other.status == 403


def test_every_answer_forbids_scripts_frames_and_guesses(client: Client) -> None:
    """Answers and problems alike have the headers that keep browsers from running them. R5.26"""
    for answer in (client.get("/healthz"), client.get("/sessions"), client.get("/x", token=None)):
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
