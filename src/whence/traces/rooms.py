"""Where traces are kept: a folder store, this process's memory, or a cluster that is only read."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from whence import _native
from whence.background_store import BackgroundStore, background_store, keep
from whence.collect.local import local_session
from whence.emit.recorder import session, start
from whence.model.errors import AlreadyStarted, NotAStore, NotStored, ReadOnly
from whence.model.event import TraceEvent
from whence.model.store_settings import StoreSettings
from whence.query.engines.engine import Engine
from whence.query.engines.resting import Resting
from whence.trace_collector import TraceCollector

if TYPE_CHECKING:
    from whence.store.memory import MemoryStore

__all__ = ["ClusterRoom", "FolderRoom", "MemoryRoom", "Room", "open_room"]

LOOK_S = 0.02  # how often a store that somebody else owns is looked at, while a reader waits


class Room(Protocol):
    """Keeps the events of traces and is asked for them. Any thread."""

    name: str
    writable: bool
    settles_by_itself: bool
    drops_by_itself: bool

    @property
    def followed(self) -> str | MemoryStore | None:
        """What a Tail follows; None if nothing can."""

    @property
    def folder(self) -> Path | None:
        """Where files that belong to it may lie; None if there is no such place."""

    @property
    def owns(self) -> bool:
        """Whether this process writes to the store at present."""

    def record(self, event: TraceEvent) -> None:
        """Records an event. Raises NotStored when what was recorded before cannot be stored."""

    def settle(self, timeout_s: float) -> None:
        """Returns once readers see what was recorded before. Raises NotStored, which says why."""

    def asking(self) -> contextlib.AbstractContextManager[Engine]:
        """An engine for one question, or several, of one thread."""

    def hide(self, trace_ids: Collection[str]) -> None:
        """Hides traces from every question from now on. Raises OSError."""

    def close(self, timeout_s: float) -> None:
        """Stores what is recorded, as far as there is time, and gives the rest back."""


def open_room(
    source: str | os.PathLike[str],
    *,
    keep_days: float | None = None,
    buffer_size: int = 10_000,
    wait_s: float = 30.0,
) -> Room:
    """What a data source means: "memory", clickhouse://..., or a folder.

    Raises what a store of that sort does, and AlreadyStarted where this process keeps another one.
    """
    text = os.fspath(source)
    if text == "memory":
        return MemoryRoom(buffer_size)
    if text.partition("://")[0].lower() in ("clickhouse", "clickhouses") and "://" in text:
        return ClusterRoom(text)
    if "://" in text:
        raise ValueError(f"{text!r} is no data source: a folder, memory or clickhouse://HOST/NAME")
    return FolderRoom(text, keep_days=keep_days, buffer_size=buffer_size, wait_s=wait_s)


class FolderRoom:
    """A folder store, kept by this process or by another one that was first.

    Events go into a ring of this process, as all events do, and from there into the store: by this
    process's own thread, or by the owner's. Only the store is read, so nothing is seen twice. At
    most half the ring waits to be stored: then recording waits, for `wait_s` at most.
    """

    def __init__(
        self,
        path: str,
        *,
        keep_days: float | None = None,
        buffer_size: int = 10_000,
        wait_s: float = 30.0,
    ) -> None:
        self.path = os.path.realpath(path)
        self.name = f"store:{self.path}"
        self._kept, self._named, self._ours = _kept_store(self.path, keep_days)
        self._wait_s = wait_s
        self._ring = TraceCollector(buffer_size)
        self._half = max(1, buffer_size // 2)
        self._half_bytes = max(buffer_size * 448, 65_536) // 2
        self._lock = threading.Lock()
        self._settling = threading.Lock()
        self._recorded = self._settled = 0
        self._bytes = self._settled_bytes = 0
        self._readers = Resting(self._engine)

    writable = True
    settles_by_itself = True
    drops_by_itself = True

    @property
    def followed(self) -> str:
        """The folder."""
        return self.path

    @property
    def folder(self) -> Path:
        """The folder."""
        return Path(self.path)

    @property
    def owns(self) -> bool:
        """Whether this process's thread owns the folder."""
        return self._kept.owns

    @property
    def kept(self) -> BackgroundStore:
        """The thread that keeps the store."""
        return self._kept

    def record(self, event: TraceEvent) -> None:
        """Records into this process's ring; waits while half of it is not stored yet."""
        if (
            self._recorded - self._settled >= self._half
            or self._bytes - self._settled_bytes >= self._half_bytes
        ):
            self.settle(self._wait_s)
        self._ring.record(event)
        size = _text_bytes(event)
        with self._lock:
            self._recorded += 1
            self._bytes += size

    def settle(self, timeout_s: float) -> None:
        """Has the store take all that this process has recorded, its kinds' events included."""
        with self._lock:
            wanted, size = self._recorded, self._bytes
        if wanted <= self._settled:
            return
        end_s = time.monotonic() + timeout_s
        if not self._settling.acquire(timeout=max(0.0, timeout_s)):
            raise NotStored(f"others wait for {self.name} already, and there was no time left")
        try:
            if wanted > self._settled:
                self._wait_until_stored(end_s)
                self._settled, self._settled_bytes = wanted, size
        finally:
            self._settling.release()

    def asking(self) -> contextlib.AbstractContextManager[Engine]:
        """An engine over the folder."""
        return self._readers.one()

    def hide(self, trace_ids: Collection[str]) -> None:
        """Leaves word with the owner, whoever that is; readers obey it from now on."""
        from whence.store.folder import FolderStore

        FolderStore(self.path).hide(list(trace_ids), traces=True)

    def close(self, timeout_s: float) -> None:
        """Stores the rest; the keeping ends if this began it."""
        with contextlib.suppress(NotStored):
            self.settle(timeout_s)
        self._readers.close()
        if self._ours:
            self._kept.stop(timeout_s)

    def _wait_until_stored(self, end_s: float) -> None:
        info = local_session()
        if info is None:
            return
        ends = {
            ring.ring: sum(row[0] for _, row in ring.counts()) for ring in _native.local_rings()
        }
        never = threading.Event()
        while not _reaches(self._positions(info.uuid), ends):
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                raise NotStored(self._why_not())
            if self._kept.owns:
                self._kept.flush(left_s)
                if _reaches(self._positions(info.uuid), ends):
                    return
                if self._kept.is_full:
                    raise NotStored(self._why_not())
            elif self._kept.owner and not self._named:
                raise NotStored(
                    f"{self._kept.owner}, and this process began to record before it named "
                    f"{self.name}: make the service, or call whence.start(store=...), first"
                )
            never.wait(min(LOOK_S, left_s))

    def _why_not(self) -> str:
        reason = self._kept.trouble or self._kept.owner or "there was no time left"
        return f"what was recorded is not in {self.name} yet: {reason}"

    def _positions(self, uuid: str) -> Mapping[int, int]:
        from whence.store.folder import FolderStore

        try:
            return FolderStore(self.path).manifest.positions.get(uuid, {})
        except (NotAStore, OSError):  # it is being made
            return {}

    def _engine(self) -> Engine:
        from whence.query.engines.folder import FolderEngine

        end_s = time.monotonic() + self._wait_s
        while True:
            try:
                return FolderEngine(self.path)
            except NotAStore:  # it is being made
                if time.monotonic() > end_s or self._kept.trouble:
                    raise
                threading.Event().wait(LOOK_S)


class MemoryRoom:
    """A store in this process's memory, which ends with it; nothing else is kept there."""

    name = "memory"
    writable = True
    owns = True
    settles_by_itself = False
    drops_by_itself = False
    folder = None

    def __init__(self, buffer_size: int = 10_000) -> None:
        from whence.query.engines.memory_store import MemoryEngine
        from whence.store.memory import MemoryStore

        self.store = MemoryStore()
        self._ring = TraceCollector(buffer_size)
        self._half = max(1, buffer_size // 2)
        self._lock = threading.RLock()
        self._asking = threading.Lock()
        self._recorded = self._stored = 0
        self._told = 0
        self._engine = MemoryEngine(self.store)

    @property
    def followed(self) -> MemoryStore:
        """The store."""
        return self.store

    def record(self, event: TraceEvent) -> None:
        """Records into a ring of this room; what waits there is taken over when half of it does."""
        with self._lock:
            if self._recorded - self._stored >= self._half:
                self._take_over()
            self._ring.record(event)
            self._recorded += 1

    def settle(self, timeout_s: float = 0.0) -> None:
        """Takes over what was recorded."""
        with self._lock:
            if self._recorded > self._stored:
                self._take_over()

    @contextlib.contextmanager
    def asking(self) -> Iterator[Engine]:
        """The engine over the store, for one thread at a time."""
        with self._asking:
            yield self._engine

    def hide(self, trace_ids: Collection[str]) -> None:
        """Drops the rows, and those to come."""
        self.store.hide_traces(trace_ids)

    def close(self, timeout_s: float = 0.0) -> None:
        """Nothing is held but memory."""
        self.settle()

    def _take_over(self) -> None:
        from whence.export.columns import table_of
        from whence.store.sessions import StoredSession

        recording = self._ring.recording()
        for info in recording.sessions:
            if self._told != len(recording.kinds):
                self.store.put_session(StoredSession(info=info, kinds=recording.kinds))
        self._told = len(recording.kinds)
        new = [event for event in recording.events if event.ticket >= self._stored]
        if new:
            self.store.append(table_of(recording, new))
        self._stored = self._recorded


class ClusterRoom:
    """The tables of a ClickHouse cluster, which are asked and not written to."""

    writable = False
    owns = False
    settles_by_itself = True
    drops_by_itself = True
    followed = None
    folder = None

    def __init__(self, url: str) -> None:
        from whence.query.engines.cluster import ClusterEngine
        from whence.store.clickhouse.http import Client
        from whence.store.clickhouse.place import read_place, without_password

        self.name = without_password(url)
        place = read_place(url)
        self._readers = Resting(lambda: ClusterEngine(Client(place)))

    def record(self, event: TraceEvent) -> None:
        """Refused."""
        raise ReadOnly(f"{self.name} is only read: record into a folder, and whence ship it there")

    def settle(self, timeout_s: float = 0.0) -> None:
        """There is nothing to wait for."""

    def asking(self) -> contextlib.AbstractContextManager[Engine]:
        """An engine over the cluster."""
        return self._readers.one()

    def hide(self, trace_ids: Collection[str]) -> None:
        """Refused."""
        raise ReadOnly(f"{self.name} is only read: forget traces in the folder that is shipped")

    def close(self, timeout_s: float = 0.0) -> None:
        """Closes the engines."""
        self._readers.close()


def _kept_store(path: str, keep_days: float | None) -> tuple[BackgroundStore, bool, bool]:
    """The store that this process keeps; whether its session names it; whether this began it."""
    present = background_store()
    if present is not None and str(present.path) != path:
        raise AlreadyStarted(
            f"this process keeps {present.path} already: one folder at a time, so close() that one"
        )
    named = present is not None
    if present is None and session() is None:
        start(store=path, keep_days=keep_days)
        named = True
    kept = (
        keep(path, "a trace service", StoreSettings(keep_days))
        if background_store() is None
        else None
    )
    found = kept or background_store()
    assert found is not None
    return found, named, present is None


def _reaches(positions: Mapping[int, int], ends: Mapping[int, int]) -> bool:
    return all(positions.get(ring, 0) >= end for ring, end in ends.items())


def _text_bytes(event: TraceEvent) -> int:
    """About what the event takes of the ring's room for text, and rather more."""
    size = 160 + len(event.rationale)
    for name, value in event.attributes.items():
        size += len(name) + (len(value) + 16 if isinstance(value, str) else 24)
    return size
