"""Real nodes and servers that misbehave: what is asked arrives exactly, and faults have names."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

pytest.importorskip("pyarrow", reason="needs whence[store]")

from tests.mocks.tls_front import tls_front
from tests.peers.clickhouse import READER, WRITER, Node
from tests.store.clickhouse.segments import segment
from whence.model.errors import ClusterDenied, ClusterError, ClusterUnavailable
from whence.store.clickhouse import ddl
from whence.store.clickhouse.http import Client
from whence.store.clickhouse.inserts import Inserts
from whence.store.clickhouse.place import read_place

pytestmark = pytest.mark.timeout(600)

STRANGE = "a\\b\t\n\r\0'\"`{x:String}\u00e9\U0001f600%_?&#"


@contextlib.contextmanager
def asking(url: str) -> Iterator[Client]:
    """A client that is closed again."""
    client = Client(read_place(url, environ={}))
    try:
        yield client
    finally:
        client.close()


def test_parameters_arrive_as_they_were_given(client: Client) -> None:
    """Whatever letters are in a text or a list of texts; integers of 64 bits stay whole. R5.21"""
    for text in (STRANGE, "", "\\N", "NULL", "[]", "'"):
        found = client.rows(
            "SELECT {text:String}, {list:Array(String)}, has({list:Array(String)}, {text:String})",
            {"text": text, "list": [text, "other"]},
        )
        assert found == [[text, [text, "other"], 1]]
    numbers = [-(2**63), 2**63 - 1, 0]
    found = client.rows("SELECT {one:Int64}, {many:Array(Int64)}", {"one": -1, "many": numbers})
    assert found == [[-1, numbers]]


def test_a_wrong_password_is_told_without_it(url_of: Callable[..., str]) -> None:
    """Who was refused is said, and no password, neither theirs nor ours. R5.21"""
    with asking(url_of(user=("writer", "not-it"))) as client:
        with pytest.raises(ClusterDenied, match="user 'writer' is refused") as refused:
            client.rows("SELECT 1")
        assert "not-it" not in str(refused.value)
        assert WRITER[1] not in str(refused.value)
        assert "not-it" not in client.place.name + repr(client.place)
        with pytest.raises(ClusterDenied):
            ddl.create(client)


def test_a_user_who_may_only_read_reads(client: Client, url_of: Callable[..., str]) -> None:
    """Its profile forbids settings, too: it is asked without. Writing is refused by name. R5.21"""
    ddl.create(client)
    inserts = Inserts(client)
    inserts.put(*segment("S1", 0, 1_000))
    with asking(url_of(user=READER)) as reader:
        assert ddl.check(reader)
        settings = {"max_execution_time": 5, "optimize_skip_unused_shards": 1}
        counted = reader.rows(f"SELECT count() FROM {reader.place.events}", settings=settings)
        assert counted == [[1_000]]
        with pytest.raises(ClusterDenied, match="'reader' is refused"):
            Inserts(reader).put(*segment("S2", 1_000, 10))
        with pytest.raises(ClusterDenied):
            reader.command("CREATE DATABASE another")


def test_tables_that_are_missing_are_told_with_what_makes_them(client: Client) -> None:
    """Neither a missing database nor a missing table looks like an empty one. R5.21"""
    assert not ddl.check(client)
    with pytest.raises(ClusterError, match="whence ship"):
        client.rows(f"SELECT count() FROM {client.place.events}")


def test_an_error_half_way_gives_nothing(client: Client) -> None:
    """A question that fails after its first rows fails as a whole. R5.21"""
    with pytest.raises(ClusterError, match="THROW_IF"):
        client.rows("SELECT throwIf(number = 3000000) FROM numbers(4000000)")


def test_a_long_answer_is_not_cut_silently(client: Client) -> None:
    """An answer beyond the bound is an error. R5.21"""
    with pytest.raises(OverflowError, match="longer than"):
        client.query("SELECT number FROM numbers(100000) FORMAT TSV", most_bytes=10_000)
    assert client.rows("SELECT 1") == [[1]]


def test_another_host_answers_for_one_that_is_gone(
    client: Client, shards: list[Node], url_of: Callable[..., str]
) -> None:
    """Hosts are tried in turn; with none left it says which did not answer. R5.21"""
    assert client.rows("SELECT 1") == [[1]]
    shards[0].kill()
    assert client.rows("SELECT 1") == [[1]]
    with asking(url_of(count=1)) as only, pytest.raises(ClusterUnavailable, match=r"127\.0"):
        only.rows("SELECT 1")


def test_tls_is_spoken_and_certificates_are_checked(shards: list[Node], tmp_path: Path) -> None:
    """Through a TLS front: local mode has no HTTPS of its own. A strange one is refused. R5.21"""
    with tls_front(shards[0].port, tmp_path) as (port, ca):
        user = f"{WRITER[0]}:{quote(WRITER[1], safe='')}"
        url = f"clickhouses://{user}@127.0.0.1:{port}/any"
        with asking(f"{url}?ca={ca}") as client:
            assert client.rows("SELECT currentUser()") == [["writer"]]
            answer = client.query("SELECT repeat('x', 1000000) FORMAT TSVRaw")
            assert len(answer) == 1_000_001
        with asking(url) as client, pytest.raises(ClusterUnavailable, match="CERTIFICATE"):
            client.rows("SELECT 1")


@contextlib.contextmanager
def double(answer: bytes, *, stays: bool = False) -> Iterator[str]:
    """A server that says the same to everybody, then hangs up, or with `stays` says no more."""
    over = threading.Event()

    def serve() -> None:
        with contextlib.ExitStack() as kept:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                kept.enter_context(connection)
                with contextlib.suppress(OSError):
                    connection.recv(65536)
                    connection.sendall(answer)
                if not stays:
                    connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"clickhouse://127.0.0.1:{listener.getsockname()[1]}/db"
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1]\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[1]\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n[1]\n",
        b"no HTTP at all\r\n\r\n",
    ],
)
def test_a_server_gone_half_way_is_unavailable(answer: bytes) -> None:
    """Nothing of half an answer is taken for the whole. R5.21"""
    with double(answer) as url, asking(url) as client:
        with pytest.raises(ClusterUnavailable):
            client.rows("SELECT 1")
        with pytest.raises(ClusterUnavailable):
            client.insert("INSERT INTO t FORMAT Parquet", b"PAR1")


def test_a_slow_server_is_waited_for_no_longer_than_asked() -> None:
    """Also when its head came at once. R5.21"""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    with (
        double(head, stays=True) as url,
        asking(url) as client,
        pytest.raises(ClusterUnavailable, match="time"),
    ):
        client.query("SELECT 1", timeout_s=0.2)


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        ("503 Service Unavailable", "0", ClusterUnavailable),
        ("500 Internal Server Error", "252", ClusterUnavailable),
        ("500 Internal Server Error", "62", ClusterError),
        ("200 OK", "241", ClusterError),
        ("404 Not Found", "x", ClusterError),
    ],
)
def test_errors_have_their_names(status: str, code: str, error: type[ClusterError]) -> None:
    """Too many parts may pass, a wrong text does not; an error under status 200 is one. R5.21"""
    head = f"HTTP/1.1 {status}\r\nX-ClickHouse-Exception-Code: {code}\r\nContent-Length: 2\r\n\r\n"
    with double(head.encode() + b"no") as url, asking(url) as client:
        with pytest.raises(error) as raised:
            client.rows("SELECT 1")
        assert type(raised.value) is error
