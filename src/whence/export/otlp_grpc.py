"""The OTLP sink over gRPC: one channel, bodies that were encoded natively, no generated stubs."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Never

from whence.collect.sink import Drained, Payload, Refused, Reply, Sink, TooLarge, Unavailable
from whence.export.otlp import LOGS, TRACES, otlp_requests
from whence.export.otlp_reply import INSTALL, judged_protobuf, one_line, response_class
from whence.export.otlp_settings import GRPC, OtlpSettings, Target, read_settings
from whence.model.version import __version__

__all__ = ["OtlpGrpcSink", "open_otlp_grpc_sink"]

METHODS = {
    LOGS: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    TRACES: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
}
RETRYABLE = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
)
# Libraries name "too large" in codes of their own choice, most of them RESOURCE_EXHAUSTED.
SIZE_CODES = frozenset({"RESOURCE_EXHAUSTED", "OUT_OF_RANGE", "INVALID_ARGUMENT"})
_SIZE_WORDS = re.compile(r"larger than max|too large|message size|exceeds? .*(?:size|bytes)", re.I)
_HEADER_NAME = re.compile(r"[0-9a-z_.-]+")


def open_otlp_grpc_sink(url: str, options: Mapping[str, Any]) -> Sink:
    """The sink of otlp://host:4317 or, over TLS, otlps://; `otlp:` is what the environment names.

    The URL's query is that of otlp+http, less `protocol`. Raises ValueError for what is wrong
    there, OSError for a certificate that cannot be read, ImportError without the extra `otlp`.
    """
    settings = read_settings(url, options)
    if settings.protocol != GRPC:  # as the environment has it
        from whence.export.otlp_http import OtlpHttpSink

        return OtlpHttpSink(settings)
    return OtlpGrpcSink(settings)


class OtlpGrpcSink(Sink):
    """Calls LogsService and TraceService of one collector."""

    def __init__(self, settings: OtlpSettings) -> None:
        self.name = settings.name
        self._settings = settings
        self._grpc = _library()
        response_class(LOGS)
        self._metadata = {
            signal: _metadata(target.headers) for signal, target in settings.targets.items()
        }
        self._credentials = {
            signal: _credentials(self._grpc, target) for signal, target in settings.targets.items()
        }
        self._channels: dict[str, Any] = {}
        self._calls: dict[str, Callable[..., Any]] = {}

    def encode(self, drained: Drained) -> Iterable[Payload]:
        """A payload of log records and one of spans, as far as there are any."""
        return [
            Payload(body, events, signal)
            for signal, body, events in otlp_requests(
                drained.batch,
                drained.sessions,
                signals=self._settings.signals,
                most_attributes=self._settings.most_attributes,
            )
        ]

    def deliver(self, payload: Payload, timeout_s: float) -> Reply:
        """One call. What part of it was refused is told in the reply and never sent again."""
        target = self._settings.targets[payload.signal]
        compression = self._grpc.Compression
        try:
            body = self._call(payload.signal)(
                payload.body,
                timeout=min(timeout_s, target.timeout_s),
                metadata=self._metadata[payload.signal],
                compression=compression.Gzip if target.gzip else compression.NoCompression,
            )
        except self._grpc.RpcError as error:
            _raise_judged(error)
        return judged_protobuf(payload, body)

    def close(self) -> None:
        """Closes the channels."""
        self._calls = {}
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            channel.close()

    def _call(self, signal: str) -> Callable[..., Any]:
        call = self._calls.get(signal)
        if call is None:
            channel = self._channel(signal)
            call = self._calls[signal] = channel.unary_unary(METHODS[signal])
        return call

    def _channel(self, signal: str) -> Any:
        """The two signals share a channel where they have one address."""
        target = self._settings.targets[signal]
        place = f"{target.address} {target.secure}"
        if place not in self._channels:
            options = [
                ("grpc.max_send_message_length", -1),
                ("grpc.max_receive_message_length", 4 << 20),
                ("grpc.primary_user_agent", f"whence/{__version__}"),
                ("grpc.enable_retries", 0),
                # A receiver that comes back is found as soon as the pipeline tries again.
                ("grpc.initial_reconnect_backoff_ms", 200),
                ("grpc.max_reconnect_backoff_ms", 5_000),
            ]
            credentials = self._credentials[signal]
            self._channels[place] = (
                self._grpc.insecure_channel(target.address, options=options)
                if credentials is None
                else self._grpc.secure_channel(target.address, credentials, options=options)
            )
        return self._channels[place]


def _library() -> Any:
    try:
        importlib.import_module("google.rpc.error_details_pb2")
        return importlib.import_module("grpc")
    except ImportError as error:
        raise ImportError(INSTALL) from error


def _credentials(grpc: Any, target: Target) -> Any:
    if not target.secure:
        return None
    return grpc.ssl_channel_credentials(
        root_certificates=_bytes(target.ca),
        private_key=_bytes(target.key),
        certificate_chain=_bytes(target.certificate),
    )


def _bytes(path: str) -> bytes | None:
    return Path(path).read_bytes() if path else None


def _metadata(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Headers as gRPC takes them: names in lower case, values in ASCII. Errors tell no values."""
    pairs = []
    for name, value in headers.items():
        key = name.lower()
        if not _HEADER_NAME.fullmatch(key) or key.startswith("grpc-") or key.endswith("-bin"):
            raise ValueError(f"{name!r} is no header that gRPC takes")
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"the header {name!r} has a value that gRPC does not take")
        pairs.append((key, value))
    return tuple(pairs)


def _raise_judged(error: Any) -> Never:
    """What OTLP's specification makes of a status; a delay is in either of two trailers."""
    code = error.code().name
    details = error.details() or ""
    told = one_line(f"{code}: {details}")
    delay_s = _delay_s(error.trailing_metadata() or ())
    if code in SIZE_CODES and _SIZE_WORDS.search(details):
        raise TooLarge(told)
    if code in RETRYABLE or (code == "RESOURCE_EXHAUSTED" and delay_s is not None):
        raise Unavailable(told, delay_s)
    raise Refused(told)


def _delay_s(trailers: Iterable[tuple[str, bytes | str]]) -> float | None:
    """The delay of a RetryInfo; None where there is none that can be read."""
    from google.protobuf.message import DecodeError
    from google.rpc.error_details_pb2 import RetryInfo
    from google.rpc.status_pb2 import Status

    found = RetryInfo()
    try:
        for key, value in trailers:
            if not isinstance(value, bytes):
                continue
            if key == "google.rpc.retryinfo-bin":
                found.ParseFromString(value)
            elif key == "grpc-status-details-bin":
                for detail in Status.FromString(value).details:
                    if detail.Is(RetryInfo.DESCRIPTOR):
                        detail.Unpack(found)
    except DecodeError:
        return None
    if not found.HasField("retry_delay"):
        return None
    seconds: float = found.retry_delay.seconds + found.retry_delay.nanos / 1e9
    return max(0.0, seconds)
