"""Takes the compression off what was sent, and stops as soon as it grows beyond a limit."""

from __future__ import annotations

import zlib
from typing import Any

__all__ = ["TooLarge", "UnknownEncoding", "inflated"]

STEP_BYTES = 1 << 20


class TooLarge(ValueError):
    """What was sent is, or would become, larger than it may be."""


class UnknownEncoding(ValueError):
    """A compression that nobody here takes off."""


def inflated(body: bytes, encoding: str, most_bytes: int) -> bytes:
    """The content of a body of that Content-Encoding: gzip, deflate, or none.

    Never holds more than `most_bytes` and a step: raises TooLarge when there is more to come.
    Raises UnknownEncoding, and ValueError for what is cut short or no such stream. gzip may be of
    several members; deflate is zlib's, or raw as some clients send it.
    """
    name = encoding.strip().lower()
    if name in ("", "identity", "none"):
        content = body
    elif name in ("gzip", "x-gzip"):
        content = _inflated(body, most_bytes, 31, members=True)
    elif name == "deflate":
        is_zlib = len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
        content = _inflated(body, most_bytes, 15 if is_zlib else -15, members=False)
    else:
        raise UnknownEncoding(f"Content-Encoding {encoding[:40]!r} is not known here")
    if len(content) > most_bytes:
        raise TooLarge(f"more than {most_bytes} bytes")
    return content


def _inflated(body: bytes, most_bytes: int, bits: int, *, members: bool) -> bytes:
    found: list[bytes] = []
    size = 0
    rest = body
    while True:
        unpacker: Any = zlib.decompressobj(bits)
        while not unpacker.eof:
            room = min(STEP_BYTES, most_bytes + 1 - size)
            if room <= 0:
                raise TooLarge(f"more than {most_bytes} bytes when inflated")
            try:
                part = unpacker.decompress(rest, room)
            except zlib.error as error:
                raise ValueError(f"cannot be inflated: {error}") from None
            rest = unpacker.unconsumed_tail
            if not part and not rest and not unpacker.eof:
                raise ValueError("cannot be inflated: it is cut short")
            size += len(part)
            found.append(part)
        rest = unpacker.unused_data
        if not rest:
            return b"".join(found)
        if not members:
            raise ValueError("cannot be inflated: there is something behind it")
