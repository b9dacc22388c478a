"""The Loki sink: one log line an event, few labels, ids as structured metadata."""

from __future__ import annotations

import gzip
import importlib
import json
import re
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from whence.collect.http_post import Answer, HttpPost, basic_credentials, retry_after_s
from whence.collect.sink import Drained, Payload, Refused, Reply, Sink, TooLarge, Unavailable
from whence.export.loki_message import Entry, push_request, quoted_labels
from whence.export.sink_name import sink_name
from whence.model.severity import Severity

if TYPE_CHECKING:
    from whence._native import EventRow

__all__ = ["LokiSink", "open_loki_sink"]

# Loki's own defaults: what is beyond them would be refused there.
MOST_LINE_BYTES = 256 << 10
MOST_LABELS = 15
MOST_LABEL_NAME_BYTES = 1024
MOST_LABEL_VALUE_BYTES = 2048
MOST_METADATA_VALUE_BYTES = 4096  # a dozen of them stay below 64 KiB
MOST_STREAMS = 900  # of service, component and event type: with five levels 4,500 of Loki's 5,000
MOST_FOLDING = 64  # services that have an own stream for what is beyond
_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_OUR_LABELS = ("service_name", "component", "event_type", "level", "host")
_OTHER = "(other)"
_LEVELS = tuple(severity.level_name() for severity in Severity)
_PATH = "/loki/api/v1/push"
_TENANT = "x-scope-orgid"
_FORMATS = ("protobuf", "json")

_Stream = tuple[str, str, str]  # service, component, event type


def open_loki_sink(url: str, options: Mapping[str, Any]) -> LokiSink:
    """The sink of loki://host:3100 or, over TLS, lokis://host; a path goes before Loki's own.

    Options, of the URL's query or given: `tenant`, `format` ("protobuf" or "json"), `host` and
    `label.NAME`, constant labels beside ours. `headers` are sent as they are. A user and password
    in the URL become basic authentication. Raises ValueError for what Loki would refuse, and
    ImportError where format=protobuf lacks its libraries.
    """
    parts = urlsplit(url)
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    wanted = {**{key: value for key, value in options.items() if value is not None}, **asked}
    extra = {key[6:]: str(value) for key, value in wanted.items() if key.startswith("label.")}
    unknown = [key for key in asked if key not in _KNOWN and not key.startswith("label.")]
    if unknown:
        raise ValueError(f"{unknown[0]}: no option of a Loki sink; there are {', '.join(_KNOWN)}")
    tenant = str(wanted.get("tenant", ""))
    headers = basic_credentials(parts) | dict(wanted.get("headers", {}))
    if tenant:  # however a header of that name was written
        headers = {name: value for name, value in headers.items() if name.lower() != _TENANT}
        headers["X-Scope-OrgID"] = tenant
    secure = parts.scheme.lower() == "lokis"
    path = parts.path.rstrip("/") + _PATH
    place = parts.netloc.rpartition("@")[2]
    shown = f"{parts.scheme.lower()}://{place}{parts.path.rstrip('/')}"
    return LokiSink(
        sink_name(shown, asked, headers, parts.username),
        HttpPost(parts, secure=secure, path=path, headers=headers, context=wanted.get("tls")),
        format=str(wanted.get("format", "protobuf")),
        labels={"host": str(wanted.get("host", socket.gethostname())), **extra},
    )


_KNOWN = ("tenant", "format", "host", "label.NAME")


class _LokiPayload(Payload):
    """A payload that knows what was cut or folded on the way into it."""

    folded: int = 0
    cut: int = 0


class LokiSink(Sink):
    """Delivers to one Loki. Streams are told apart by five labels and what was given beside.

    A line is the event as our JSON export has it. Ids are structured metadata: every value of
    theirs would be a stream of its own. `folded` counts delivered events whose event type and
    component went into one stream "(other)" because there were too many; their line and metadata
    keep both. `cut` counts delivered events of which a line, label or id was cut to Loki's limits.
    """

    most_events = 5_000
    most_bytes = 3 << 20  # Loki takes 4 MB/s from a tenant, 3 MB/s into a stream

    def __init__(
        self,
        name: str,
        post: HttpPost,
        *,
        format: str = "protobuf",
        labels: Mapping[str, str] = {},
        most_streams: int = MOST_STREAMS,
    ) -> None:
        if format not in _FORMATS:
            raise ValueError(f"format={format}: Loki takes {' and '.join(_FORMATS)}")
        self.name = name
        self.folded = 0
        self.cut = 0
        self._post = post
        self._constant = _checked(labels)
        self._streams: set[_Stream] = set()
        self._folding: set[str] = set()
        self._most_streams = most_streams
        self._encode, self._headers = _protobuf() if format == "protobuf" else _json()

    def encode(self, drained: Drained) -> Iterable[Payload]:
        """One payload; the same bytes for the same events. About 15 us an event."""
        streams: dict[tuple[str, str, str, int], list[Entry]] = {}
        folded = cut = events = 0
        services = {name: _utf8(info.service) for name, info in drained.sessions.items()}
        pairs = zip(drained.batch.rows(), _json_lines(drained), strict=True)
        for row, line in pairs:
            session = drained.sessions.get(row[17])
            wall_ns = session.wall_ns(row[3]) if session else None
            if session is None or wall_ns is None or not 0 < wall_ns < 2**63:
                continue  # it cannot be placed in time
            key = (services[row[17]] or "unknown", row[2] or "unnamed", row[1] or "unnamed")
            stream = self._stream(key)
            kept, shortened = _within_limits(row, line)
            metadata, fewer = _metadata(row, session.pid)
            if stream != key:
                folded += 1
                metadata |= _named("component", key[1])[0] | _named("event_type", key[2])[0]
            long = any(len(part.encode()) > MOST_LABEL_VALUE_BYTES for part in stream)
            cut += shortened or fewer or long
            events += 1
            streams.setdefault((*stream, row[8]), []).append((wall_ns, kept, metadata))
        if not events:
            return
        body = self._encode([(self._labels(*key), entries) for key, entries in streams.items()])
        payload = _LokiPayload(body, events)
        payload.folded, payload.cut = folded, cut
        yield payload

    def deliver(self, payload: Payload, timeout_s: float) -> Reply:
        """One attempt. Timestamps are never changed: what Loki has already it ignores."""
        answer = self._post.post(payload.body, self._headers, timeout_s)
        reply = _judged(answer, payload.events)
        if reply.delivered and isinstance(payload, _LokiPayload):
            self.folded += payload.folded
            self.cut += payload.cut
        return reply

    def close(self) -> None:
        """Closes the connection."""
        self._post.close()

    def _stream(self, key: _Stream) -> _Stream:
        """The stream of these names: once seen always the same, or one of those for too many."""
        if key in self._streams:
            return key
        if len(self._streams) < self._most_streams:
            self._streams.add(key)
            return key
        if key[0] in self._folding or len(self._folding) < MOST_FOLDING:
            self._folding.add(key[0])
            return key[0], _OTHER, _OTHER
        return _OTHER, _OTHER, _OTHER

    def _labels(self, service: str, component: str, event_type: str, rank: int) -> dict[str, str]:
        named = {
            "service_name": service,
            "component": component,
            "event_type": event_type,
            "level": _LEVELS[min(rank, len(_LEVELS) - 1)],
        }
        cut = {name: _cut(value, MOST_LABEL_VALUE_BYTES) for name, value in named.items()}
        return {**self._constant, **cut}


class _Format(NamedTuple):
    encode: Callable[[Sequence[tuple[dict[str, str], list[Entry]]]], bytes]
    headers: Mapping[str, str]


def _protobuf() -> _Format:
    try:
        compress = importlib.import_module("cramjam").snappy.compress_raw
    except ImportError as error:
        raise ImportError("format=protobuf needs: pip install 'whence[loki]'") from error
    push_request(())  # says here and now if protobuf is missing

    def encode(streams: Sequence[tuple[dict[str, str], list[Entry]]]) -> bytes:
        message = push_request((quoted_labels(labels), entries) for labels, entries in streams)
        return bytes(compress(message))

    return _Format(encode, {"Content-Type": "application/x-protobuf"})


def _json() -> _Format:
    def encode(streams: Sequence[tuple[dict[str, str], list[Entry]]]) -> bytes:
        shaped = [
            {"stream": labels, "values": [[str(ns), line, meta] for ns, line, meta in entries]}
            for labels, entries in streams
        ]
        text = json.dumps({"streams": shaped}, separators=(",", ":"))
        return gzip.compress(text.encode("ascii"), 1, mtime=0)

    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    return _Format(encode, headers)


def _json_lines(drained: Drained) -> list[str]:
    """The events as our export has them, in the order of rows()."""
    clocks = {
        name: [(anchor.monotonic_ns, anchor.wall_ns) for anchor in session.anchors]
        for name, session in drained.sessions.items()
    }
    text = b"".join(drained.batch.json(lines=True, clocks=clocks))
    return text.decode("utf-8", "replace").split("\n")[:-1]


def _within_limits(row: EventRow, line: str) -> tuple[str, bool]:
    """The line, or one that says less where it is longer than Loki takes."""
    if len(line) * 4 <= MOST_LINE_BYTES or len(line.encode()) <= MOST_LINE_BYTES:
        return line, False
    short = {
        "event_id": row[0],
        "event_type": _cut(row[1], 4096),
        "component": _cut(row[2], 4096),
        "request_id": _cut(row[6], 4096),
        "rationale": _cut(row[7], 16384),
        "left_out": f"attributes and options of a line of {len(line.encode())} bytes",
    }
    return json.dumps(short, separators=(",", ":")), True


def _metadata(row: EventRow, pid: int) -> tuple[dict[str, str], bool]:
    """What tells this event from others; and whether some of it had to be cut."""
    values = {
        "event_id": row[0],
        "request_id": row[6],
        "decision_chain_id": row[10] if row[10] != row[6] else "",
        "model_id": row[5],
        "trace_id": row[21],
        "span_id": f"{row[22]:016x}" if row[22] else "",
        "parent_span_id": f"{row[23]:016x}" if row[23] else "",
        "lineage_id": str(row[13]) if row[13] else "",
        "caused_by": row[12],
        "session": row[17],
        "pid": str(pid),
    }
    metadata: dict[str, str] = {}
    shortened = False
    for name, value in values.items():
        kept, cut = _named(name, value)
        metadata |= kept
        shortened = shortened or cut
    return metadata, shortened


def _named(name: str, value: str) -> tuple[dict[str, str], bool]:
    kept = _cut(value, MOST_METADATA_VALUE_BYTES)
    return ({name: kept} if kept else {}), len(kept) != len(value)


def _utf8(text: str) -> str:
    """The text with halves of surrogate pairs replaced: a service's name may hold any."""
    return text.encode("utf-8", "replace").decode()


def _cut(text: str, most_bytes: int) -> str:
    """At most that many bytes of UTF-8, ended between two characters."""
    if len(text) * 4 <= most_bytes:
        return text
    return text.encode("utf-8", "replace")[:most_bytes].decode("utf-8", "ignore")


def _checked(labels: Mapping[str, str]) -> dict[str, str]:
    """Constant labels that Loki will take, empty ones left out; else ValueError."""
    kept = {name: _utf8(value) for name, value in labels.items() if value}
    for name, value in kept.items():
        if not _LABEL_NAME.fullmatch(name) or len(name) > MOST_LABEL_NAME_BYTES:
            raise ValueError(f"{name!r} is no label name: letters, digits and _, not __ in front")
        if len(value.encode()) > MOST_LABEL_VALUE_BYTES:
            raise ValueError(f"label {name}: more than {MOST_LABEL_VALUE_BYTES} bytes")
        if name in _OUR_LABELS and name != "host":
            raise ValueError(f"label {name} is set by each event")
    if len({*kept, *_OUR_LABELS}) > MOST_LABELS:
        raise ValueError(f"more than {MOST_LABELS} labels")
    return kept


def _judged(answer: Answer, events: int) -> Reply:
    """What an answer means. 2xx from 260 on says that ingestion is blocked."""
    status, said = answer.status, answer.text
    if 200 <= status < 260:
        return Reply(events)
    if status == 413:
        raise TooLarge(said or "413: the request is too large")
    if status in (408, 429) or status >= 500:
        raise Unavailable(f"{status} {said}".strip(), retry_after_s(answer))
    if status == 400:  # the other lines may have been stored: sending again would not tell
        message = f"400: some of {events} lines were refused, others may be stored: {said}"
        return Reply(0, events, message)
    raise Refused(f"{status} {said}".strip())
