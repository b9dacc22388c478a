"""whence export --format otlp-jsonl: what the sessions hold now, in OTLP's JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from whence.cli.filters import Picked
from whence.cli.render.ledger import damage_lines
from whence.cli.render.page import line, print_json, print_lines, require_output
from whence.cli.render.safe import safe
from whence.cli.sources import Choice, is_export
from whence.cli.verb import INCOMPLETE
from whence.export.codec import Codec
from whence.export.json_export import replacing
from whence.export.otlp import LOGS, TRACES, OtlpRequest, otlp_requests
from whence.export.otlp_file import MOST_LINE_BYTES, signal_path
from whence.model.errors import ExportError, UnsupportedFormat
from whence.query.words import count_text, events_text

if TYPE_CHECKING:
    from whence._native import Batch
    from whence.model.recording import SessionInfo

__all__ = ["export_otlp"]


def export_otlp(
    choice: Choice, picked: Picked, output: str, codec: Codec | None, as_json: bool
) -> int:
    """Writes the events picked and says how many; the command's exit code.

    Raises UnsupportedFormat for an export file or a store, ExportError where a file cannot
    be written.
    """
    if choice.source is not None and (choice.source == "-" or is_export(choice.source)):
        raise UnsupportedFormat("OTLP is written from sessions, not from an export file")
    if choice.is_store:
        raise UnsupportedFormat(
            "OTLP is written from sessions, not from a store: collect --to otlp-file:NAME beside it"
        )
    if not picked.query.is_basic:
        raise UnsupportedFormat("OTLP is written by type, component, model, request and severity")
    from whence.collect.sessions import read_batches

    drained, kinds, damage = read_batches(choice.paths())
    picked.warn(kinds)
    chosen = _chosen(drained, picked)
    requests = [request for session, batch in chosen for request in _requests(session, batch)]
    events = sum(request.events for request in requests)
    if output == "-":
        require_output()
        for signal in (LOGS, TRACES):
            _write(sys.stdout.buffer, requests, signal, codec)
    else:
        paths = _write_files(Path(output), requests, codec)
        left_out = sum(len(batch) for _, batch in drained) - events
        if as_json:
            print_json({"paths": paths, "events": events, "left_out": left_out})
        else:
            more = f", {count_text(left_out)} left out ({picked.words})" if left_out else ""
            print_lines([line(safe(f"{', '.join(paths)}: {events_text(events)}{more}"))])
    print_lines(damage_lines(damage), err=True)
    return INCOMPLETE if damage else 0


def _chosen(
    drained: Sequence[tuple[SessionInfo, Batch]], picked: Picked
) -> list[tuple[SessionInfo, Batch]]:
    from whence.collect.wanted import Wanted

    wanted = Wanted.by(picked.query)
    chosen = [(session, wanted.of(batch)) for session, batch in drained]
    if picked.last is None:
        return chosen
    newest = [_newest_wall_ns(session, batch) for session, batch in drained]
    since_wall_ns = max(newest, default=0) - picked.last.nanos
    return [
        (session, batch.select(start_ns=max(0, since_wall_ns - _offset_ns(session, batch))))
        for session, batch in chosen
    ]


def _newest_wall_ns(session: SessionInfo, batch: Batch) -> int:
    times = batch.time_range(0)
    return times[1] + _offset_ns(session, batch) if times else 0


def _offset_ns(session: SessionInfo, batch: Batch) -> int:
    """How far wall time is ahead of monotonic time at the newest event."""
    times = batch.time_range(0)
    wall_ns = session.wall_ns(times[1]) if times else None
    return wall_ns - times[1] if times and wall_ns is not None else 0


def _requests(session: SessionInfo, batch: Batch) -> list[OtlpRequest]:
    return otlp_requests(batch, {session.name: session}, as_json=True, most_bytes=MOST_LINE_BYTES)


def _write_files(path: Path, requests: Sequence[OtlpRequest], codec: Codec | None) -> list[str]:
    written = []
    for signal in (LOGS, TRACES):
        target = signal_path(path, signal, "both")
        try:
            with replacing(target) as file:
                _write(file, requests, signal, codec)
        except OSError as error:
            reason = error.strerror or error
            raise ExportError(f"cannot write {target}: {reason}") from error
        written.append(str(target))
    return written


def _write(
    file: BinaryIO, requests: Iterable[OtlpRequest], signal: str, codec: Codec | None
) -> None:
    lines = (request.body + b"\n" for request in requests if request.signal == signal)
    file.writelines(codec.member(line) if codec else line for line in lines)
