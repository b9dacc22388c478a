"""A server over a small store, for the tests of the HTTP face: loopback, a free port, a token."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from whence.query.engines.folder import FolderEngine
from whence.serve.app import make_app
from whence.serve.asking import Asking
from whence.serve.auth import SCOPES, Tokens
from whence.serve.connections import Crowd
from whence.serve.limits import Limits
from whence.serve.origins import Origins
from whence.serve.parts import Parts
from whence.serve.run import HttpServer
from whence.serve.streams import Streams

__all__ = ["API", "Answer", "Client", "served"]

API = "/api/v1"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)


@dataclass
class Client:
    """Asks one server, with one token unless another is named."""

    host: str
    port: int
    token: str | None
    parts: Parts
    made: list[http.client.HTTPConnection] = field(default_factory=list)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = "",
        prefix: str = API,
    ) -> Answer:
        """One request on a connection of its own."""
        token = self.token if token == "" else token
        said = {} if token is None else {"Authorization": f"Bearer {token}"}
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, prefix + path, body, {**said, **(headers or {})})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())

    def get(self, path: str, **more: Any) -> Answer:
        """GET."""
        return self.ask("GET", path, **more)

    def post(self, path: str, value: Any, **more: Any) -> Answer:
        """POST of JSON."""
        headers = {"Content-Type": "application/json", **more.pop("headers", {})}
        return self.ask("POST", path, json.dumps(value).encode(), headers, **more)


@contextlib.contextmanager
def served(
    store: Path, limits: Limits | None = None, *, origins: Origins | None = None, **more: Any
) -> Iterator[Client]:
    """A server over the store, which is only read."""
    limits = limits or Limits()
    tokens, crowd = Tokens(), Crowd(limits)
    words, _ = tokens.add(SCOPES)
    opened = more.pop("engine", None) or (lambda: FolderEngine(store, threads=1))
    streams = Streams(store, limits.streams, limits.stream_events, heartbeat_s=0.1)
    with contextlib.closing(Asking(opened, limits)) as asking, contextlib.closing(streams):
        parts = Parts(
            asking=asking, streams=streams, tokens=tokens, limits=limits, crowd=crowd,
            origins=origins or Origins(), **more,
        )  # fmt: skip
        with HttpServer(make_app(parts), limits, crowd) as server:
            yield Client(*server.address, words, parts)
            streams.end()
