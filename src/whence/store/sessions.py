"""What a store keeps of each session but its events: who it was, its kinds, rings and gates."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from whence.model.errors import CorruptFile
from whence.model.json_fields import Fields
from whence.model.parsed_parts import parsed_gate, parsed_kind, parsed_ring, parsed_session
from whence.model.plain_parts import plain_gate, plain_kind, plain_ring, plain_session
from whence.model.recording import GateChange, KindInfo, RingLedger, SessionInfo
from whence.store.disk import Disk, read_plain_file
from whence.store.manifest import RingTally
from whence.store.place import SESSIONS

__all__ = [
    "SessionFiles",
    "StoredSession",
    "parsed_session_document",
    "read_session",
    "session_document",
    "with_tallies",
    "write_session",
]

FORMAT = "whence-json"
VERSION = 1
_NAME = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """A session as far as the store knows it; `rings` count what is stored as readable."""

    info: SessionInfo
    kinds: tuple[KindInfo, ...] = ()
    rings: tuple[RingLedger, ...] = ()
    gate_changes: tuple[GateChange, ...] = ()
    filtered: bool = False


def write_session(disk: Disk, root: Path, session: StoredSession, wall_ns: int, mode: int) -> None:
    """Replaces a session's file, durably. Raises OSError."""
    folder = root / SESSIONS
    content = session_document(session, wall_ns).encode()
    path = folder / f"{session.info.uuid}.json"
    beside = folder / f".{path.name}.new"
    disk.write(beside, content + b"\n", mode)
    disk.replace(beside, path)
    disk.sync_folder(folder)


def session_document(session: StoredSession, wall_ns: int) -> str:
    """What is known of a session, as a JSON export without events."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "exported_at_ns": wall_ns,
        "sessions": [plain_session(session.info)],
        "kinds": [plain_kind(kind) for kind in session.kinds],
        "rings": [plain_ring(ring) for ring in session.rings],
        "gates": [plain_gate(change) for change in session.gate_changes],
        **({"filtered": "what was collected"} if session.filtered else {}),
        "events": [],
    }
    return json.dumps(document, separators=(",", ":"), allow_nan=False)


def read_session(path: Path) -> StoredSession:
    """The session in such a file. Raises OSError, CorruptFile."""
    return parsed_session_document(read_plain_file(path), path.name)


def parsed_session_document(content: bytes | str, name: str) -> StoredSession:
    """The session that such a document tells of; `name` is what errors call it. CorruptFile."""
    try:
        fields = Fields(json.loads(content), name)
    except (ValueError, RecursionError) as error:
        raise CorruptFile(f"{name} is not JSON: {error}") from None
    if fields.text("format") != FORMAT or fields.integer("version") != VERSION:
        raise CorruptFile(f"{name} is of another format")
    filtered = bool(fields.text("filtered", ""))
    state = "filtered" if filtered else "stored"
    sessions = fields.each("sessions", lambda part: parsed_session(part, state))
    if len(sessions) != 1:
        raise CorruptFile(f"{name} tells of {len(sessions)} sessions instead of one")
    return StoredSession(
        info=sessions[0],
        kinds=fields.each("kinds", parsed_kind),
        rings=fields.each("rings", parsed_ring),
        gate_changes=fields.each("gates", parsed_gate),
        filtered=filtered,
    )


def with_tallies(
    session: StoredSession,
    positions: Mapping[int, int],
    tallies: Mapping[int, RingTally],
) -> StoredSession:
    """The same with ring ledgers that count up to these positions: what is not stored is lost."""
    known = {ring.ring: ring for ring in session.rings}
    rings = []
    for number, position in sorted(positions.items()):
        ring = known.get(number) or RingLedger(session.info.name, number, 0)
        tally = tallies.get(number)
        stored = min(tally.stored, position) if tally else 0
        rings.append(
            replace(
                ring,
                recorded=position,
                readable=position if session.filtered else stored,
                lost=0 if session.filtered else position - stored,
                cleared=0,
                in_flight=0,
                oldest_ns=tally.oldest_ns if tally else None,
                newest_ns=tally.newest_ns if tally else None,
                scattered=not session.filtered and stored < position,
            )
        )
    return replace(session, rings=tuple(rings))


@dataclass
class SessionFiles:
    """Reads the session files of a store; what has not changed is not read again. Any thread."""

    root: Path
    damaged: dict[str, str] = field(default_factory=dict)
    _known: dict[str, tuple[tuple[int, int, int], StoredSession]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> dict[str, StoredSession]:
        """All sessions by uuid. Damaged files are left out and told of in `damaged`."""
        with self._lock:
            found: dict[str, tuple[tuple[int, int, int], StoredSession]] = {}
            damaged: dict[str, str] = {}
            for path in self._paths():
                with contextlib.suppress(OSError):  # it was removed meanwhile
                    status = path.stat()
                    stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
                    known = self._known.get(path.stem)
                    try:
                        session = known[1] if known and known[0] == stamp else read_session(path)
                    except CorruptFile as error:
                        damaged[path.name] = str(error)
                        continue
                    found[path.stem] = (stamp, session)
            self._known, self.damaged = found, damaged
            return {uuid: session for uuid, (_, session) in found.items()}

    def _paths(self) -> list[Path]:
        try:
            names = sorted(path for path in (self.root / SESSIONS).iterdir())
        except FileNotFoundError:
            return []
        return [path for path in names if _NAME.fullmatch(path.name)]
