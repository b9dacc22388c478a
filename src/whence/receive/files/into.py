"""Brings files of other tools into a store: recognises each, reads it, tells what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from whence.model.errors import CorruptFile, StoreBusy, StoreFull, UnsupportedFormat, WhenceError
from whence.model.event import TraceEvent
from whence.receive.files.json_parts import BadJson, loaded
from whence.receive.files.lines import dialect_of, read_lines
from whence.receive.files.report import FileReport
from whence.receive.files.source import ReadOptions, SourceFile, read_source
from whence.store.intake import Intake
from whence.store.outside import outside_session
from whence.store.sessions import StoredSession
from whence.store.tables import table_of

__all__ = ["FORMATS", "KIND", "import_files", "recognised"]

KIND = "import"
FORMATS = ("ndjson",)
_LOOKED_AT = 50  # lines, for one that tells the format
_TRIES = 10

Reader = Callable[[SourceFile, ReadOptions, FileReport], Iterator[list[TraceEvent]]]
_READERS: dict[str, Reader] = {"ndjson": read_lines}


def import_files(
    paths: Sequence[str],
    intake: Intake,
    options: ReadOptions | None = None,
    format_name: str = "auto",
) -> list[FileReport]:
    """Imports files one after the other, and says what became of each.

    A file that cannot be read at all has an `error` and hinders no other, unless `strict`: then
    it raises UnsupportedFormat, CorruptFile or OSError. Raises StoreFull, StoreOwned. What is
    stored already is a duplicate, so that all of it may be done again.
    """
    options = options or ReadOptions()
    return [_imported(path, intake, options, format_name) for path in paths]


def recognised(source: SourceFile) -> str:
    """The format of a file, by what it holds. Raises UnsupportedFormat."""
    at = 0
    for _ in range(_LOOKED_AT):
        end = source.content.find(b"\n", at)
        text = source.content[at : end if end >= 0 else len(source.content)].strip()
        if found := _of_line(text):
            return found
        if end < 0:
            break
        at = end + 1
    raise UnsupportedFormat(
        f"{source.name} is of no format that is known here: {', '.join(FORMATS)}"
    )


def _of_line(text: bytes) -> str:
    try:
        found = loaded(text.removeprefix(b"\xef\xbb\xbf")) if text[:1] in (b"{", b"\xef") else None
    except BadJson:
        return ""
    return "ndjson" if dialect_of(found) else ""


def _imported(path: str, intake: Intake, options: ReadOptions, format_name: str) -> FileReport:
    report = FileReport(path)
    try:
        source = read_source(path, options)
        report.nbytes, report.sha256 = len(source.content), source.sha256
        report.format = recognised(source) if format_name == "auto" else format_name
        session = _session(source, report.format)
        report.session = session.info.name
        for events in _READERS[report.format](source, options, report):
            _put(events, session, intake, report)
    except (StoreBusy, StoreFull):
        raise
    except (UnsupportedFormat, CorruptFile, OSError) as error:
        if options.strict:
            raise
        report.error = str(error)
    return report


def _session(source: SourceFile, format_name: str) -> StoredSession:
    told = {"file.name": source.name, "file.sha256": source.sha256, "file.format": format_name}
    session = outside_session(KIND, told, source.name.partition(".")[0])
    return replace(session)


def _put(
    events: Sequence[TraceEvent], session: StoredSession, intake: Intake, report: FileReport
) -> None:
    table = table_of(events, ())
    for tries in range(_TRIES):
        try:
            receipt = intake.put(table, session)
        except StoreFull:
            raise
        except StoreBusy:
            if tries == _TRIES - 1:
                raise
            continue
        report.stored += receipt.stored
        report.duplicates += receipt.duplicates
        return
    raise WhenceError("the store did not answer")
