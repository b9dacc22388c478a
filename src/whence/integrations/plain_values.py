"""Makes values of other libraries fit for attributes: plain, bounded, and never raising."""

from __future__ import annotations

import json
from collections.abc import Mapping

__all__ = ["Plain", "plain", "safe_repr", "safe_text"]

Plain = int | float | bool | str

LONGEST_CHARS = 16 << 10  # an event carries 64 KiB at most; one value should leave room for others
_EXACT = frozenset({bool, float, str})
_INT64 = 1 << 63


def plain(value: object) -> Plain:
    """The value as an attribute can hold it; whatever is no number, flag or text becomes text.

    Sequences and mappings become JSON, bytes hexadecimal digits. Runs the value's own code for
    other types, and never raises.
    """
    kind = type(value)
    if kind in _EXACT:
        return value  # type: ignore[return-value]
    if kind is int:
        return value if -_INT64 <= value < _INT64 else safe_repr(value)  # type: ignore[operator, return-value]
    if isinstance(value, bytes | bytearray):
        return bytes(value[: LONGEST_CHARS // 2]).hex()
    if isinstance(value, list | tuple | Mapping):
        try:
            return json.dumps(value, default=safe_repr, ensure_ascii=False)[:LONGEST_CHARS]
        except Exception:  # a key that is no text, a list within itself
            return safe_repr(value)
    return safe_text(value)


def safe_text(value: object) -> str:
    """`str(value)`, cut at 16 Ki characters; the type's name where that raises."""
    try:
        return str(value)[:LONGEST_CHARS]
    except Exception as error:
        return _unprintable(value, error)


def safe_repr(value: object) -> str:
    """`repr(value)`, cut at 16 Ki characters; the type's name where that raises."""
    try:
        return repr(value)[:LONGEST_CHARS]
    except Exception as error:
        return _unprintable(value, error)


def _unprintable(value: object, error: Exception) -> str:
    return f"<{type(value).__qualname__}: {type(error).__name__} when printed>"
