"""Events as comma-separated values: five columns for other tools, or everything that is known."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from whence.model.event import TraceEvent
from whence.query.plain import plain_event

__all__ = ["BASIC", "EVERYTHING", "csv_lines"]

# What is a formula to a spreadsheet begins with one of these.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_LINES_AT_ONCE = 1_000
_IN_COLUMNS = ("timestamp_ns", "event_type", "model_id", "request_id")

Row = tuple[TraceEvent, int | None]  # and its wall time
Cell = str | int | float | bool | None


def _payload(event: TraceEvent) -> str:
    rest = {name: value for name, value in plain_event(event).items() if name not in _IN_COLUMNS}
    return _json(rest)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":")) if value else ""


def _of_plain(name: str) -> Callable[[TraceEvent, int | None], Cell]:
    def read(event: TraceEvent, wall_ns: int | None) -> Cell:
        value = plain_event(event).get(name)
        return value if isinstance(value, str) else _json(value)

    return read


BASIC: Mapping[str, Callable[[TraceEvent, int | None], Cell]] = {
    "timestamp_ns": lambda event, wall_ns: event.timestamp.value_ns,
    "event_type": lambda event, wall_ns: event.event_type,
    "model_id": lambda event, wall_ns: str(event.model_id),
    "request_id": lambda event, wall_ns: event.request_id,
    "payload": lambda event, wall_ns: _payload(event),
}
"""The profile of five columns; `payload` is a JSON object of all the others."""

EVERYTHING: Mapping[str, Callable[[TraceEvent, int | None], Cell]] = {
    "wall_ns": lambda event, wall_ns: wall_ns,
    "timestamp_ns": lambda event, wall_ns: event.timestamp.value_ns,
    "session": lambda event, wall_ns: event.session,
    "ring": lambda event, wall_ns: event.ring if event.ring >= 0 else None,
    "ticket": lambda event, wall_ns: event.ticket if event.ticket >= 0 else None,
    "event_id": lambda event, wall_ns: event.event_id,
    "event_type": lambda event, wall_ns: event.event_type,
    "component": lambda event, wall_ns: event.component,
    "model_id": lambda event, wall_ns: str(event.model_id),
    "request_id": lambda event, wall_ns: event.request_id,
    "decision_chain_id": lambda event, wall_ns: event.decision_chain_id,
    "trace_id": lambda event, wall_ns: event.trace_id,
    "span_id": _of_plain("span_id"),
    "parent_span_id": _of_plain("parent_span_id"),
    "span": lambda event, wall_ns: event.span,
    "lineage_id": lambda event, wall_ns: event.lineage_id or None,
    "severity": lambda event, wall_ns: event.severity.name,
    "status": lambda event, wall_ns: event.status,
    "status_message": lambda event, wall_ns: event.status_message,
    "duration_ns": lambda event, wall_ns: event.duration.nanos,
    "decision": lambda event, wall_ns: event.decision,
    "rationale": lambda event, wall_ns: event.rationale,
    "weight": lambda event, wall_ns: event.weight,
    "caused_by": lambda event, wall_ns: event.caused_by,
    "text_lost": lambda event, wall_ns: event.text_lost,
    "truncated": lambda event, wall_ns: event.truncated,
    "attributes": _of_plain("attributes"),
    "attribute_types": _of_plain("attribute_types"),
    "options": _of_plain("options"),
    "links": _of_plain("links"),
}
"""The profile of all columns; those that hold several values hold JSON, as JSON exports do."""


def csv_lines(
    rows: Iterable[Row],
    columns: Mapping[str, Callable[[TraceEvent, int | None], Cell]] = BASIC,
    *,
    spreadsheet: bool = False,
) -> Iterator[bytes]:
    """The header and the rows, in UTF-8 with CRLF, some at a time.

    With `spreadsheet`, an apostrophe is put before texts that a spreadsheet would run as formulas:
    such a file is for people to look at, since those texts have changed.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    for number, (event, wall_ns) in enumerate(rows):
        cells = [_shown(read(event, wall_ns)) for read in columns.values()]
        writer.writerow([_harmless(cell) for cell in cells] if spreadsheet else cells)
        if number % _LINES_AT_ONCE == 0:
            yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode("utf-8", "replace")


def _shown(cell: Cell) -> str | int | float | None:
    return str(cell).lower() if isinstance(cell, bool) else cell


def _harmless(cell: str | int | float | None) -> str | int | float | None:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
