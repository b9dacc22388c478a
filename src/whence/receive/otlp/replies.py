"""What a sender is answered: the small messages of OTLP and gRPC, in protobuf and in JSON."""

from __future__ import annotations

import json
from typing import NamedTuple

__all__ = [
    "JSON",
    "PROTOBUF",
    "HttpReply",
    "retry_info",
    "status",
    "status_with_retry",
    "success",
]

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
_REJECTED = {
    "traces": "rejectedSpans",
    "logs": "rejectedLogRecords",
    "metrics": "rejectedDataPoints",
}
_RETRY_INFO = b"type.googleapis.com/google.rpc.RetryInfo"


class HttpReply(NamedTuple):
    """An answer over HTTP."""

    status: int
    body: bytes
    content_type: str = PROTOBUF
    retry_after_s: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What goes with it."""
        found = {"content-type": self.content_type}
        return (
            found
            if self.retry_after_s is None
            else found | {"retry-after": str(self.retry_after_s)}
        )


def success(signal: str, rejected: int, reason: str, *, as_json: bool = False) -> bytes:
    """The response to an export: empty, unless some of it was rejected."""
    if as_json:
        told = {_REJECTED[signal]: str(rejected), "errorMessage": reason}
        return json.dumps({"partialSuccess": told} if rejected else {}).encode()
    if not rejected:
        return b""
    part = b"\x08" + _varint(rejected) + _field(2, reason.encode())
    return _field(1, part)


def status(code: int, message: str, details: bytes = b"", *, as_json: bool = False) -> bytes:
    """A google.rpc.Status."""
    if as_json:
        return json.dumps({"code": code, "message": message}).encode()
    return b"\x08" + _varint(code) + _field(2, message.encode()) + details


def retry_info(delay_s: float) -> bytes:
    """A google.rpc.RetryInfo."""
    nanos = round(delay_s * 1e9)
    duration = b"\x08" + _varint(nanos // 10**9) + b"\x10" + _varint(nanos % 10**9)
    return _field(1, duration)


def status_with_retry(code: int, message: str, delay_s: float) -> bytes:
    """A google.rpc.Status that holds a RetryInfo."""
    inside = _field(1, _RETRY_INFO) + _field(2, retry_info(delay_s))
    return status(code, message, _field(3, inside))


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
