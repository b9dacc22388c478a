"""One generation of a store: its files, and what it knows of its sessions."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from whence.model.errors import CorruptFile
from whence.model.query import TraceQuery
from whence.model.recording import Damage, KindInfo
from whence.query.engines.narrowed import narrowed
from whence.query.engines.session_names import SessionNames
from whence.query.sql.statement import is_storable
from whence.store.folder import Snapshot
from whence.store.manifest import Segment
from whence.store.sessions import StoredSession

__all__ = ["Generation", "check_files"]


class Generation:
    """What one generation of the store means."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.root = snapshot.root
        self.manifest = snapshot.manifest
        self.sessions: Mapping[int, StoredSession] = snapshot.sessions
        self.names = SessionNames({key: each.info.name for key, each in self.sessions.items()})
        trouble = snapshot.trouble
        self.damage = (Damage("", "MANIFEST", trouble),) if trouble else ()

    @property
    def kinds(self) -> Iterator[KindInfo]:
        """What all sessions declared."""
        return (kind for each in self.sessions.values() for kind in each.kinds)

    @property
    def decisions(self) -> list[str]:
        """The kinds that were declared to be decisions."""
        decisions = (kind.name for kind in self.kinds if kind.decision)
        return sorted({name for name in decisions if is_storable(name)})

    def keys_of(self, name: str | None) -> list[int]:
        """The keys of the sessions of that name."""
        return [key for key, each in self.sessions.items() if each.info.name == name]

    def of(self, names: set[str] | None) -> list[StoredSession]:
        """What is known of these sessions, or of all."""
        return [e for e in self.sessions.values() if names is None or e.info.name in names]

    def narrowed(self, query: TraceQuery) -> tuple[list[Segment], TraceQuery]:
        """The files that may hold matching events, and the question of the time of these."""
        since, until = query.from_wall_ns, query.until_wall_ns
        files = [
            each
            for each in self.manifest.files
            if (since is None or each.max_ts >= since) and (until is None or each.min_ts < until)
        ]
        return narrowed(self.root, files, query)


def check_files(root: Path, files: Iterable[Segment]) -> None:
    """Raises CorruptFile for what is not of its size, FileNotFoundError for what is gone.

    A pipe in the place of a file would never end, nor let itself be cancelled.
    """
    for each in files:
        size = os.lstat(root / each.name).st_size
        if size != each.bytes:
            raise CorruptFile(
                f"{each.name} has {size} bytes instead of {each.bytes}: "
                "`whence doctor` tells what is left of the store"
            )
