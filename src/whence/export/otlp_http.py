"""The OTLP sink over HTTP, in protobuf or JSON: one connection for each signal."""

from __future__ import annotations

import gzip
import json
import ssl
from collections.abc import Iterable, Mapping
from typing import Any, Never

from whence.collect.http_post import Answer, HttpPost, retry_after_s
from whence.collect.sink import Drained, Payload, Refused, Reply, Sink, TooLarge, Unavailable
from whence.export.otlp import otlp_requests
from whence.export.otlp_reply import judged_json, judged_protobuf, one_line, response_class
from whence.export.otlp_settings import GRPC, JSON, OtlpSettings, Target, read_settings
from whence.model.version import __version__

__all__ = ["OtlpHttpSink", "open_otlp_http_sink"]

RETRYABLE = frozenset({429, 502, 503, 504})
_TYPES = {JSON: "application/json"}


def open_otlp_http_sink(url: str, options: Mapping[str, Any]) -> Sink:
    """The sink of otlp+http://host:4318[/base] or, over TLS, otlp+https://.

    Of the URL's query: `protocol` (http/protobuf, http/json), `signals` (both, logs, traces),
    `compression` (gzip, none), `attributes`, `timeout` in seconds, `ca`, `cert` and `key`. Raises
    ValueError for what is wrong there, OSError for a certificate that cannot be read, and
    ImportError where protobuf is asked for and not installed.
    """
    return OtlpHttpSink(read_settings(url, options))


class OtlpHttpSink(Sink):
    """Sends log records to .../v1/logs and spans to .../v1/traces."""

    def __init__(self, settings: OtlpSettings) -> None:
        assert settings.protocol != GRPC
        self.name = settings.name
        self._settings = settings
        self._as_json = settings.protocol == JSON
        if not self._as_json:
            response_class("logs")  # says here and now if protobuf is missing
        self._posts = {signal: _post(target) for signal, target in settings.targets.items()}

    def encode(self, drained: Drained) -> Iterable[Payload]:
        """A payload of log records and one of spans, as far as there are any."""
        return [
            Payload(body, events, signal)
            for signal, body, events in otlp_requests(
                drained.batch,
                drained.sessions,
                as_json=self._as_json,
                signals=self._settings.signals,
                most_attributes=self._settings.most_attributes,
            )
        ]

    def deliver(self, payload: Payload, timeout_s: float) -> Reply:
        """One POST. What part of it was refused is told in the reply and never sent again."""
        target = self._settings.targets[payload.signal]
        body = gzip.compress(payload.body, 1, mtime=0) if target.gzip else payload.body
        headers = {"Content-Type": _TYPES.get(self._settings.protocol, "application/x-protobuf")}
        if target.gzip:
            headers["Content-Encoding"] = "gzip"
        timeout_s = min(timeout_s, target.timeout_s)
        answer = self._posts[payload.signal].post(body, headers, timeout_s)
        return _judged(payload, answer)

    def close(self) -> None:
        """Closes the connections."""
        for post in self._posts.values():
            post.close()


def _post(target: Target) -> HttpPost:
    agent = f"whence/{__version__}"
    return HttpPost(
        target.parts,
        secure=target.secure,
        path=target.path,
        headers={"User-Agent": agent, **target.headers},
        context=_context(target) if target.secure else None,
    )


def _context(target: Target) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=target.ca or None)
    if target.certificate:
        context.load_cert_chain(target.certificate, target.key or None)
    return context


def _judged(payload: Payload, answer: Answer) -> Reply:
    """What OTLP's specification makes of a status."""
    if 200 <= answer.status < 300:
        return _taken(payload, answer)
    told = f"{answer.status} {_told(answer)}".strip()
    if answer.status in RETRYABLE:
        raise Unavailable(told, retry_after_s(answer))
    if answer.status == 413:
        raise TooLarge(told)
    if 300 <= answer.status < 400:
        raise Refused(f"{answer.status}: redirections are not followed; name the right URL")
    raise Refused(told)


def _taken(payload: Payload, answer: Answer) -> Reply:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not answer.body:
        return Reply(payload.events)
    if kind == "application/json":
        return judged_json(payload, answer.body)
    if kind == "text/html":  # a portal or a web page: nobody took the events
        _refuse(kind)
    if kind == "application/x-protobuf":
        return judged_protobuf(payload, answer.body)
    return Reply(payload.events, 0, one_line(f"answered {answer.status} with {kind or 'no type'}"))


def _refuse(kind: str) -> Never:
    raise Refused(f"answered with {kind}: is this an OTLP endpoint?")


def _told(answer: Answer) -> str:
    """The message of a google.rpc.Status, or whatever the body says."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        try:
            said = json.loads(answer.body)
            if isinstance(said, dict) and isinstance(said.get("message"), str):
                return one_line(said["message"])
        except (ValueError, RecursionError):
            pass
    if kind == "application/x-protobuf":
        try:
            from google.rpc.status_pb2 import Status

            return one_line(Status.FromString(answer.body).message)
        except Exception:  # not installed, or no Status
            return ""
    return one_line(answer.text)
