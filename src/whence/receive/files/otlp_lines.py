"""OTLP in files: an export request in JSON a line, as collectors' file exporters write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from whence.model.errors import CorruptFile
from whence.receive.files.json_parts import BadJson, loaded
from whence.receive.files.report import FileReport
from whence.receive.files.source import ReadOptions, SourceFile
from whence.receive.otlp.json_in import protobuf_of
from whence.receive.otlp.requests import OtlpLimits, RequestReader
from whence.store.sessions import StoredSession

__all__ = ["read_otlp", "signal_of"]

_SIGNALS = {"resourceSpans": "traces", "resourceLogs": "logs", "resourceMetrics": "metrics"}

Parts = list[tuple[pa.Table, StoredSession]]


def signal_of(found: Any) -> str:
    """The signal of a request, by its one field; "" for what is none."""
    if not isinstance(found, dict):
        return ""
    return next((signal for name, signal in _SIGNALS.items() if name in found), "")


def read_otlp(source: SourceFile, options: ReadOptions, report: FileReport) -> Iterator[Parts]:
    """The rows of each request, as the receiver makes them. Of a whole document it is one.

    A line that is no request is rejected, and what a request has that cannot be taken is counted;
    with `strict` the first of either raises CorruptFile.
    """
    limits = options.limits
    reader = RequestReader(
        OtlpLimits(
            body_bytes=limits.file_bytes,
            rows=limits.document_bytes // 16,
            attributes=limits.names,
            value_bytes=limits.value_bytes,
            depth=limits.depth,
            parts=limits.names,
        )
    )
    for where, text in _requests(source, report):
        try:
            parts = _read(reader, text, options, report, where)
        except ValueError as error:
            if options.strict:
                raise CorruptFile(f"{source.name}, {where}: {error}") from None
            report.reject(where, "no-request", str(error))
            continue
        yield parts


def _requests(source: SourceFile, report: FileReport) -> Iterator[tuple[str, bytes]]:
    content = source.content.removeprefix(b"\xef\xbb\xbf")
    first = content.lstrip().split(b"\n", 1)[0]
    try:
        loaded(first)
    except BadJson:  # a document of several lines
        report.lines = 1
        yield "$", content
        return
    for number, text in enumerate(content.split(b"\n"), 1):
        if number > 1 and not text and number == content.count(b"\n") + 1:
            return
        report.lines += 1
        if not text.strip():
            report.blank += 1
            continue
        yield f"line {number}", text


def _read(
    reader: RequestReader, text: bytes, options: ReadOptions, report: FileReport, where: str
) -> Parts:
    if len(text) > options.limits.document_bytes:
        raise ValueError(f"{len(text)} bytes, of {options.limits.document_bytes} allowed")
    signal = _signal_in(text)
    received = reader.read(signal, protobuf_of(signal, text))
    report.shapes[signal] += received.records
    if received.rejected:
        if options.strict:
            raise ValueError(received.reason)
        report.reject(where, "rejected-records", f"{received.rejected}: {received.reason}")
    if received.cut:
        report.notes["attributes, texts and parts cut by limits"] += received.cut
    if received.timeless:
        report.notes["a record without time: that of the import"] += 1
    report.times["nanoseconds, as OTLP has them"] += received.records
    for table, _ in received.parts:
        _see(table, report)
    return received.parts


def _signal_in(text: bytes) -> str:
    found = [
        (at, s) for name, s in _SIGNALS.items() if (at := text.find(f'"{name}"'.encode())) >= 0
    ]
    if not found:
        raise ValueError("neither resourceSpans nor resourceLogs nor resourceMetrics")
    return min(found)[1]


def _see(table: pa.Table, report: FileReport) -> None:
    if not len(table):
        return
    found = pc.min_max(table.column("ts_ns"))
    first, last = found["min"].as_py(), found["max"].as_py()
    report.events += len(table)
    report.first_ns = first if report.first_ns is None else min(first, report.first_ns)
    report.last_ns = last if report.last_ns is None else max(last, report.last_ns)
