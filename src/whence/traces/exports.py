"""Traces as files: JSON, CSV or Parquet, compressed if wished, there whole or not at all."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from whence.export.json_export import replacing
from whence.model.errors import CorruptFile
from whence.model.trace import Event, Trace
from whence.traces.plain import plain_summary, plain_trace, trace_from_plain

__all__ = ["COMPRESSIONS", "FORMATS", "ExportedTraces", "export_file", "read_json_traces"]

FORMATS = ("json", "csv", "parquet")
COMPRESSIONS = ("gzip",)
_FORMAT, _VERSION = "whence-traces", 1
_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class ExportedTraces:
    """A file that was written, and what is in it."""

    path: Path
    format: str
    compression: str | None
    traces: int
    events: int
    bytes: int


class _Counted:
    """Traces on their way into a file, counted."""

    def __init__(self, traces: Iterable[Trace]) -> None:
        self._source = traces
        self.traces = self.events = 0

    def __iter__(self) -> Iterator[Trace]:
        for trace in self._source:
            self.traces += 1
            self.events += len(trace.events)
            yield trace


def export_file(
    folder: Path,
    traces: Iterable[Trace],
    format: str,
    compression: str | None,
    *,
    include_events: bool,
    include_metrics: bool,
) -> ExportedTraces:
    """Writes the traces into a new file in the folder, whose name is made here.

    The folder is made if there is none, for this user alone. Raises ValueError for a format that
    there is not, OSError; then there is no file.
    """
    from whence.store.segment import new_ulid  # which loads what reads a store

    if format not in FORMATS:
        raise ValueError(f"{format!r} is no format of traces; {', '.join(FORMATS)} are")
    if compression not in (None, *COMPRESSIONS):
        raise ValueError(f"{compression!r} is no compression; {', '.join(COMPRESSIONS)} is")
    packs = compression is not None and format != "parquet"  # which compresses by itself
    name = f"traces-{new_ulid().lower()}.{format}{'.gz' if packs else ''}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    counted = _Counted(traces)
    path = folder / name
    with replacing(path) as file:
        target: Any = gzip.GzipFile("", "wb", 6, file, 0) if packs else file
        if format == "json":
            _write_json(target, counted, include_events, include_metrics)
        elif format == "csv":
            _write_csv(target, _rows(counted, include_events, include_metrics))
        else:
            columns = _columns(include_events, include_metrics)
            rows = _rows(counted, include_events, include_metrics)
            _write_parquet(target, rows, columns, "gzip" if compression else "zstd")
        if packs:
            target.close()
    os.chmod(path, 0o600)
    events = counted.events if include_events else 0
    return ExportedTraces(path, format, compression, counted.traces, events, path.stat().st_size)


def read_json_traces(path: str | os.PathLike[str]) -> list[Trace]:
    """The traces of a JSON file that was exported so, compressed or not. CorruptFile, OSError."""
    content = Path(path).read_bytes()
    try:
        plain = json.loads(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
        if plain["format"] != _FORMAT or plain["version"] != _VERSION:
            raise ValueError("of another format or version")
        return [trace_from_plain(_given(each)) for each in plain["traces"]]
    except (ValueError, KeyError, TypeError, EOFError, gzip.BadGzipFile) as error:
        raise CorruptFile(f"{os.fspath(path)} holds no traces: {error}") from error


def _write_json(file: IO[bytes], traces: Iterable[Trace], events: bool, metrics: bool) -> None:
    opening = {"format": _FORMAT, "version": _VERSION, "exported_at_ns": time.time_ns()}
    file.write(json.dumps(opening).encode()[:-1] + b', "traces": [')
    comma = b"\n"
    for trace in traces:
        plain = plain_trace(trace, events=events, metrics=metrics)
        file.write(comma + json.dumps(plain, default=_bytes).encode())
        comma = b",\n"
    file.write(b"\n]}\n")


_TRACE: Mapping[str, tuple[str, Callable[[Trace], Any]]] = {
    "trace_id": ("text", lambda trace: trace.trace_id),
    "name": ("text", lambda trace: trace.name),
    "trace_type": ("text", lambda trace: str(trace.trace_type)),
    "context_id": ("text", lambda trace: trace.context_id),
    "execution_id": ("text", lambda trace: trace.execution_id),
    "description": ("text", lambda trace: trace.description),
    "status": ("text", lambda trace: str(trace.status)),
    "reason": ("text", lambda trace: trace.reason),
    "tags": ("text", lambda trace: json.dumps(list(trace.tags))),
    "metadata": ("text", lambda trace: _dumped(trace.metadata)),
    "started_ns": ("int", lambda trace: trace.started_ns),
    "ended_ns": ("int", lambda trace: trace.ended_ns),
    "duration_ns": ("int", lambda trace: trace.duration_ns),
}
_EVENT: Mapping[str, tuple[str, Callable[[Event], Any]]] = {
    "event_id": ("text", lambda event: event.event_id),
    "event_type": ("text", lambda event: event.event_type),
    "event_level": ("text", lambda event: str(event.level)),
    "event_message": ("text", lambda event: event.message),
    "event_component": ("text", lambda event: event.component),
    "event_timestamp_ns": ("int", lambda event: event.timestamp_ns),
    "event_duration_ns": ("int", lambda event: event.duration_ns),
    "event_parent_id": ("text", lambda event: event.parent_event_id),
    "event_model_id": ("text", lambda event: event.model_id),
    "event_request_id": ("text", lambda event: event.request_id),
    "event_data": ("text", lambda event: _dumped(event.data)),
}
_SUMMARY = {
    "total_events": "int",
    "error_count": "int",
    "warning_count": "int",
    "events_by_level": "text",
    "performance_metrics": "text",
}


def _columns(events: bool, metrics: bool) -> dict[str, str]:
    """The columns of a table, and whether they hold texts or integers."""
    found = {name: kind for name, (kind, _) in _TRACE.items()}
    if metrics:
        found |= _SUMMARY
    return found | {name: kind for name, (kind, _) in _EVENT.items()} if events else found


def _rows(traces: Iterable[Trace], events: bool, metrics: bool) -> Iterator[dict[str, Any]]:
    """A row for each event with its trace's values; one alone for a trace without events."""
    nothing = dict.fromkeys(_EVENT) if events else {}
    for trace in traces:
        of_trace = {name: read(trace) for name, (_, read) in _TRACE.items()}
        if metrics:
            summary = plain_summary(trace)
            for name, kind in _SUMMARY.items():
                value = summary[name]
                of_trace[name] = value if kind == "int" else _dumped(value)
        for event in trace.events if events else ():
            yield of_trace | {name: read(event) for name, (_, read) in _EVENT.items()}
        if not events or not trace.events:
            yield of_trace | nothing


def _write_csv(file: IO[bytes], rows: Iterable[dict[str, Any]]) -> None:
    text = io.TextIOWrapper(file, "utf-8", newline="", errors="replace")
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(text, list(row))
            writer.writeheader()
        writer.writerow(row)
    text.flush()
    text.detach()


def _write_parquet(
    file: IO[bytes], rows: Iterable[dict[str, Any]], columns: Mapping[str, str], codec: str
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"text": pa.string(), "int": pa.int64()}
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    with pq.ParquetWriter(file, schema, compression=codec) as writer:
        for some in _some(rows):
            writer.write_table(pa.Table.from_pylist(some, schema))


def _some(rows: Iterable[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    held: list[dict[str, Any]] = []
    for row in rows:
        held.append(row)
        if len(held) >= _ROWS_AT_ONCE:
            yield held
            held = []
    if held:
        yield held


def _dumped(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), default=_bytes)


def _bytes(value: object) -> object:
    """What JSON has no words for, and stored data may hold."""
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    raise TypeError(f"{type(value).__name__} is in no trace")


def _given(value: Any) -> Any:
    if isinstance(value, list):
        return [_given(each) for each in value]
    if isinstance(value, dict):
        if value.keys() == {"$bytes"} and isinstance(value["$bytes"], str):
            return base64.b64decode(value["$bytes"])
        return {name: _given(each) for name, each in value.items()}
    return value
