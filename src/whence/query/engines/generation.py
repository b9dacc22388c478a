"""One generation of a store: its files, and what it knows of its sessions."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from whence.model.errors import CorruptFile
from whence.model.query import TraceQuery
from whence.model.recording import Damage, Recording
from whence.query.engines.known import Known, without_events
from whence.query.engines.narrowed import narrowed
from whence.store.folder import Snapshot
from whence.store.manifest import Segment
from whence.store.retention import cut_of, dropped_before_ns

__all__ = ["Generation", "check_files"]


class Generation(Known):
    """What one generation of the store means."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(snapshot.sessions)
        self.root = snapshot.root
        self.manifest = snapshot.manifest
        self.dropped_before_ns = dropped_before_ns(snapshot.manifest)
        self.hidden = snapshot.hidden
        self.cut = cut_of(snapshot.manifest)
        trouble = snapshot.trouble
        self.damage = (Damage("", "MANIFEST", trouble),) if trouble else ()

    def without_events(self, names: set[str] | None) -> Recording:
        """What is known of these sessions, or of all, and of what the store lacks."""
        return replace(
            without_events(self.of(names), self.damage, self.dropped_before_ns),
            cut_ids=self.cut.ids,
            cut_before_ns=self.cut.before_ns,
        )

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
