"""A `whence serve` of its own process, and clients that remember what it acknowledged."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["HttpWriter", "OtlpWriter", "ServeProcess", "Writer", "otlp_request"]

API = "/api/v1"
NOW_NS = 1_800_000_000_000_000_000


class ServeProcess:
    """One server over a store; `started_s` is how long it took until it answered."""

    def __init__(self, store: Path, base: Path, token: str = "", *more: str) -> None:
        self.token = token
        begun_s = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "whence", "serve", str(store), "--port", "0", *more],
            env={**os.environ, "WHENCE_DIR": str(base)},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            self.address = self._word(r" at http://(\S+)/api/v1")
            self.token = token or self._word(r"shown this once: (\S+)")
            assert self.ask("GET", "/healthz")[0] in (
                200,
                503,
            )  # 503: something is wrong with the disk
        except BaseException:
            self.kill()
            raise
        self.started_s = time.monotonic() - begun_s

    def ask(
        self, method: str, path: str, body: Any = None, prefix: str = API
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, value and headers (of small names) of one answer."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        with contextlib.closing(connection):
            return asked(connection, self.token, method, prefix + path, body)

    def kill(self) -> None:
        """Ends it at once, as the kernel does."""
        self.process.kill()
        self.process.communicate()

    def _word(self, pattern: str) -> str:
        assert self.process.stderr is not None
        said = ""
        while line := self.process.stderr.readline():
            said += line
            if found := re.search(pattern, line):
                return found[1]
        raise AssertionError(said)


class Writer:
    """Writes to one server after another until each is killed. `trouble`: what went wrong else."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent: list[str] = []  # each at least once
        self.acknowledged: list[str] = []
        self.trouble: BaseException | None = None

    def until_killed(self, server: ServeProcess) -> threading.Thread:
        """A thread that writes until the server is gone."""
        thread = threading.Thread(target=self._run, args=(server,), daemon=True)
        thread.start()
        return thread

    def _run(self, server: ServeProcess) -> None:
        connection = http.client.HTTPConnection(server.address, timeout=60)
        with contextlib.closing(connection):
            try:
                for _ in self.writes(connection, server.token):
                    pass
            except (OSError, http.client.HTTPException):
                return  # killed
            except BaseException as error:
                self.trouble = error

    def writes(self, connection: http.client.HTTPConnection, token: str) -> Iterator[None]:
        """Endless; raises when the server is gone."""
        raise NotImplementedError


class HttpWriter(Writer):
    """Traces of five events each over the server's own routes; nothing is ever sent twice."""

    def writes(self, connection: http.client.HTTPConnection, token: str) -> Iterator[None]:
        while True:
            name = f"{self.name}-{len(self.sent)}"
            status, trace, _ = asked(connection, token, "POST", f"{API}/traces", {"name": name})
            assert status == 201, trace
            path = f"{API}/traces/{trace['trace_id']}/events"
            for _ in range(5):
                event = f"{self.name}-{len(self.sent)}"
                self.sent.append(event)
                body = {"event_type": "step", "message": event}
                status, value, _ = asked(connection, token, "POST", path, body)
                assert status == 201, value
                self.acknowledged.append(event)
                yield


class OtlpWriter(Writer):
    """Spans over OTLP; as exporters do, it sends again what was not acknowledged."""

    def writes(self, connection: http.client.HTTPConnection, token: str) -> Iterator[None]:
        while True:
            if len(self.sent) == len(self.acknowledged):
                self.sent.append(f"{self.name}-{len(self.sent)}")
            name = self.sent[-1]
            status, value, _ = asked(connection, token, "POST", "/v1/traces", otlp_request(name))
            assert status == 200, value
            assert not value.get("partialSuccess"), value
            self.acknowledged.append(name)
            yield


def asked(
    connection: http.client.HTTPConnection, token: str, method: str, path: str, body: Any = None
) -> tuple[int, Any, dict[str, str]]:
    """One request; what is no JSON comes as text."""
    headers = {"Authorization": f"Bearer {token}"}
    content = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        content = json.dumps(body).encode()
    connection.request(method, path, content, headers)
    response = connection.getresponse()
    answer = response.read()
    found = {name.lower(): value for name, value in response.getheaders()}
    if "json" in found.get("content-type", ""):
        return response.status, json.loads(answer), found
    return response.status, answer.decode(), found


def otlp_request(name: str) -> dict[str, Any]:
    """A request of one span."""
    number = int(name.rpartition("-")[2]) + 1
    span = {
        "traceId": f"{sum(name.rpartition('-')[0].encode()):016x}{number:016x}",
        "spanId": f"{number:016x}",
        "name": "step",
        "kind": 1,
        "startTimeUnixNano": str(NOW_NS + number),
        "endTimeUnixNano": str(NOW_NS + number + 1),
        "attributes": [{"key": "which", "value": {"stringValue": name}}],
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
