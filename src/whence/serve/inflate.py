"""Opens a compressed body piece by piece, and stops before it becomes larger than it may."""

from __future__ import annotations

import zlib

from whence.serve.limits import Limits
from whence.serve.problem import Problem

__all__ = ["Inflating"]

_PIECE = 64 << 10
_FREE = 64 << 10  # so much may come of any few bytes: short texts repeat themselves


class Inflating:
    """The bytes of a gzip body, one member and nothing behind it, within the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open = zlib.decompressobj(wbits=31)
        self._taken = 0
        self._given = 0

    def add(self, piece: bytes) -> bytes:
        """What this much more of the body becomes; Problem for what is too large or no gzip."""
        found = []
        self._taken += len(piece)
        while piece:
            if self._open.eof:
                raise _bad("something lies behind the end of the gzip body")
            try:
                part = self._open.decompress(piece, _PIECE)
            except zlib.error:
                raise _bad("the body is not gzip, as its Content-Encoding says") from None
            piece = self._open.unconsumed_tail or self._open.unused_data
            self._given += len(part)
            self._check()
            found.append(part)
        return b"".join(found)

    def end(self) -> None:
        """Problem for a body that ended too early."""
        if not self._open.eof:
            raise _bad("the gzip body ends too early")

    def _check(self) -> None:
        limits = self._limits
        if self._given > limits.inflated:
            raise Problem(
                413,
                "too_large",
                f"the body becomes more than {limits.inflated} bytes",
                "send it in several requests",
            )
        if self._given > _FREE and self._given > self._taken * limits.inflation:
            raise Problem(
                413,
                "too_large",
                f"the body becomes more than {limits.inflation} times its size",
                "send it uncompressed",
            )


def _bad(detail: str) -> Problem:
    return Problem(400, "bad_encoding", detail, "send one gzip member, or no compression")
