"""whence recover: reads what a process left behind, however it ended, and writes it down."""

from __future__ import annotations

import importlib
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import click
from rich.text import Text

from whence.cli.render.ledger import (
    damage_lines,
    missing_lines,
    open_span_lines,
    ring_lines,
    sum_line,
)
from whence.cli.render.page import clock_text, line, print_json, print_lines
from whence.cli.render.safe import safe
from whence.cli.sources import find_sessions, is_export, read_sessions
from whence.cli.verb import INCOMPLETE, Verb, json_option
from whence.export.codec import codec_of
from whence.export.json_export import write_recording
from whence.model.errors import UnsupportedFormat
from whence.model.recording import Recording, SessionInfo
from whence.query.words import events_text
from whence.receive.json_export import read_json_export

__all__ = ["recover"]


@click.command(cls=Verb)
@click.argument("path", metavar="DIR|FILE|PID|NAME")
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    help="The export to write, compressed if its suffix is .gz or .zst. By default "
    "recovered-NAME.json in this folder, NAME being what was named here, without its folders.",
)
@click.option(
    "--reap", is_flag=True, help="Remove the folders of dead sessions once the export is written."
)
@json_option
@click.pass_context
def recover(
    context: click.Context, path: str, output: str | None, reap: bool, as_json: bool
) -> None:
    """Recover what an ended process left behind.

    It does not matter whether the process ended, was killed or crashed. DIR|FILE is a session's
    folder, one ring file of it, or the folder that holds the sessions; PID or NAME is a session's,
    as `whence ls` shows it. Every event that was
    completely written is recovered; per thread it is said what was lost before, and what was
    half written at the end. All of it goes into one JSON export. Nothing is removed but with
    --reap, and a live session never is.
    """
    if is_export(path):
        raise UnsupportedFormat(f"{path} is an export already; --from {path} reads it")
    paths = [Path(path)] if Path(path).is_file() else find_sessions(path)
    recording = read_sessions(paths)
    target = output or f"recovered-{Path(path).resolve().name}.json"
    _refuse_inside(Path(target), paths)
    write_recording(target, recording, time.time_ns(), codec=codec_of(target)[0])
    if reap:
        read_json_export(target)  # what cannot be read back is no reason to remove anything
    whole = {str(found) for found in paths if found.is_dir()}
    damaged = {damage.session for damage in recording.damage}
    sound = [i for i in recording.sessions if i.path in whole and i.name not in damaged]
    removed = [info.name for info in sound if reap and _reaped(info, target)]
    if as_json:
        print_json(
            {
                "output": target,
                "events": len(recording.events),
                "sessions": recording.sessions,
                "rings": recording.rings,
                "damaged": recording.damage,
                "removed": removed,
            }
        )
    else:
        print_lines(_report(recording, target, removed if reap else None))
    context.exit(INCOMPLETE if recording.damage else 0)


def _refuse_inside(target: Path, paths: Sequence[Path]) -> None:
    """A session's folder may be removed: the export must not lie in it."""
    folders = {(path if path.is_dir() else path.parent).resolve() for path in paths}
    if folders & set(target.resolve().parents):
        raise click.UsageError(
            f"{target} would lie in the session's own folder; name another place"
        )


def _reaped(info: SessionInfo, target: str) -> bool:
    """Remove the folder of a session, all of which was recovered, if its process has ended."""
    if info.live:
        return False
    reap = importlib.import_module("whence.ring.reap")
    reap.remove_session(info, f"recovered to {Path(target).resolve()}")
    return True


def _report(recording: Recording, target: str, removed: Collection[str] | None) -> Iterator[Text]:
    for info in recording.sessions:
        started = clock_text(info.started_wall_ns)
        told = f"{info.service}, pid {info.pid}, started {started}, {info.state}"
        yield line((safe(told), "bold"))
        yield from ring_lines([r for r in recording.rings if r.session == info.name])
        yield from missing_lines(info)
        yield line()
    yield sum_line(recording.rings, recording.damage)
    yield from damage_lines(recording.damage)
    yield from open_span_lines(recording)
    yield line(safe(f"Wrote {target}: {events_text(len(recording.events))}"))
    if removed is None:
        return
    for info in recording.sessions:
        if info.name in removed:
            yield line(safe(f"Removed {info.path}"))
        else:
            why = "its process lives" if info.live else "only a part of it was recovered"
            yield line(safe(f"Kept {info.path}: {why}"))
