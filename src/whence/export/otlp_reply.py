"""What an OTLP receiver answered: everything taken, a part refused, or a reason why not."""

from __future__ import annotations

import importlib
import json
from typing import Any

from whence.collect.sink import Payload, Refused, Reply
from whence.export.otlp import LOGS

__all__ = ["INSTALL", "judged_json", "judged_protobuf", "one_line", "response_class"]

INSTALL = "OTLP needs: pip install 'whence[otlp]'"
_LONGEST_TOLD = 300


def response_class(signal: str) -> Any:
    """The official message that answers a request. ImportError without opentelemetry-proto."""
    package, name = ("logs", "Logs") if signal == LOGS else ("trace", "Trace")
    path = f"opentelemetry.proto.collector.{package}.v1.{package}_service_pb2"
    try:
        return getattr(importlib.import_module(path), f"Export{name}ServiceResponse")
    except ImportError as error:
        raise ImportError(INSTALL) from error


def judged_protobuf(payload: Payload, body: bytes) -> Reply:
    """The reply in the bytes of an Export...ServiceResponse; Refused where they are none."""
    from google.protobuf.message import DecodeError

    try:
        partial = response_class(payload.signal).FromString(body).partial_success
    except DecodeError:
        raise Refused("the answer is not OTLP's: is this an OTLP endpoint?") from None
    if payload.signal == LOGS:
        return _partial(payload, partial.rejected_log_records, partial.error_message)
    return _partial(payload, partial.rejected_spans, partial.error_message)


def judged_json(payload: Payload, body: bytes) -> Reply:
    """The same of its JSON; 64-bit numbers may be strings."""
    try:
        partial = json.loads(body or b"{}").get("partialSuccess") or {}
        name = "rejectedLogRecords" if payload.signal == LOGS else "rejectedSpans"
        return _partial(payload, int(partial.get(name, 0)), str(partial.get("errorMessage", "")))
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise Refused("the answer is not OTLP's: is this an OTLP endpoint?") from None


def one_line(text: str) -> str:
    """Their words, short, printable and in one line."""
    words = "".join(c if c.isprintable() else " " for c in text[: 4 * _LONGEST_TOLD]).split()
    return " ".join(words)[:_LONGEST_TOLD]


def _partial(payload: Payload, rejected: int, message: str) -> Reply:
    refused = min(max(rejected, 0), payload.events)  # a receiver may claim anything
    return Reply(payload.events - refused, refused, one_line(message))
