"""The sessions of this machine: finding them, reading them whole, following one as it grows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from whence._native import Batch
from whence.collect.events import to_events
from whence.collect.session_reader import SessionReader
from whence.model.errors import AmbiguousId, SessionNotFound, WhenceError
from whence.model.event import TraceEvent
from whence.model.recording import Damage, GateChange, KindInfo, Recording, RingLedger, SessionInfo
from whence.ring import reap
from whence.ring.folders import base_folders, session_folders
from whence.ring.session_file import read_session_file

__all__ = [
    "SessionStream",
    "all_folders",
    "damage_of",
    "default_run",
    "find_sessions",
    "holds_something",
    "list_sessions",
    "read_batches",
    "read_recording",
    "remove_session",
    "unreadable_sessions",
]

_MOST_NAMED = 10


def list_sessions(base: Path | None = None) -> list[SessionInfo]:
    """Every readable session, the newest run first and within it the newest session.

    `base` is a folder of sessions; by default all places where sessions are made.
    """
    found = _look(base)[0]
    run_start: dict[str, int] = {}
    for session in found:
        run_start[session.run] = max(run_start.get(session.run, 0), session.started_wall_ns)
    found.sort(key=lambda s: (run_start[s.run], s.run, s.started_wall_ns), reverse=True)
    return found


def default_run(sessions: Sequence[SessionInfo]) -> str | None:
    """The run that is meant where none is named; `sessions` are as `list_sessions` gives them.

    It is the newest that lives, else the newest that recorded anything, else the newest; None
    without sessions. Only where none lives are rings looked at, until one holds something.
    """
    for session in sessions:
        if session.live:
            return session.run
    fallback = sessions[0].run if sessions else None
    return next((session.run for session in sessions if holds_something(session)), fallback)


def holds_something(session: SessionInfo) -> bool:
    """Whether any of its rings has an event, or damage to tell of; costs a look at each ring."""
    try:
        reader = SessionReader(Path(session.path))
        return reader.pressure() > 0 or bool(reader.damaged)
    except (WhenceError, OSError):
        return False  # removed meanwhile


def unreadable_sessions(base: Path | None = None) -> list[Damage]:
    """The sessions that `list_sessions` leaves out, and what is wrong with each."""
    return [Damage(folder.name, "session", problem) for folder, problem in _look(base)[1]]


def all_folders(base: Path | None = None) -> list[Path]:
    """The folders of all sessions, those that cannot be read last."""
    readable = [Path(session.path) for session in list_sessions(base)]
    return [*readable, *(folder for folder, _ in _look(base)[1])]


def _look(base: Path | None) -> tuple[list[SessionInfo], list[tuple[Path, str]]]:
    """The sessions that are there, and the folders whose `session` cannot be read, with why."""
    found: list[SessionInfo] = []
    unreadable: list[tuple[Path, str]] = []
    for folder in (base,) if base else base_folders():
        for session_folder in session_folders(folder):
            try:
                found.append(read_session_file(session_folder))
            except (WhenceError, OSError) as error:
                if not _is_gone(session_folder):
                    unreadable.append((session_folder, _problem(error)))
    return found, unreadable


def _is_gone(folder: Path) -> bool:
    return not os.path.lexists(folder / "session")


def _problem(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def damage_of(session: SessionInfo) -> tuple[Damage, ...]:
    """The session's files that cannot be read, as far as headers and lengths tell; no event is
    read. Empty for a session that is gone."""
    try:
        damaged = SessionReader(Path(session.path)).check()
    except (WhenceError, OSError):
        return ()
    return tuple(Damage(session.name, *found) for found in sorted(damaged.items()))


def find_sessions(spec: str | None = None) -> list[Path]:
    """The folders, or the ring file, that `spec` means.

    It is a pid, a session's name or the unique start of it, or the path of a session's folder, of
    one of its ring files, or of a folder of sessions. Of sessions with one pid the newest is meant.
    None means a run by `default_run`. Raises SessionNotFound, whose message names what there is,
    and AmbiguousId where several names start so.
    """
    if spec and ("/" in spec or os.path.exists(spec)):
        return _sessions_at(Path(spec).absolute())
    sessions = list_sessions()
    if spec is None:
        run = default_run(sessions)
        chosen = [session for session in sessions if session.run == run]
    else:
        chosen = [session for session in sessions if str(session.pid) == spec]
        chosen = chosen[:1] or [s for s in sessions if spec and s.name.startswith(spec)]
        chosen = [s for s in chosen if s.name == spec] or chosen
        if len(chosen) > 1:
            raise _several(spec, [session.name for session in chosen])
    if not chosen:
        unreadable = [folder for folder, _ in _look(None)[1]]
        named = [folder for folder in unreadable if spec and folder.name.startswith(spec)]
        if len(named) == 1:
            return named  # reading it says what is wrong
        raise SessionNotFound(_none_found(spec, sessions, len(unreadable)))
    return [Path(session.path) for session in chosen]


def _sessions_at(path: Path) -> list[Path]:
    if path.is_file() and path.name.startswith("ring-"):
        return [path]
    if not path.is_dir():
        raise SessionNotFound(f"{path} is neither a session's folder nor a ring file")
    if (path / "session").exists() or (path / "session").is_symlink():
        return [path]
    folders = list(session_folders(path))
    if not folders:
        raise SessionNotFound(f"{path} holds no session")
    return folders


def _several(spec: str, names: Sequence[str]) -> AmbiguousId:
    message = f"{spec!r} names {len(names)} sessions: give more of the name, or --all"
    return AmbiguousId(message, tuple(names[:_MOST_NAMED]), len(names))


def _none_found(spec: str | None, sessions: Sequence[SessionInfo], unreadable: int) -> str:
    where = ", ".join(str(base) for base in base_folders())
    if not sessions and unreadable:
        return f"none of {unreadable} sessions in {where} can be read; `whence ls` says why"
    if not sessions:
        unknown = f"{spec!r} is neither a session nor a file or folder; " if spec else ""
        removed = reap.last_removed()
        hint = "run a program that records, or set WHENCE_DIR"
        told = f"the last one was removed: {removed}" if removed else hint
        return f"{unknown}no sessions in {where}; {told}"
    names = ", ".join(session.name for session in sessions[:3])
    return f"no session with pid or name {spec!r}; the newest are {names}"


def read_recording(paths: Sequence[Path]) -> Recording:
    """All that the sessions in these folders hold now, as one recording.

    Damaged rings are left out and told of in `damage`, and so is a session that cannot be read
    where others can; where none can, NotASession, UnsupportedFormat, CorruptFile or OSError says
    why. About 8 us an event.
    """
    readers, unreadable = _open_readers(paths)
    events: list[TraceEvent] = []
    rings: list[RingLedger] = []
    changes: list[GateChange] = []
    for reader in readers:
        batch, ledgers = reader.drain_with_ledgers()
        events += to_events(batch.rows())
        rings += ledgers
        changes += reader.gate_changes()
    return Recording(
        events=tuple(events),
        kinds=tuple(kind for reader in readers for kind in reader.kinds),
        sessions=tuple(reader.info for reader in readers),
        rings=tuple(rings),
        gate_changes=tuple(changes),
        damage=_damage_of_all(readers, unreadable),
    )


def read_batches(
    paths: Sequence[Path],
) -> tuple[list[tuple[SessionInfo, Batch]], tuple[KindInfo, ...], tuple[Damage, ...]]:
    """The same as native batches, one a session, with the kinds and what could not be read."""
    readers, unreadable = _open_readers(paths)
    drained = [(reader.info, reader.drain()) for reader in readers]
    kinds = tuple(kind for reader in readers for kind in reader.kinds)
    return drained, kinds, _damage_of_all(readers, unreadable)


def _damage_of_all(
    readers: Sequence[SessionReader], unreadable: Sequence[Damage]
) -> tuple[Damage, ...]:
    damaged = (
        Damage(reader.info.name, file, problem)
        for reader in readers
        for file, problem in sorted(reader.damaged.items())
    )
    return (*damaged, *unreadable)


def _open_readers(paths: Sequence[Path]) -> tuple[list[SessionReader], list[Damage]]:
    readers: list[SessionReader] = []
    unreadable: list[Damage] = []
    first_error: Exception | None = None
    for path in paths:
        try:
            readers.append(SessionReader(path))
        except (WhenceError, OSError) as error:
            first_error = first_error or error
            if not _is_gone(path):
                unreadable.append(Damage(path.name, "session", _problem(error)))
    if first_error is not None and not readers:
        raise first_error
    return readers, unreadable


def remove_session(path: Path) -> None:
    """Removes a dead session's folder after it was recovered, leaving a line in the tombstones.

    Raises ValueError for a live session, NotASession, OSError.
    """
    reap.remove_session(read_session_file(path), "recovered and removed on request")


class SessionStream:
    """Follows one session: each poll gives what is new. One thread at a time."""

    def __init__(self, path: Path) -> None:
        self._reader = SessionReader(path)

    @property
    def info(self) -> SessionInfo:
        """The session, as it was at the last poll."""
        return self._reader.info

    @property
    def lost(self) -> int:
        """Events overwritten before a poll read them, those older than the first poll included."""
        return self._reader.lost

    @property
    def kinds(self) -> tuple[KindInfo, ...]:
        """The kinds that the session has declared by now."""
        return self._reader.declared()

    def poll(self) -> list[TraceEvent]:
        """Events since the last poll, in order of time. Looks first whether the process lives,
        so an empty answer with `info.live` False is the end."""
        self._reader.refresh()
        return to_events(self._reader.drain().rows())

    def ledger(self) -> tuple[RingLedger, ...]:
        """The ledger of every ring at this moment, read from the oldest event on."""
        return SessionReader(self._reader.folder).drain_with_ledgers()[1]
