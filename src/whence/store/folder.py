"""FolderStore: a folder of segments under one manifest; one process appends, any number read."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from whence.collect.sink_ledger import SinkLedger
from whence.model.errors import NotAStore
from whence.model.store_settings import checked_promoted
from whence.store.disk import Disk
from whence.store.hidden import (
    asked_to_forget,
    hidden_by,
    put_forgotten,
    with_tombstones,
)
from whence.store.manifest import (
    Manifest,
    RingTally,
    Segment,
    commit_note,
)
from whence.store.next_manifest import next_manifest
from whence.store.owned_folder import OwnedFolder, is_full
from whence.store.owner import Owner, OwnerLock, owner_of
from whence.store.place import (
    MANIFEST,
    QUARANTINE,
    RESERVE,
    SESSIONS,
    check_place,
)
from whence.store.promoted import promoted_names
from whence.store.recovery import Found, find_manifest, rebuilt_manifest
from whence.store.replaced import exchanged
from whence.store.rewriting import Rewritten
from whence.store.segment import days_of, encode_segment, in_order
from whence.store.sessions import (
    SessionFiles,
    StoredSession,
    read_session,
    write_session,
)
from whence.store.shipped import put_shipped, told_file, without_place
from whence.store.snapshot import Snapshot
from whence.store.upkeep import Upkeep

__all__ = ["FolderStore", "Snapshot"]

CHECKED_BYTES = 256 << 20


class FolderStore(OwnedFolder):
    """A store in a folder. Any thread takes snapshot()s; one thread of one process writes.

    With `write` this process becomes the owner, who alone may append(): StoreOwned names another
    one. The folder is made if there is none, what a killed owner left half done is swept away, and
    what is damaged is put into quarantine/ and told of in `trouble`: it never keeps a store from
    opening. With `rebuild` the manifest is made anew from what the segments say of themselves.
    `words` say what the owner is. Raises NotAStore for a folder of other things,
    UnsupportedFormat for a store of another version, OSError.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        write: bool = False,
        words: str = "",
        disk: Disk | None = None,
        checked_bytes: int = CHECKED_BYTES,
        rebuild: bool = False,
    ) -> None:
        super().__init__(path, disk)
        self._sessions = SessionFiles(self.path)
        if not write:
            self._manifest = find_manifest(self.path).manifest
            return
        check_place(self.path)
        self._make_folder()
        self._lock = OwnerLock(self.path, words, self._mode)
        try:
            self._manifest = self._opened(checked_bytes, rebuild)
        except BaseException:
            self._lock.close()
            raise

    @property
    def name(self) -> str:
        """As collectors show it."""
        return f"store:{self.path}"

    # ---- reading: any process, any thread

    def snapshot(self) -> Snapshot:
        """The newest generation. Costs a file read of some kilobytes; raises OSError."""
        asked = asked_to_forget(self.path)  # before: the manifest has what is here no more
        found = find_manifest(self.path)
        manifest = found.manifest
        if asked:
            more = [each for request in asked.values() for each in request]
            tombstones = with_tombstones(manifest.tombstones, more)
            manifest = replace(manifest, tombstones=tombstones)
        return Snapshot(self.path, manifest, found.trouble, self._sessions)

    def hide(self, ids: Collection[str], *, traces: bool = False) -> None:
        """Forgets requests, or traces given as 32 hexadecimal digits; any process may.

        Every snapshot from now on says so. The owner, or the next one, takes it into the manifest
        and rewrites the files that hold such rows; on a full disk the reserve is given up for that.
        Raises ValueError, OSError.
        """
        for attempt in (1, 2):
            try:
                put_forgotten(self._disk, self.path, ids, trace=traces, mode=self._open_mode())
                return
            except OSError as error:
                reserve = self.path / RESERVE
                if attempt == 2 or not is_full(error) or not reserve.exists():
                    raise
                self._disk.unlink(reserve)  # kept for what makes room

    def mark_shipped(self, place: str, segments: Collection[str]) -> None:
        """Says that a place has copies of exactly these segments; any process may. OSError."""
        put_shipped(self._disk, self.path, place, segments, self._open_mode())

    def damaged_sessions(self) -> dict[str, str]:
        """The session files that cannot be read, and why."""
        self._sessions.read()
        return dict(self._sessions.damaged)

    def owner(self) -> Owner | None:
        """Who writes here now, if anybody does."""
        return owner_of(self.path)

    # ---- writing: the owner, one thread

    def append(
        self,
        table: pa.Table,
        positions: Mapping[str, Mapping[int, int]] | None = None,
        ledger: SinkLedger | None = None,
        *,
        rings: Mapping[str, Mapping[int, RingTally]] | None = None,
        undelivered_in: Collection[str] | None = None,
        filtered: bool = False,
        forget: Collection[str] = (),
    ) -> Manifest:
        """Adds rows, and in the same breath moves the positions and replaces the ledger.

        `table` has the columns of whence.store.columns, in any order of rows; it may be empty.
        `positions` are the next tickets of the rings that moved, `ledger` counts everything
        settled up to them, `rings` are the new tallies of these rings. What is left out stays as
        it was. `forget` names sessions whose positions are needed no more. Rows that move no
        position are there already, and nothing changes.

        Returns once all of it is on the disk and readers see it: rows, positions and ledger, or,
        when it raises, none of them. Raises OSError, StoreOwned once the store was lost, ValueError
        for a position that goes back. After an OSError look whether `manifest.generation` has
        moved: then readers see the rows already, but it is not sure that they survive a power cut;
        call sync() until it returns.
        """
        self._check_owned()
        old = self._manifest
        rings, positions = rings or {}, positions or {}
        new = next_manifest(
            old, len(table), positions, ledger, rings, undelivered_in, filtered, forget
        )
        if new is None:
            self.sync()
            return self._manifest
        parts = list(days_of(in_order(table))) if len(table) else []
        commit = commit_note(new, len(parts), positions, rings)
        hidden = hidden_by(new.tombstones)
        written: list[Segment] = []
        try:
            for part in parts:
                segment = encode_segment(part, 0, commit, promote=promoted_names(new))
                if hidden and hidden.rows_of(part) is None:
                    segment = segment._replace(
                        segment=replace(segment.segment, cleared=hidden.number)
                    )
                written.append(segment.segment)
                self._write_segment(segment)
            self._commit(replace(new, files=(*new.files, *written)))
        except BaseException as error:
            self.is_full = is_full(error)
            if self._manifest is old:
                self._take_away(written)
            raise
        self.is_full = False
        return self._manifest

    def keep(self, *, days: float | None = None, size: int | None = None) -> None:
        """Limits the age in days and the size in bytes; 0 for no limit, None leaves it.

        Raises as append(), ValueError for a limit below 0.
        """
        limits = {"keep_days": days, "keep_bytes": size}
        if any(value is not None and not value >= 0 for value in limits.values()):
            raise ValueError("a store keeps some days or bytes, or 0 for without end")
        new = {name: value for name, value in limits.items() if value is not None}
        settings = {**self._manifest.settings, **new}
        if settings != self._manifest.settings:
            self.commit(replace(self._manifest, settings=settings))
        self.reserve()

    def promote(self, names: Collection[str], *, demote: Collection[str] = ()) -> None:
        """Gives these attributes columns of their own, in files written from now on.

        Those it has stay, but for the ones to `demote`. Raises as append(), ValueError for what
        can be no column's name.
        """
        before = promoted_names(self._manifest)
        wanted = checked_promoted({*before, *names} - set(demote))
        if wanted != before:
            settings = {**self._manifest.settings, "promoted": list(wanted)}
            self.commit(replace(self._manifest, settings=settings))

    def leave_place(self, place: str) -> None:
        """Waits no longer for copies in a place: old days go without them. Raises as append()."""
        self._check_owned()
        self._disk.unlink(told_file(self.path, place))
        self.commit(without_place(self._manifest, place))

    def commit_note(self, replaces: Sequence[str], segments: int = 1) -> dict[str, Any]:
        """What each segment that takes the place of others says of the commit that is next."""
        new = replace(self._manifest, generation=self._manifest.generation + 1)
        waiting = [each.name for each in new.replaced]
        note = commit_note(new, segments, new.positions, new.rings)
        return note | {"replaces": [*replaces, *waiting]}

    def exchange(
        self,
        gone: Collection[Segment],
        made: Sequence[Rewritten] = (),
        change: Callable[[Manifest], Manifest] | None = None,
    ) -> Manifest:
        """Puts segments, whose files lie beside durably, in the place of those that go.

        The files of these stay, as `replaced`, for who reads an earlier generation. With `change`,
        which the same commit makes besides, it is to free room, and uses what is kept for that.
        Raises as append().
        """
        self._check_owned()
        old = self._manifest
        new = exchanged(old, gone, [(each.segment, each.inputs) for each in made])
        placed: list[Segment] = []
        try:
            for each in made:
                path = self.path / each.segment.name
                placed.append(each.segment)
                if each.links is not None:
                    self._write_links(each.segment, each.links)
                self._disk.replace(each.beside, path)
                self._disk.sync_folder(path.parent)
            self.commit_freeing(change(new)) if change else self.commit(new)
        except BaseException:
            if self._manifest is old:
                self._take_away(placed, *(each.beside for each in made))
            raise
        return self._manifest

    def compact(self) -> int:
        """Merges what can be merged and drops what was forgotten; how many merges. Raises OSError.

        For an owner without a thread that does it; some microseconds a row.
        """
        self._check_owned()
        upkeep = Upkeep(self)
        upkeep.finish(all_days=True)
        return upkeep.merges

    def purge(self) -> None:
        """Rewrites the files that hold what was forgotten, and deletes the old ones at once.

        Who reads an earlier generation reads the manifest again. Raises OSError.
        """
        self._check_owned()
        Upkeep(self).purge()

    def put_session(self, session: StoredSession) -> None:
        """Keeps what is known of a session, durably; before the rows that need it. OSError."""
        self._check_owned()
        self._disk.make_folder(self.path / SESSIONS, self._folder_mode)
        write_session(self._disk, self.path, session, time.time_ns(), self._mode)

    def sessions(self) -> dict[str, StoredSession]:
        """What is known of all sessions, by uuid, as their files have it."""
        return self._sessions.read()

    def session(self, uuid: str) -> StoredSession:
        """What is known of one session, as its file has it. Raises OSError, CorruptFile."""
        return read_session(self.path / SESSIONS / f"{uuid}.json")

    def close(self) -> None:
        """Gives the store up to another owner. May come twice."""
        if self._lock is not None:
            self._lock.close()

    leave_behind = close
    """In a forked child: the lock stays the parent's."""

    def __enter__(self) -> Self:
        """The store itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes."""
        self.close()

    # ---- opening

    def _make_folder(self) -> None:
        """A new one is the user's alone; in one that is there files are as open as the folder."""
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._disk.make_folder(self.path)
        self._mode = self._open_mode()

    def _opened(self, checked_bytes: int, rebuild: bool) -> Manifest:
        try:
            found = rebuilt_manifest(self.path) if rebuild else find_manifest(self.path)
        except NotAStore:
            self._manifest = Manifest(store=str(uuid.uuid4()))
            self._commit(replace(self._manifest, generation=1))
            return self._manifest
        self._manifest = found.manifest
        if found.trouble:
            self._go_on_from(found)
        self._check_files(checked_bytes)
        self._sweep()
        self.reserve()
        return self._manifest

    def _go_on_from(self, found: Found) -> None:
        """Makes a recovered state the store's; what could not be taken in goes into quarantine."""
        self.trouble.append(found.trouble)
        if (self.path / MANIFEST).exists():
            self._quarantine(MANIFEST)
        for name in found.unknown:
            self._quarantine(name)
            self.trouble.append(f"{name} could not be taken in and is in {QUARANTINE}/")
        store = found.manifest.store or str(uuid.uuid4())
        self._commit(replace(found.manifest, store=store))
