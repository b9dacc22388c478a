"""The stream of new events: told as they are stored, resumed where it ended, each at its pace."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.query.build import event, recording
from tests.query.stores import fill
from tests.serve.serving import API, Client, served
from whence.serve.limits import Limits
from whence.store.folder import FolderStore


class Stream:
    """What one client is told."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.response = response
        self.last_id = ""

    def next(self) -> dict[str, Any] | None:
        """The next event; None for what only keeps the connection; EOFError at the end."""
        data = None
        while line := self.response.readline().decode():
            if line == "\n":
                return data
            name, _, value = line.rstrip("\n").partition(": ")
            if name == "id":
                self.last_id = value
            elif name == "data":
                data = json.loads(value)
        raise EOFError

    def events(self, count: int) -> list[str]:
        """The types of the next events."""
        found: list[str] = []
        while len(found) < count:
            if (told := self.next()) is not None:
                found.append(told["event_type"])
        return found


@contextlib.contextmanager
def streaming(client: Client, asked: str = "", last_id: str = "") -> Iterator[Stream]:
    """An open stream."""
    connection = http.client.HTTPConnection(client.host, client.port, timeout=30)
    with contextlib.closing(connection):
        headers = {"Authorization": f"Bearer {client.token}"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        connection.request("GET", f"{API}/events/stream{asked}", headers=headers)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        assert response.getheader("content-type", "").startswith("text/event-stream")
        stream = Stream(response)
        stream.next()  # where it begins
        yield stream


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FolderStore]:
    """A store that grows."""
    with FolderStore(tmp_path / "traces", write=True, words="test") as made:
        grow(made, "first", 0)
        yield made


def grow(store: FolderStore, event_type: str, ticket: int, count: int = 1) -> None:
    """Stores events of that type."""
    events = [event(event_type, at, ticket=ticket + at) for at in range(count)]
    fill(store, recording(events))


def test_new_events_are_told_as_they_are_stored(store: FolderStore) -> None:
    """A stream begins now, and tells each event once, with its wall time. R4.9 R4.63"""
    with served(store.path) as client, streaming(client) as stream:
        grow(store, "second", 1)
        assert stream.events(1) == ["second"]
        grow(store, "third", 2, count=3)
        assert stream.events(3) == ["third"] * 3


def test_a_stream_goes_on_where_it_ended(store: FolderStore) -> None:
    """With Last-Event-ID nothing is left out that was stored meanwhile. R4.63"""
    with served(store.path) as client:
        with streaming(client) as stream:
            grow(store, "second", 1)
            assert stream.events(1) == ["second"]
        grow(store, "third", 2)
        with streaming(client, last_id=stream.last_id) as stream:
            assert stream.events(1) == ["third"]


def test_a_stream_may_begin_at_the_beginning_and_tell_some_events_only(store: FolderStore) -> None:
    """`after=beginning` tells what is stored already; filters hold for all of it. R4.63"""
    grow(store, "second", 1)
    with (
        served(store.path) as client,
        streaming(client, "?after=beginning&event_type=second&event_type=third") as stream,
    ):
        grow(store, "first", 2)
        grow(store, "third", 3)
        assert stream.events(2) == ["second", "third"]


def test_a_quiet_stream_says_that_it_is_there(store: FolderStore) -> None:
    """Between events a comment comes now and then, so that a dead connection is noticed. R4.63"""
    with served(store.path) as client, streaming(client) as stream:
        assert stream.next() is None
        assert stream.next() is None


def test_a_client_that_goes_away_is_forgotten(store: FolderStore) -> None:
    """Its place is free again at once. R4.63"""
    with served(store.path, Limits(streams=1)) as client:
        for _ in range(3):
            with streaming(client) as stream:
                assert stream.next() is None
                refused = client.get("/events/stream")
                assert (refused.status, refused.json["code"]) == (503, "busy")
            while client.parts.streams is not None and client.parts.streams.now:
                pass


def test_a_stream_ends_with_its_token(store: FolderStore) -> None:
    """A token that is revoked tells no more, on a connection that is open either. R5.26"""
    with served(store.path) as client:
        words, made = client.parts.tokens.add(("read",))
        own = Client(client.host, client.port, words, client.parts)
        with streaming(own) as stream:
            client.parts.tokens.revoke(made.id)
            with pytest.raises(EOFError):
                stream.events(1)


@pytest.mark.parametrize("after", ["nonsense", "newest.0.1.2.3.4"])
def test_what_is_no_place_to_go_on_from_is_refused(store: FolderStore, after: str) -> None:
    """A token of nothing is a 400 before the stream begins. R4.63"""
    with served(store.path) as client:
        assert client.get(f"/events/stream?after={after}").status == 400


def test_the_server_ends_while_streams_are_open(store: FolderStore) -> None:
    """Open streams are ended with the server, and hold it up no longer. R4.63"""
    with served(store.path) as client, contextlib.ExitStack() as kept:
        stream = kept.enter_context(streaming(client))
        assert client.parts.streams is not None
        client.parts.streams.end()
        with pytest.raises(EOFError):
            stream.events(1)
