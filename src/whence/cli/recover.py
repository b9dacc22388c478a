"""whence recover: reads what a process left behind, however it ended, and writes it down."""

from __future__ import annotations

from pathlib import Path

import click

from whence.cli.render.ledger import ring_lines, sum_line
from whence.cli.render.page import clock_text, line, print_json, print_lines
from whence.cli.render.safe import safe
from whence.cli.sources import sessions_room
from whence.cli.verb import Verb, json_option
from whence.export.recording import write_recording
from whence.model.errors import SessionNotFound
from whence.model.recording import Recording
from whence.query.words import events_text

__all__ = ["recover"]


@click.command(cls=Verb)
@click.argument("path", type=click.Path(exists=True), metavar="DIR|FILE")
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    help="The export to write. By default recovered-NAME.json in this folder, NAME being DIR's.",
)
@click.option(
    "--reap", is_flag=True, help="Remove the folders of dead sessions once the export is written."
)
@json_option
def recover(path: str, output: str | None, reap: bool, as_json: bool) -> None:
    """Recover what an ended process left behind.

    It does not matter whether the process ended, was killed or crashed. DIR|FILE is a session's
    folder, one ring file of it, or the folder that holds the sessions. Every event that was
    completely written is recovered; per thread it is said what was lost before, and what was
    half written at the end. All of it goes into one JSON export. Nothing is removed but with
    --reap, and a live session never is.
    """
    room = sessions_room()
    paths = room.find_sessions(path)
    if not paths:
        raise SessionNotFound(f"{path} holds no session")
    recording = room.read_recording(paths)
    target = output or f"recovered-{Path(path).resolve().stem}.json"
    write_recording(recording, target)
    removed, kept = [], []
    if reap:
        for session in paths:
            info = recording.session(session.name)
            if info is None or info.live or not session.is_dir():
                kept.append(str(session))
            else:
                room.remove_session(session)
                removed.append(str(session))
    if as_json:
        print_json(
            {
                "output": target,
                "events": len(recording.events),
                "sessions": recording.sessions,
                "rings": recording.rings,
                "removed": removed,
                "kept": kept,
            }
        )
        return
    _report(recording, target, removed, kept)


def _report(recording: Recording, target: str, removed: list[str], kept: list[str]) -> None:
    lines = []
    for session in recording.sessions:
        started = clock_text(session.started_wall_ns)
        told = f"{session.service}, pid {session.pid}, started {started}, {session.state}"
        lines.append(line((safe(told), "bold")))
        lines.extend(ring_lines([r for r in recording.rings if r.session == session.name]))
        lines.append(line())
    lines.append(sum_line(recording.rings))
    lines.append(line(safe(f"Wrote {target}: {events_text(len(recording.events))}")))
    lines.extend(line(safe(f"Removed {name}")) for name in removed)
    lines.extend(line(safe(f"Kept {name}: it is live, or no session's folder")) for name in kept)
    print_lines(lines)
