"""A strict stand-in for Loki's push endpoint: its limits, answers and rules of order."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.mocks.loki_wire import PushedLine, Stream, WireError, decode_push, parse_labels, unsnap

__all__ = ["Limits", "LokiDouble", "Scripted", "Stored"]

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SECOND = 1_000_000_000


@dataclass(frozen=True)
class Limits:
    """Loki's defaults."""

    labels: int = 15
    name_bytes: int = 1024
    value_bytes: int = 2048
    line_bytes: int = 256 << 10
    metadata_bytes: int = 64 << 10
    metadata_entries: int = 128
    streams: int = 5000
    body_bytes: int = 100 << 20
    too_old_s: int = 7 * 24 * 3600
    too_new_s: int = 600
    behind_s: int = 3600


class Scripted(NamedTuple):
    """An answer given instead of looking at the request."""

    status: int
    headers: Mapping[str, str] = MappingProxyType({})
    body: str = ""


class Stored(NamedTuple):
    """A line as Loki keeps it."""

    labels: dict[str, str]
    wall_ns: int
    line: str
    metadata: dict[str, str]


@dataclass
class LokiDouble:
    """Use it as a context manager; `now_ns` is its clock, `answers` what it says out of turn.

    `stored` holds lines by tenant, each once; `refused` the reason for each line not stored.
    """

    now_ns: int
    limits: Limits = field(default_factory=Limits)
    multi_tenant: bool = False
    answers: deque[Scripted] = field(default_factory=deque)
    stored: dict[str, list[Stored]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def __enter__(self) -> LokiDouble:
        self._newest: dict[tuple[str, str], int] = {}
        self._seen: set[tuple[str, str, int, str]] = set()
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                """Answers a push."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                double.requests.append((headers, body))
                status, more, text = double._answer(self.path, headers, body)
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *arguments: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def place(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def lines(self, tenant: str = "fake") -> list[Stored]:
        """What is stored, in order of time."""
        return sorted(self.stored.get(tenant, ()), key=lambda stored: stored.wall_ns)

    def _answer(
        self, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], str]:
        if self.answers:
            scripted = self.answers.popleft()
            return scripted.status, dict(scripted.headers), scripted.body
        if path != "/loki/api/v1/push":
            return 404, {}, "404 page not found"
        tenant = headers.get("x-scope-orgid", "")
        if self.multi_tenant and not tenant:
            return 401, {}, "no org id"
        if len(body) > self.limits.body_bytes:
            return 413, {}, "request body too large"
        try:
            streams = self._decoded(headers, body)
        except (WireError, ValueError, KeyError, TypeError) as error:
            return 400, {}, f"cannot parse the request: {error}"
        reasons = [
            reason for stream in streams for reason in self._store(tenant or "fake", *stream)
        ]
        self.refused += reasons
        return (400, {}, reasons[0]) if reasons else (204, {}, "")

    def _decoded(
        self, headers: dict[str, str], body: bytes
    ) -> list[tuple[dict[str, str], list[PushedLine]]]:
        encoding = headers.get("content-encoding", "")
        if headers.get("content-type", "").split(";")[0] == "application/json":
            if encoding not in ("", "gzip"):
                raise WireError(f"Content-Encoding {encoding!r}")
            return _json_streams(gzip.decompress(body) if encoding == "gzip" else body)
        if encoding not in ("", "snappy"):
            raise WireError(f"Content-Encoding {encoding!r}")
        pushed: list[Stream] = decode_push(unsnap(body))
        return [(parse_labels(stream.labels), stream.entries) for stream in pushed]

    def _store(self, tenant: str, labels: dict[str, str], entries: list[PushedLine]) -> list[str]:
        if reason := self._wrong_labels(labels):
            return [reason] * len(entries)
        key = (tenant, json.dumps(labels, sort_keys=True))
        if key not in self._newest and len(self._newest) >= self.limits.streams:
            return ["stream_limit"] * len(entries)
        reasons = []
        for entry in entries:
            reason = self._wrong_entry(entry, self._newest.get(key, 0))
            if reason:
                reasons.append(reason)
                continue
            self._newest[key] = max(self._newest.get(key, 0), entry.wall_ns)
            same = (*key, entry.wall_ns, entry.line)
            if same not in self._seen:
                self._seen.add(same)
                kept = Stored(labels, entry.wall_ns, entry.line, dict(entry.metadata))
                self.stored.setdefault(tenant, []).append(kept)
        return reasons

    def _wrong_labels(self, labels: dict[str, str]) -> str:
        limits = self.limits
        if not labels:
            return "missing_labels"
        if len(labels) > limits.labels:
            return "max_label_names_per_series"
        for name, value in labels.items():
            if not _NAME.fullmatch(name) or name.startswith("__"):
                return f"invalid_labels: {name!r}"
            if len(name.encode()) > limits.name_bytes:
                return "label_name_too_long"
            if len(value.encode()) > limits.value_bytes:
                return "label_value_too_long"
        return ""

    def _wrong_entry(self, entry: PushedLine, newest_ns: int) -> str:
        limits = self.limits
        if len(entry.line.encode()) > limits.line_bytes:
            return "line_too_long"
        if entry.wall_ns < self.now_ns - limits.too_old_s * _SECOND:
            return "greater_than_max_sample_age"
        if entry.wall_ns > self.now_ns + limits.too_new_s * _SECOND:
            return "too_far_in_future"
        if entry.wall_ns < newest_ns - limits.behind_s * _SECOND:
            return "too_far_behind"
        if len(entry.metadata) > limits.metadata_entries:
            return "structured_metadata_too_many"
        if sum(len((n + v).encode()) for n, v in entry.metadata) > limits.metadata_bytes:
            return "structured_metadata_too_large"
        names = [name for name, _ in entry.metadata]
        if len(set(names)) != len(names) or not all(map(_NAME.fullmatch, names)):
            return "invalid structured metadata"
        return ""


def _json_streams(body: bytes) -> list[tuple[dict[str, str], list[PushedLine]]]:
    """Only what Loki's JSON knows, with the types it wants: strings everywhere."""
    request = json.loads(body.decode("utf-8"))
    if set(request) != {"streams"}:
        raise WireError(f"keys {sorted(request)}")
    streams = []
    for stream in request["streams"]:
        if set(stream) != {"stream", "values"} or not _flat(stream["stream"]):
            raise WireError("a stream is {stream: labels, values: [...]}")
        entries = []
        for time, line, *metadata in stream["values"]:
            if not isinstance(time, str) or not isinstance(line, str) or len(metadata) > 1:
                raise WireError("a value is [nanoseconds as text, line, metadata]")
            if metadata and not _flat(metadata[0]):
                raise WireError("structured metadata is flat, text to text")
            _well_formed(line)
            pairs = list(metadata[0].items()) if metadata else []
            entries.append(PushedLine(int(time), line, pairs))
        streams.append((stream["stream"], entries))
    return streams


def _flat(value: Any) -> bool:
    texts = [*value, *value.values()]
    return all(isinstance(text, str) and _well_formed(text) for text in texts)


def _well_formed(text: str) -> bool:
    text.encode("utf-8")  # halves of surrogate pairs would be stored as something else
    return True
