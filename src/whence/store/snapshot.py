"""What a reader sees of a store: one generation, its files and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from whence.store.hidden import Hidden, hidden_by
from whence.store.manifest import Manifest
from whence.store.sessions import SessionFiles, StoredSession, with_tallies

__all__ = ["Snapshot"]


@dataclass(frozen=True)
class Snapshot:
    """One generation of a store: its files and what they mean. Immutable; threads may share it.

    `trouble` says what was damaged, if the manifest was. A file may be gone once another
    generation has replaced it: take a new snapshot and read that.
    """

    root: Path
    manifest: Manifest
    trouble: str = ""
    _files: SessionFiles | None = field(default=None, repr=False, compare=False)

    @property
    def generation(self) -> int:
        """Grows with every commit; the same generation has the same files."""
        return self.manifest.generation

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The segments that count, and no others."""
        return tuple(self.root / each.name for each in self.manifest.files)

    @cached_property
    def hidden(self) -> Hidden:
        """The rows in these files that must not be seen."""
        return hidden_by(self.manifest.tombstones)

    @cached_property
    def sessions(self) -> Mapping[int, StoredSession]:
        """The sessions by the key that rows hold; read when first asked for."""
        files = self._files or SessionFiles(self.root)
        positions, rings = self.manifest.positions, self.manifest.rings
        return {
            each.info.key: with_tallies(each, positions[uuid], rings.get(uuid, {}))
            if uuid in positions
            else each
            for uuid, each in files.read().items()
        }
