"""Lineage ids as W3C Trace Context has ids: padded with zeros on the left."""

from __future__ import annotations

from whence.lineage.codec import check_parents

__all__ = ["lineage_of_w3c", "w3c_trace_id"]

_DIGITS = frozenset("0123456789abcdef")


def w3c_trace_id(trace_id: int) -> str:
    """The 32 hexadecimal digits of a lineage id: sixteen zeros, then the id.

    Raises ValueError for 0, which W3C does not allow either, and for what has more than 64 bits.
    """
    check_parents((trace_id,))
    return f"{trace_id:032x}"


def lineage_of_w3c(trace_id: str) -> int:
    """The lineage id in 32 hexadecimal digits; 0 where they are those of another trace.

    Raises ValueError for what is no W3C trace id at all.
    """
    if len(trace_id) != 32 or not _DIGITS.issuperset(trace_id):
        raise ValueError(f"a W3C trace id has 32 digits from 0 to f, unlike {trace_id!r}")
    number = int(trace_id, 16)
    return number if number < 2**64 - 1 else 0
