"""OpenTelemetry's values as ours: times, attributes, links, status, severity."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.trace import Link, Status, StatusCode

from whence import _native
from whence.integrations.plain_values import Plain, plain, safe_text
from whence.model.severity import Severity

__all__ = ["attributes_of", "clean_text", "links_of", "monotonic_ns", "severity_of", "status_of"]

_STATUS = {StatusCode.OK: "ok", StatusCode.ERROR: "error"}


def attributes_of(attributes: Mapping[str, Any] | None) -> dict[str, Plain]:
    """Numbers, flags and text as they are; sequences as JSON, bytes as hexadecimal digits."""
    if not attributes:
        return {}
    return {str(key): plain(value) for key, value in attributes.items()}


def links_of(links: Iterable[Link] | None) -> list[tuple[str, int, dict[str, Plain]]]:
    """(trace id, span id, attributes) of each link that leads anywhere."""
    return [
        (f"{link.context.trace_id:032x}", link.context.span_id, attributes_of(link.attributes))
        for link in links or ()
        if link.context.trace_id
    ]


def status_of(status: Status | None) -> tuple[str, str]:
    """("ok", "error" or "", what was said)."""
    if status is None:
        return "", ""
    return _STATUS.get(status.status_code, ""), clean_text(status.description)


def clean_text(text: object) -> str:
    """Text without NUL and lone surrogates, which a status cannot hold; "" for None."""
    if text is None:
        return ""
    return safe_text(text).replace("\0", "").encode("utf-8", "backslashreplace").decode()


def severity_of(number: int | None) -> Severity:
    """The severity of a log record's severity number, 1 to 24; Info where it has none."""
    if not number:
        return Severity.Info
    return Severity(min(max((number - 5) // 4, 0), 4))


def monotonic_ns(wall_ns: int) -> int:
    """The time on the clock that stamps events, of a time since 1970; within a microsecond.

    A wall clock that was set in between moves it by as much.
    """
    first = _native.now_ns()
    wall = time.time_ns()
    return max(wall_ns - wall + (first + _native.now_ns()) // 2, 0)
