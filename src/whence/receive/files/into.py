"""Brings files of other tools into a store: recognises each, reads it, tells what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from whence.model.errors import CorruptFile, StoreBusy, StoreFull, UnsupportedFormat
from whence.model.event import TraceEvent
from whence.receive.files.chrome import read_chrome
from whence.receive.files.lines import read_lines
from whence.receive.files.otlp_lines import read_otlp
from whence.receive.files.own import read_own
from whence.receive.files.protocol import read_protocol
from whence.receive.files.recognise import FORMATS, recognised
from whence.receive.files.report import FileReport
from whence.receive.files.source import ReadOptions, SourceFile, read_source
from whence.store.intake import Intake
from whence.store.outside import outside_session
from whence.store.sessions import StoredSession
from whence.store.tables import table_of

__all__ = ["KIND", "Parts", "ReadParts", "import_files", "read_parts"]

KIND = "import"
_TRIES = 10

Parts = Sequence[tuple[pa.Table, StoredSession]]
ReadParts = Callable[[str, ReadOptions, str, FileReport], Iterator[Parts]]
_OfEvents = Callable[[SourceFile, ReadOptions, FileReport], Iterator[list[TraceEvent]]]
_OfParts = Callable[[SourceFile, ReadOptions, FileReport], Iterator[Parts]]

_EVENTS: dict[str, _OfEvents] = {
    "ndjson": read_lines,
    "mplp": read_protocol,
    "chrome": read_chrome,
}
_PARTS: dict[str, _OfParts] = {"otlp": read_otlp, "whence": read_own}
assert {*_EVENTS, *_PARTS} == set(FORMATS)


def import_files(
    paths: Sequence[str],
    intake: Intake,
    options: ReadOptions | None = None,
    format_name: str = "auto",
    read: ReadParts | None = None,
) -> list[FileReport]:
    """Imports files one after the other, and says what became of each.

    A file that cannot be read at all has an `error` and hinders no other, unless `strict`: then
    it raises UnsupportedFormat, CorruptFile or OSError. Raises StoreBusy, StoreFull, StoreOwned.
    What is stored already is a duplicate, so that all of it may be done again. `read` is how files
    are read, such as ReadApart(options).read_parts instead of read_parts().
    """
    read = read or read_parts
    options = options or ReadOptions()
    reports = []
    for path in paths:
        report = FileReport(path)
        reports.append(report)
        try:
            for parts in read(path, options, format_name, report):
                _put(parts, intake, report)
        except (UnsupportedFormat, CorruptFile, OSError) as error:
            if options.strict:
                raise
            report.error = str(error)
    return reports


def read_parts(
    path: str, options: ReadOptions, format_name: str, report: FileReport
) -> Iterator[Parts]:
    """What a file holds as rows of a store with their sessions, and what is to be told of it.

    Raises UnsupportedFormat, CorruptFile and OSError.
    """
    source = read_source(path, options)
    report.nbytes, report.sha256 = len(source.content), source.sha256
    report.format = recognised(source, options) if format_name == "auto" else format_name
    if report.format in _PARTS:
        yield from _PARTS[report.format](source, options, report)
        return
    told = {"file.name": source.name, "file.sha256": source.sha256, "file.format": report.format}
    session = outside_session(KIND, _texts(told), _text(source.name.partition(".")[0]))
    report.session = session.info.name
    for events in _EVENTS[report.format](source, options, report):
        yield [(table_of(events, ()), session)]


def _put(parts: Parts, intake: Intake, report: FileReport) -> None:
    for tries in range(_TRIES):
        try:
            receipt = intake.put_all(parts)
        except StoreFull:
            raise
        except StoreBusy:
            if tries == _TRIES - 1:
                raise
            continue
        report.stored += receipt.stored
        report.duplicates += receipt.duplicates
        return


def _texts(told: dict[str, str]) -> dict[str, str]:
    return {name: _text(text) for name, text in told.items()}


def _text(text: str) -> str:
    """The text without what is no Unicode, as names of files may be."""
    return text.encode(errors="replace").decode()
