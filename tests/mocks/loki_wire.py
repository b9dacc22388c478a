"""Decodes Loki's push body apart from any library: raw snappy, protobuf, and the label set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["PushedLine", "Stream", "WireError", "decode_push", "parse_labels", "unsnap"]


class WireError(ValueError):
    """The bytes are not what push.proto, snappy or the label syntax say."""


class PushedLine(NamedTuple):
    """One entry: its time in ns, its text, its structured metadata in order."""

    wall_ns: int
    line: str
    metadata: list[tuple[str, str]]


class Stream(NamedTuple):
    """One stream: its label set as text and its entries."""

    labels: str
    entries: list[PushedLine]


def unsnap(data: bytes) -> bytes:
    """Undoes raw (block) snappy; a framed stream is refused."""
    if data.startswith(b"\xff\x06\x00\x00sNaPpY"):
        raise WireError("framed snappy")
    length, at = _varint(data, 0)
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            size = tag >> 2
            if size >= 60:
                extra = size - 59
                size = int.from_bytes(data[at : at + extra], "little")
                at += extra
            size += 1
            if at + size > len(data):
                raise WireError("a literal runs out of the data")
            out += data[at : at + size]
            at += size
            continue
        if tag & 3 == 1:
            size, offset = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[at]
            at += 1
        else:
            width = 2 if tag & 3 == 2 else 4
            size, offset = (tag >> 2) + 1, int.from_bytes(data[at : at + width], "little")
            at += width
        if not 0 < offset <= len(out):
            raise WireError("a copy points before the data")
        for _ in range(size):
            out.append(out[-offset])
    if len(out) != length:
        raise WireError(f"{len(out)} bytes where {length} were announced")
    return bytes(out)


def decode_push(message: bytes) -> list[Stream]:
    """The streams of a PushRequest. Fields that push.proto has not are refused."""
    streams = []
    for number, value in _fields(message, {1: 2, 2: 2}):
        if number == 1:
            streams.append(_stream(_bytes(value)))
    return streams


def _stream(message: bytes) -> Stream:
    labels, entries = "", []
    for number, value in _fields(message, {1: 2, 2: 2, 3: 0}):
        if number == 1:
            labels = _text(value)
        elif number == 2:
            entries.append(_entry(_bytes(value)))
    return Stream(labels, entries)


def _entry(message: bytes) -> PushedLine:
    wall_ns, line, metadata = 0, "", []
    for number, value in _fields(message, {1: 2, 2: 2, 3: 2}):
        if number == 1:
            stamp = dict(_fields(_bytes(value), {1: 0, 2: 0}))
            nanos = int(stamp.get(2, 0))  # type: ignore[arg-type]
            if not 0 <= nanos < 1_000_000_000:
                raise WireError(f"{nanos} nanoseconds in a second")
            wall_ns = int(stamp.get(1, 0)) * 1_000_000_000 + nanos  # type: ignore[arg-type]
        elif number == 2:
            line = _text(value)
        else:
            pair = dict(_fields(_bytes(value), {1: 2, 2: 2}))
            metadata.append((_text(pair.get(1, b"")), _text(pair.get(2, b""))))
    return PushedLine(wall_ns, line, metadata)


def _fields(message: bytes, known: dict[int, int]) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if known.get(number) != wire:
            raise WireError(f"field {number} of wire type {wire}")
        value, at = _varint(message, at)
        if wire == 0:
            yield number, value
            continue
        if at + value > len(message):
            raise WireError(f"field {number} runs out of its message")
        yield number, message[at : at + value]
        at += value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise WireError("a varint without an end")
        value |= (data[at] & 127) << shift
        at += 1
        shift += 7
        if data[at - 1] < 128:
            return value, at


def _bytes(value: int | bytes) -> bytes:
    assert isinstance(value, bytes)
    return value


def _text(value: int | bytes) -> str:
    try:
        return _bytes(value).decode("utf-8")
    except UnicodeDecodeError as error:
        raise WireError("text that is no UTF-8") from error


def parse_labels(text: str) -> dict[str, str]:
    """A label set as Prometheus writes it: {name="value", ...} with Go's escapes."""
    if not (text.startswith("{") and text.endswith("}")):
        raise WireError(f"no braces around {text[:40]!r}")
    labels: dict[str, str] = {}
    at, end = 1, len(text) - 1
    while at < end:
        equals = text.find('="', at)
        if equals < 0:
            raise WireError("a label without a quoted value")
        name = text[at:equals].strip()
        value, at = _quoted(text, equals + 2)
        if name in labels:
            raise WireError(f"label {name} twice")
        labels[name] = value
        if at < end:
            if text[at] != ",":
                raise WireError(f"{text[at]!r} after a label")
            at += 1
    return labels


_GO_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34}


def _quoted(text: str, at: int) -> tuple[str, int]:
    out = []
    while True:
        if at >= len(text) or text[at] == "\n":
            raise WireError("a label's value is not closed on its line")
        letter = text[at]
        if letter == '"':
            return "".join(out), at + 1
        if letter != "\\":
            out.append(letter)
            at += 1
            continue
        kind = text[at + 1]
        if kind in "uUx":
            width = {"u": 4, "U": 8, "x": 2}[kind]
            out.append(chr(int(text[at + 2 : at + 2 + width], 16)))
            at += 2 + width
        elif kind in _GO_ESCAPES:
            out.append(chr(_GO_ESCAPES[kind]))
            at += 2
        else:
            raise WireError(f"escape \\{kind}")
