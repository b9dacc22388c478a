"""What a span is linked to, and how trace ids are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["SpanLink", "is_span_id", "is_trace_id"]

_TRACE_ID = re.compile("[0-9a-f]{32}")
_SPAN_ID = re.compile("[0-9a-f]{16}")


class SpanLink(NamedTuple):
    """Another span that a span belongs with, though it is not its parent.

    `trace_id` is 32 hexadecimal digits, or "" where it is not known.
    """

    trace_id: str
    span_id: int
    attributes: Mapping[str, int | float | bool | str] = {}


def is_trace_id(text: str) -> bool:
    """Whether the text is 32 lower-case hexadecimal digits that are not all 0."""
    return _TRACE_ID.fullmatch(text) is not None and text != "0" * 32


def is_span_id(text: str) -> bool:
    """Whether the text is 16 lower-case hexadecimal digits that are not all 0."""
    return _SPAN_ID.fullmatch(text) is not None and text != "0" * 16
