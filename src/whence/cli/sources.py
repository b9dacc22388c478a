"""Turns --from, --pid, --session and --all into a recording, the same way for every command."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import click

from whence.cli.render.ledger import damage_lines
from whence.cli.render.page import line, print_lines
from whence.cli.render.safe import safe
from whence.cli.render.waiting import waiting
from whence.model.errors import SessionNotFound, UnsupportedFormat, WhenceError
from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.recording import Damage, KindInfo, Recording, RingLedger, SessionInfo
from whence.query.engines.engine import Engine
from whence.query.engines.shapes import Budget
from whence.receive.compressed import is_compressed

__all__ = [
    "Choice",
    "Sessions",
    "Stream",
    "find_sessions",
    "is_cluster",
    "is_export",
    "is_store",
    "read_sessions",
    "sessions_room",
    "source_options",
    "tell_unreadable",
]

F = TypeVar("F", bound=Callable[..., Any])


class Stream(Protocol):
    """A cursor over one session."""

    @property
    def info(self) -> SessionInfo:
        """The session as it was at the last poll."""

    @property
    def lost(self) -> int:
        """Events overwritten before a poll read them, those older than the first poll included."""

    @property
    def kinds(self) -> Sequence[KindInfo]:
        """The kinds that the session declared, as far as they can be read now."""

    def poll(self) -> list[TraceEvent]:
        """Events since the last call, in order of time."""

    def ledger(self) -> Sequence[RingLedger]:
        """The counts of the session's rings now."""


class Sessions(Protocol):
    """What reads sessions: the module whence.collect.sessions."""

    SessionStream: Callable[[Path], Stream]

    def list_sessions(self, base: Path | None = None) -> list[SessionInfo]:
        """All sessions that can be found, those of the newest run first."""

    def unreadable_sessions(self, base: Path | None = None) -> Sequence[Damage]:
        """The sessions that are left out of that list, and what is wrong with each."""

    def all_folders(self, base: Path | None = None) -> list[Path]:
        """The folders of all sessions, those that cannot be read last."""

    def holds_something(self, session: SessionInfo) -> bool:
        """Whether the session has events, or damage to tell of."""

    def damage_of(self, session: SessionInfo) -> Sequence[Damage]:
        """The session's files that cannot be read, as far as a look at their headers tells."""

    def find_sessions(self, spec: str | None = None) -> list[Path]:
        """The folders that a pid, a name or its beginning or a path means.

        None: those of the newest run that lives, else of the newest with events. SessionNotFound if
        there are none.
        """

    def read_recording(self, paths: Sequence[Path]) -> Recording:
        """What the sessions hold now."""


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

    @property
    def words(self) -> tuple[str, ...] | None:
        """The options as they were given; None for standard input, which is read only once."""
        if self.source == "-":
            return None
        if self.pid is not None:
            return "--pid", str(self.pid)
        if self.session is not None:
            return "--session", self.session
        if self.source is not None:
            return "--from", _shown(self.source)
        return ("--all",) if self.all_sessions else ()

    @property
    def is_store(self) -> bool:
        """Whether the source is a store, which is asked rather than read."""
        return self.source is not None and is_store(self.source)

    def engine(self) -> Engine:
        """What answers questions about the source; close it after use.

        Raises what recording() raises, and WhenceError where what reads stores is not installed.
        """
        if self.source is not None and is_store(self.source):
            return _store_engine(self.source)
        from whence.query.engines.memory import InMemory

        return InMemory(self.recording())

    def recording(self) -> Recording:
        """The recording to read; by default that of the newest run that lives, or has events.

        A store must be small enough to be held, else BudgetExceeded is raised. Raises
        SessionNotFound, UnsupportedFormat, CorruptFile and OSError.
        """
        if self.is_store:
            with contextlib.closing(self.engine()) as engine, waiting("reading the store"):
                return engine.recording(TraceQuery(), Budget())
        export = self._export()
        if export is not None:
            return _parsed(*export)
        return read_sessions(self.paths())

    def paths(self) -> list[Path]:
        """The folders, or the one ring file, to read; SessionNotFound if there are none."""
        if self.spec is not None and not self.spec.isdecimal() and Path(self.spec).is_file():
            return [Path(self.spec)]
        room = sessions_room()
        if self.spec is None and self.all_sessions:
            found = room.all_folders()
        else:
            found = find_sessions(self.spec)
        if not found:
            raise SessionNotFound(_NOTHING)
        if self.spec is None and not self.all_sessions:
            _tell_newer(found)
        return found

    def streams(self) -> list[Stream]:
        """Cursors over the sessions to follow: those chosen, else all of the default run.

        An export is a stream that has ended: its first poll gives all its events.
        """
        if (export := self._export()) is not None:
            return _ended_streams(_parsed(*export))
        return _live_streams(self.paths())

    def _export(self) -> tuple[bytes, str] | None:
        """The bytes and the name of an export file, if the source is one."""
        source = self.source
        if source is None:
            return None
        if source == "-":
            return sys.stdin.buffer.read(), "standard input"
        path = Path(source)
        if is_store(source):
            raise UnsupportedFormat(
                f"{_shown(source)} is a store; this reads processes and exports"
            )
        if "://" in source:
            raise UnsupportedFormat(f"{_shown(source)}: servers are not read by this version")
        return (path.read_bytes(), source) if is_export(source) else None


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
            "an export file, - for an export on standard input, a store, or clickhouse://. By "
            "default the newest run that lives, or if none does, that recorded anything.",
        ),
        click.option("--pid", type=int, help="Read the session of this process."),
        click.option("--session", metavar="NAME", help="Read the session of this name."),
        click.option("--all", "every", is_flag=True, help="Read every session there is."),
    )
    decorated: Any = with_choice
    for option in reversed(options):
        decorated = option(decorated)
    return cast(F, decorated)


def is_export(source: str) -> bool:
    """Whether the source is a file that begins as an export does, compressed or not."""
    path = Path(source)
    if source.isdecimal() or not path.is_file():
        return False
    with path.open("rb") as file:
        beginning = file.read(512)
    return beginning.lstrip()[:1] in (b"{", b"[") or is_compressed(beginning)


def is_store(source: str) -> bool:
    """Whether the source is the folder of a store, or a ClickHouse database."""
    if is_cluster(source):
        return True
    folder = Path(source)
    return "://" not in source and any((folder / name).is_file() for name in _STORE_FILES)


_STORE_FILES = ("MANIFEST", "MANIFEST.previous")


def is_cluster(source: str) -> bool:
    """Whether the source is a ClickHouse database."""
    return source.partition("://")[0].lower() in ("clickhouse", "clickhouses") and "://" in source


def _shown(source: str) -> str:
    """A source as people may see it: its password, if it has one, comes from the environment."""
    if not is_cluster(source):
        return source
    from whence.store.clickhouse.place import without_password

    return without_password(source)


def _cluster_engine(source: str) -> Engine:
    from whence.query.engines.cluster import ClusterEngine
    from whence.store.clickhouse.http import Client
    from whence.store.clickhouse.place import read_place

    try:
        place = read_place(source)
    except ValueError as error:
        raise UnsupportedFormat(str(error)) from None
    return ClusterEngine(Client(place))


def _store_engine(source: str) -> Engine:
    try:
        if is_cluster(source):
            return _cluster_engine(source)
        from whence.query.engines.folder import FolderEngine
    except ImportError as error:
        raise WhenceError(
            f"stores cannot be read here ({error}): pip install 'whence[store]'"
        ) from None
    engine = FolderEngine(source)
    print_lines(damage_lines(engine.damage), err=True)
    return engine


def find_sessions(spec: str | None) -> list[Path]:
    """What `spec` means, as `whence.collect.sessions` finds it; None is its default run.

    Raises SessionNotFound; of a path that leads nowhere it says so.
    """
    if spec is not None and ("/" in spec or spec.endswith(".json")) and not os.path.exists(spec):
        raise SessionNotFound(f"{spec} does not exist")
    return sessions_room().find_sessions(spec)


def read_sessions(paths: Sequence[Path]) -> Recording:
    """What the sessions in these folders hold; of a ring's file, what that ring holds."""
    room = sessions_room()
    if len(paths) != 1 or not paths[0].is_file():
        return room.read_recording(paths)
    path = paths[0].absolute()
    if not (path.parent / "session").is_file():
        raise UnsupportedFormat(f"{path} is neither a JSON export nor a file of a session")
    whole = room.read_recording([path.parent])
    number = path.name.removeprefix("ring-")
    if number == path.name or not number.isdecimal():
        return whole
    return replace(
        whole,
        events=tuple(event for event in whole.events if event.ring == int(number)),
        rings=tuple(ring for ring in whole.rings if ring.ring == int(number)),
        damage=tuple(d for d in whole.damage if d.file in (path.name, "names", "gates")),
    )


def _tell_newer(chosen: Sequence[Path]) -> None:
    """Say which newer sessions are passed over: that cannot be read, or ended while others live."""
    room = sessions_room()
    newest = max(path.name for path in chosen)  # names begin with the time
    newer = [torn for torn in room.unreadable_sessions() if torn.session > newest]
    print_lines(damage_lines(newer), err=True)
    read = {str(path) for path in chosen}
    for session in room.list_sessions():
        if session.path in read:
            return
        if room.holds_something(session):
            text = f"A newer run has ended: --session {session.name} reads it"
            print_lines([line((safe(text), "dim"))], err=True)
            return


def tell_unreadable(recording: Recording) -> None:
    """Say on standard error which sessions could not be read at all: no ledger speaks of them."""
    unreadable = [damage for damage in recording.damage if damage.file == "session"]
    print_lines(damage_lines(unreadable), err=True)


def sessions_room() -> Sessions:
    """The module that reads sessions; WhenceError if this installation cannot."""
    try:
        return cast(Sessions, importlib.import_module("whence.collect.sessions"))
    except ImportError as error:
        raise WhenceError(
            f"sessions cannot be read here ({error}); --from FILE reads an export file"
        ) from None


_NOTHING = "no session is recorded here; run a program that records, or name a file with --from"


def _parsed(content: bytes, name: str) -> Recording:
    from whence.receive.json_export import parse_json_export

    return parse_json_export(content, name)


def _live_streams(paths: Sequence[Path]) -> list[Stream]:
    """Cursors over these sessions; one that cannot be read is told of if others can."""
    room = sessions_room()
    streams: list[Stream] = []
    problems: list[Damage] = []
    for path in paths:
        try:
            streams.append(room.SessionStream(path))
        except (WhenceError, OSError) as error:
            if len(paths) == 1:
                raise
            problems.append(Damage(path.name, "session", str(error)))
    print_lines(damage_lines(problems), err=True)
    if not streams:
        raise SessionNotFound("none of these sessions can be read")
    return streams


class _EndedStream:
    """All that an export holds of one session, given by the first poll."""

    lost = 0

    def __init__(
        self, info: SessionInfo, kinds: Sequence[KindInfo], events: Sequence[TraceEvent]
    ) -> None:
        self.info = replace(info, live=False)
        self.kinds = kinds
        self._events = list(events)

    def poll(self) -> list[TraceEvent]:
        events, self._events = self._events, []
        return events

    def ledger(self) -> Sequence[RingLedger]:
        return ()


def _ended_streams(recording: Recording) -> list[Stream]:
    events: defaultdict[str, list[TraceEvent]] = defaultdict(list)
    for event in recording.events:
        events[event.session].append(event)
    return [
        _EndedStream(recording.session(name) or SessionInfo(name), recording.kinds, found)
        for name, found in events.items()
    ]
