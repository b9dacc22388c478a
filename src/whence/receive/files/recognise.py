"""Tells the format of a file by what it holds, never by its name."""

from __future__ import annotations

from typing import Any

from whence.model.errors import UnsupportedFormat
from whence.receive.files.chrome import is_chrome_trace
from whence.receive.files.json_parts import BadJson, loaded
from whence.receive.files.lines import dialect_of
from whence.receive.files.otlp_lines import signal_of
from whence.receive.files.own import is_own_export
from whence.receive.files.protocol import is_protocol_trace
from whence.receive.files.source import ReadOptions, SourceFile

__all__ = ["FORMATS", "recognised"]

FORMATS = ("ndjson", "mplp", "otlp", "chrome", "whence")
_LOOKED_AT = 50  # lines, for one that tells the format
_BEGINNING = 4 << 10
_OF_CHROME = (b'"traceEvents"', b'"ph"')


def recognised(source: SourceFile, options: ReadOptions) -> str:
    """One of FORMATS. Raises UnsupportedFormat."""
    content = source.content.removeprefix(b"\xef\xbb\xbf")
    beginning = content[:_BEGINNING].lstrip()
    if not beginning:
        raise UnsupportedFormat(f"{source.name} is empty")
    lines = _lines(content, options.limits.line_bytes)
    if lines and (found := _of_value(_value(lines[0]))):
        return found
    if beginning[:1] in (b"{", b"[") and len(content) <= options.limits.document_bytes:
        if found := _of_value(_value(content.strip())):
            return found
        if any(word in beginning for word in _OF_CHROME):  # its end may be missing
            return "chrome"
    for text in lines[1:]:
        if found := _of_value(_value(text)):
            return found
    raise UnsupportedFormat(
        f"{source.name} is of no format that is known here: {', '.join(FORMATS)}"
    )


def _lines(content: bytes, most_bytes: int) -> list[bytes]:
    """The first lines that are not empty, those that are too long left out."""
    lines = (text.strip() for text in content[: 8 * most_bytes].split(b"\n", _LOOKED_AT))
    return [text for text in lines if text and len(text) <= most_bytes][:_LOOKED_AT]


def _value(text: bytes) -> Any:
    if text[:1] not in (b"{", b"["):
        return None
    try:
        return loaded(text)
    except BadJson:
        return None


def _of_value(found: Any) -> str:
    if is_own_export(found):
        return "whence"
    if signal_of(found):
        return "otlp"
    if is_chrome_trace(found):
        return "chrome"
    if is_protocol_trace(found) or (
        isinstance(found, list) and found and all(map(is_protocol_trace, found[:20]))
    ):
        return "mplp"
    return "ndjson" if dialect_of(found) else ""
