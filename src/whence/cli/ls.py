"""whence ls: lists the sessions that can be read, those of the newest run first."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import click

from whence.cli.render.ledger import damage_lines, missing_lines
from whence.cli.render.page import clock_text, line, print_json, print_lines, table
from whence.cli.render.safe import safe
from whence.cli.sources import Choice, sessions_room
from whence.cli.verb import Verb, json_option
from whence.model.recording import SessionInfo

__all__ = ["ls"]


@click.command(cls=Verb)
@click.option("--live", is_flag=True, help="Only processes that still run.")
@click.option("--from", "source", metavar="STORE", help="Those that a store has events of.")
@json_option
def ls(live: bool, source: str | None, as_json: bool) -> None:
    """List the recorded processes, newest run first.

    Live ones are "recording"; what a "dead" one recorded stays readable until it is removed. Of a
    "damaged" one not even the session file can be read. Files whose header or length is wrong are
    named below.
    """
    if source is not None:
        _list_stored(source, live, as_json)
        return
    room = sessions_room()
    known = room.list_sessions()
    found = [info for info in known if info.live or not live]
    unreadable = () if live else room.unreadable_sessions()
    damage = [torn for info in found for torn in room.damage_of(info)] + list(unreadable)
    if as_json:
        print_json({"sessions": found, "damage": damage})
        return
    if not found and not unreadable:
        print_lines([line(safe(_none_live(known) if known else _none_known()))])
        return
    rows = [_row(info) for info in found]
    rows += [("damaged", "", "", "", torn.session) for torn in unreadable]
    print_lines(table(_HEADER, rows, left=(0, 2, 3, 4)))
    print_lines(damage_lines(damage))
    for info in found:
        print_lines(line(safe(f"{info.name}: {told.plain}")) for told in missing_lines(info))


def _list_stored(source: str, live: bool, as_json: bool) -> None:
    with contextlib.closing(Choice(source).engine()) as engine:
        sessions = [info for info in engine.sessions() if info.live or not live]
    sessions.sort(key=lambda info: (-info.started_wall_ns, info.name))
    if as_json:
        print_json({"sessions": sessions, "damage": []})
    elif sessions:
        rows = [_row(info) for info in sessions]
        print_lines(table(_HEADER, rows, left=(0, 2, 3, 4)))
    else:
        print_lines([line(safe(f"{source} has events of no process."))])


_HEADER = ("state", "pid", "service", "started", "session")


def _row(info: SessionInfo) -> tuple[str, ...]:
    started = clock_text(info.started_wall_ns, always_dated=True)
    return info.state, str(info.pid), info.service, started, info.name


def _none_known() -> str:
    from whence.ring.reap import last_removed

    if removed := last_removed():
        return f"Nothing is left here; the last session was removed: {removed}"
    return "No process has recorded here."


def _none_live(known: Sequence[SessionInfo]) -> str:
    where = ", ".join(sorted({str(Path(info.path).parent) for info in known}))
    if len(known) == 1:
        return f"The session in {where} is not live."
    return f"None of {len(known)} sessions in {where} is live."
