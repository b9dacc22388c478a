"""OTLP's JSON becomes the same message in protobuf, which one reader then reads."""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["protobuf_of"]

MOST_DEPTH = 100  # of values in each other; what is read keeps fewer
_UINT64 = 1 << 64
_Write = Callable[[bytearray, Any, int], None]
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def protobuf_of(signal: str, body: bytes) -> bytes:
    """The message of an export request that was sent as JSON.

    Keys that are not of the protocol are passed over, integers may be texts, ids are hexadecimal
    digits, enums are numbers. An id that is none becomes one that is refused. Raises ValueError for
    what is no such JSON.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    out = bytearray()
    _message(_REQUESTS[signal])(out, document, 0)
    return bytes(out)


def _message(fields: Mapping[str, tuple[int, int, bool, _Write]]) -> _Write:
    def write(out: bytearray, value: Any, depth: int) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"an object was expected, not {_shown(value)}")
        if depth > MOST_DEPTH:
            raise ValueError("values lie too deep in each other")
        for name, part in value.items():
            field = fields.get(name)
            if field is None or part is None:
                continue
            number, wire, repeated, write_one = field
            if repeated and not isinstance(part, list):
                raise ValueError(f"{name}: a list was expected, not {_shown(part)}")
            for each in part if repeated else (part,):
                _varint(out, number << 3 | wire)
                if wire != _BYTES:
                    write_one(out, each, depth)
                    continue
                inner = bytearray()
                write_one(inner, {} if each is None else each, depth + 1)
                _varint(out, len(inner))
                out += inner

    return write


def _varint(out: bytearray, number: int) -> None:
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _text(out: bytearray, value: Any, depth: int) -> None:
    if not isinstance(value, str):
        raise ValueError(f"a text was expected, not {_shown(value)}")
    out += value.encode(errors="replace")


def _id(out: bytearray, value: Any, depth: int) -> None:
    try:
        out += bytes.fromhex(value)
    except (TypeError, ValueError):
        out += b"\0"  # no id has one byte


def _base64(out: bytearray, value: Any, depth: int) -> None:
    if not isinstance(value, str):
        raise ValueError(f"base64 was expected, not {_shown(value)}")
    text = value.replace("-", "+").replace("_", "/")
    try:
        out += base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(f"no base64: {error}") from None


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"an integer was expected, not {_shown(value)}")
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(f"an integer was expected, not {_shown(value)}")
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"an integer was expected, not {_shown(value)}") from None


def _int64(out: bytearray, value: Any, depth: int) -> None:
    _varint(out, _in_64_bits(_whole(value)))


def _fixed64(out: bytearray, value: Any, depth: int) -> None:
    out += struct.pack("<Q", _in_64_bits(_whole(value)))


def _fixed32(out: bytearray, value: Any, depth: int) -> None:
    out += struct.pack("<I", _whole(value) & 0xFFFF_FFFF)


def _in_64_bits(number: int) -> int:
    if not -(_UINT64 >> 1) <= number < _UINT64:
        raise ValueError("a number has more than 64 bits")
    return number % _UINT64


def _double(out: bytearray, value: Any, depth: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"a number was expected, not {_shown(value)}")
    try:
        number = float(value)  # "NaN" and "Infinity" among them
    except OverflowError:
        number = math.inf
    except ValueError:
        raise ValueError(f"a number was expected, not {_shown(value)}") from None
    out += struct.pack("<d", number)


def _bool(out: bytearray, value: Any, depth: int) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"true or false was expected, not {_shown(value)}")
    out.append(value)


def _shown(value: Any) -> str:
    return f"{type(value).__name__} {str(value)[:40]!r}"


def _one(number: int, wire: int, write: _Write) -> tuple[int, int, bool, _Write]:
    return number, wire, False, write


def _many(number: int, write: _Write) -> tuple[int, int, bool, _Write]:
    return number, _BYTES, True, write


def _in(fields: dict[str, tuple[int, int, bool, _Write]]) -> _Write:
    return _message(fields)


_VALUE_FIELDS: dict[str, tuple[int, int, bool, _Write]] = {
    "stringValue": _one(1, _BYTES, _text),
    "boolValue": _one(2, _VARINT, _bool),
    "intValue": _one(3, _VARINT, _int64),
    "doubleValue": _one(4, _FIXED64, _double),
    "bytesValue": _one(7, _BYTES, _base64),
}
_VALUE = _in(_VALUE_FIELDS)
_PAIR = _in({"key": _one(1, _BYTES, _text), "value": _one(2, _BYTES, _VALUE)})
_VALUE_FIELDS["arrayValue"] = _one(5, _BYTES, _in({"values": _many(1, _VALUE)}))
_VALUE_FIELDS["kvlistValue"] = _one(6, _BYTES, _in({"values": _many(1, _PAIR)}))

_RESOURCE = _in({"attributes": _many(1, _PAIR), "droppedAttributesCount": _one(2, _VARINT, _int64)})
_SCOPE = _in(
    {
        "name": _one(1, _BYTES, _text),
        "version": _one(2, _BYTES, _text),
        "attributes": _many(3, _PAIR),
    }
)
_EVENT = _in(
    {
        "timeUnixNano": _one(1, _FIXED64, _fixed64),
        "name": _one(2, _BYTES, _text),
        "attributes": _many(3, _PAIR),
        "droppedAttributesCount": _one(4, _VARINT, _int64),
    }
)
_LINK = _in(
    {
        "traceId": _one(1, _BYTES, _id),
        "spanId": _one(2, _BYTES, _id),
        "traceState": _one(3, _BYTES, _text),
        "attributes": _many(4, _PAIR),
        "droppedAttributesCount": _one(5, _VARINT, _int64),
        "flags": _one(6, _FIXED32, _fixed32),
    }
)
_STATUS = _in({"message": _one(2, _BYTES, _text), "code": _one(3, _VARINT, _int64)})
_SPAN = _in(
    {
        "traceId": _one(1, _BYTES, _id),
        "spanId": _one(2, _BYTES, _id),
        "traceState": _one(3, _BYTES, _text),
        "parentSpanId": _one(4, _BYTES, _id),
        "name": _one(5, _BYTES, _text),
        "kind": _one(6, _VARINT, _int64),
        "startTimeUnixNano": _one(7, _FIXED64, _fixed64),
        "endTimeUnixNano": _one(8, _FIXED64, _fixed64),
        "attributes": _many(9, _PAIR),
        "droppedAttributesCount": _one(10, _VARINT, _int64),
        "events": _many(11, _EVENT),
        "droppedEventsCount": _one(12, _VARINT, _int64),
        "links": _many(13, _LINK),
        "droppedLinksCount": _one(14, _VARINT, _int64),
        "status": _one(15, _BYTES, _STATUS),
        "flags": _one(16, _FIXED32, _fixed32),
    }
)
_LOG = _in(
    {
        "timeUnixNano": _one(1, _FIXED64, _fixed64),
        "severityNumber": _one(2, _VARINT, _int64),
        "severityText": _one(3, _BYTES, _text),
        "body": _one(5, _BYTES, _VALUE),
        "attributes": _many(6, _PAIR),
        "droppedAttributesCount": _one(7, _VARINT, _int64),
        "flags": _one(8, _FIXED32, _fixed32),
        "traceId": _one(9, _BYTES, _id),
        "spanId": _one(10, _BYTES, _id),
        "observedTimeUnixNano": _one(11, _FIXED64, _fixed64),
        "eventName": _one(12, _BYTES, _text),
    }
)
_NUMBER = _in(
    {
        "startTimeUnixNano": _one(2, _FIXED64, _fixed64),
        "timeUnixNano": _one(3, _FIXED64, _fixed64),
        "asDouble": _one(4, _FIXED64, _double),
        "asInt": _one(6, _FIXED64, _fixed64),
        "attributes": _many(7, _PAIR),
        "flags": _one(8, _VARINT, _int64),
    }
)
_OTHER_POINTS = _in({"dataPoints": _many(1, _in({}))})  # they are only counted
_METRIC = _in(
    {
        "name": _one(1, _BYTES, _text),
        "description": _one(2, _BYTES, _text),
        "unit": _one(3, _BYTES, _text),
        "gauge": _one(5, _BYTES, _in({"dataPoints": _many(1, _NUMBER)})),
        "sum": _one(
            7,
            _BYTES,
            _in(
                {
                    "dataPoints": _many(1, _NUMBER),
                    "aggregationTemporality": _one(2, _VARINT, _int64),
                    "isMonotonic": _one(3, _VARINT, _bool),
                }
            ),
        ),
        "histogram": _one(9, _BYTES, _OTHER_POINTS),
        "exponentialHistogram": _one(10, _BYTES, _OTHER_POINTS),
        "summary": _one(11, _BYTES, _OTHER_POINTS),
    }
)


def _request(resources: str, scopes: str, records: str, record: _Write) -> dict[str, Any]:
    scope = _in({"scope": _one(1, _BYTES, _SCOPE), records: _many(2, record)})
    resource = _in({"resource": _one(1, _BYTES, _RESOURCE), scopes: _many(2, scope)})
    return {resources: _many(1, resource)}


_REQUESTS = {
    "traces": _request("resourceSpans", "scopeSpans", "spans", _SPAN),
    "logs": _request("resourceLogs", "scopeLogs", "logRecords", _LOG),
    "metrics": _request("resourceMetrics", "scopeMetrics", "metrics", _METRIC),
}
