"""Turns --from, --pid, --session and --all into a recording, the same way for every command."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import click

from whence.cli.render.page import clock_text
from whence.cli.verb import Choose
from whence.model.errors import SessionNotFound, UnsupportedFormat, WhenceError
from whence.model.event import TraceEvent
from whence.model.recording import Recording, RingLedger, SessionInfo

__all__ = ["Choice", "Sessions", "Stream", "Streaming", "sessions_room", "source_options"]

F = TypeVar("F", bound=Callable[..., Any])


class Stream(Protocol):
    """A cursor over one session."""

    lost: int
    live: bool

    def poll(self) -> list[TraceEvent]:
        """Events since the last call, in order of time."""

    def ledger(self) -> Sequence[RingLedger]:
        """The counts of the session's rings now."""


class Sessions(Protocol):
    """What reads sessions: the module whence.collect.sessions."""

    SessionStream: Callable[[Path], Stream]

    def list_sessions(self) -> list[SessionInfo]:
        """All sessions that can be found, those of the newest run first."""

    def find_sessions(self, spec: str | None) -> list[Path]:
        """The folders, or the ring file, that a pid, name, prefix or path names."""

    def read_recording(self, paths: Sequence[Path]) -> Recording:
        """What the sessions hold now."""

    def remove_session(self, path: Path) -> None:
        """Remove a dead session's folder; refuses one that is live."""


@dataclass(frozen=True, slots=True)
class Streaming:
    """A session to follow: where it lies and what is known of it."""

    path: Path
    info: SessionInfo


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a command is to read from, as its options say."""

    source: str | None = None
    pid: int | None = None
    session: str | None = None
    all_sessions: bool = False

    def __post_init__(self) -> None:
        given = [self.source is not None, self.pid is not None, self.session is not None]
        if sum(given) + self.all_sessions > 1:
            raise click.UsageError("give one of --from, --pid, --session and --all")

    @property
    def spec(self) -> str | None:
        """The pid, name or path that was given."""
        return str(self.pid) if self.pid is not None else self.session or self.source

    def recording(self) -> Recording:
        """The recording to read; by default what the sessions of the newest run hold.

        Raises SessionNotFound, UnsupportedFormat, CorruptFile and OSError.
        """
        export = self._export()
        if export is not None:
            from whence.receive.json_export import parse_json_export

            return parse_json_export(*export)
        return sessions_room().read_recording(self.paths())

    def paths(self) -> list[Path]:
        """The folders of the chosen sessions; SessionNotFound if there are none."""
        room = sessions_room()
        if self.spec is not None:
            return _some(room.find_sessions(self.spec), f"no session is called {self.spec!r}")
        found = room.list_sessions()
        if found and not self.all_sessions:
            newest = found[0]
            found = [info for info in found if info.run == newest.run and newest.run] or [newest]
        return _some([Path(info.path) for info in found], _NOTHING)

    def streams(self) -> list[Streaming]:
        """The sessions to follow: those chosen, else the only live one, else Choose is raised."""
        room = sessions_room()
        known = room.list_sessions()
        if self.spec is not None or self.all_sessions:
            paths = {path.resolve() for path in self.paths()}
            wanted = [info for info in known if Path(info.path).resolve() in paths]
        else:
            wanted = [info for info in known if info.live] or known[:1]
            if len(wanted) > 1:
                lines = tuple(_told_apart(info) for info in wanted)
                raise Choose("several sessions are live: choose with --pid, or --all", lines)
        some = [Streaming(Path(info.path), info) for info in wanted]
        if not some:
            raise SessionNotFound(f"no session is called {self.spec!r}" if self.spec else _NOTHING)
        return some

    def _export(self) -> tuple[bytes, str] | None:
        """The bytes and the name of an export file, if the source is one."""
        source = self.source
        if source is None:
            return None
        if source == "-":
            return sys.stdin.buffer.read(), "standard input"
        path = Path(source)
        if "://" in source or (path.is_dir() and (path / "MANIFEST").exists()):
            raise UnsupportedFormat(f"{source}: stores and servers are not read by this version")
        if source.isdecimal() or not path.is_file():
            return None
        with path.open("rb") as file:
            if file.read(512).lstrip()[:1] not in (b"{", b"["):
                return None
            file.seek(0)
            return file.read(), source


def source_options(function: F) -> F:
    """Adds --from, --pid, --session and --all, which reach the command as one `choice`."""

    @functools.wraps(function)
    def with_choice(
        *args: Any,
        source: str | None,
        pid: int | None,
        session: str | None,
        every: bool,
        **more: Any,
    ) -> Any:
        return function(*args, choice=Choice(source, pid, session, every), **more)

    options = (
        click.option(
            "--from",
            "source",
            metavar="SOURCE",
            help="Where to read: a pid, the name of a session or its beginning, a folder, "
            "an export file, or - for an export on standard input. By default the newest run.",
        ),
        click.option("--pid", type=int, help="Read the session of this process."),
        click.option("--session", metavar="NAME", help="Read the session of this name."),
        click.option("--all", "every", is_flag=True, help="Read every session there is."),
    )
    decorated: Any = with_choice
    for option in reversed(options):
        decorated = option(decorated)
    return cast(F, decorated)


def sessions_room() -> Sessions:
    """The module that reads sessions; WhenceError if this installation cannot."""
    try:
        return cast(Sessions, importlib.import_module("whence.collect.sessions"))
    except ImportError as error:
        raise WhenceError(
            f"sessions cannot be read here ({error}); --from FILE reads an export file"
        ) from None


_NOTHING = "no session is recorded here; run a program that records, or name a file with --from"


def _some(paths: list[Path], otherwise: str) -> list[Path]:
    if not paths:
        raise SessionNotFound(otherwise)
    return paths


def _told_apart(info: SessionInfo) -> str:
    started = clock_text(info.started_wall_ns)
    return f"--pid {info.pid}  {info.service}  started {started}  {info.name}"
