"""Follows a folder store and puts its segments into ClickHouse, each file as it is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from whence.model.errors import NotAStore
from whence.store.clickhouse import ddl
from whence.store.clickhouse.forgetting import Forgetting
from whence.store.clickhouse.http import Client
from whence.store.clickhouse.inserts import Arrival, Inserts, SessionDocument
from whence.store.folder import FolderStore, Snapshot
from whence.store.manifest import Segment
from whence.store.sessions import StoredSession, session_document

__all__ = ["Shipper"]

MARK_S = 10.0
DAY_NS = 86_400 * 1_000_000_000


class Shipper:
    """Ships a store that another process may own and compact meanwhile. One thread.

    Nothing is remembered between runs: what the cluster has is asked of the cluster, so a shipper
    that was killed, or two of them, neither lose nor double an event. Files that the manifest marks
    as shipped to this place are not asked about again, unless the cluster has lost rows since.
    """

    def __init__(
        self,
        store: FolderStore,
        client: Client,
        wall_clock: Callable[[], int] = time.time_ns,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = client.place.name
        self.rows = 0  # that were missing there and were sent
        self.segments = 0  # that are there, as far as this process knows
        self.waiting = 0  # segments that are sent once their owner has written them anew
        self._store = store
        self._client = client
        self._inserts = Inserts(client)
        self.forgetting = Forgetting(client)
        self._wall_clock = wall_clock
        self._there: set[str] = set()
        self._told: dict[str, StoredSession] = {}
        self._ready = False
        self._believes: bool | None = None
        self._generation = -1
        self._clock = clock
        self._marked: set[str] = set()
        self._needless: set[str] = set()  # older than what is kept there
        self._mark_s = clock()

    def step(self) -> bool:
        """Ships what the store has more than the cluster; whether there was anything.

        First of all what was forgotten is hidden and deleted there. Afterwards the cluster has
        every event of one generation of the store, but for `waiting` segments, and what its
        sessions told. Raises ClusterUnavailable when trying again later may help; other
        ClusterErrors, UnsupportedFormat, NotAStore and OSError.
        """
        if not self._ready:
            ddl.create(self._client)
            self._ready = True
        snapshot = self._store.snapshot()
        forgot = self.forgetting.put(snapshot.hidden)
        if snapshot.generation == self._generation:
            return forgot
        before, self.waiting = self.segments, 0
        since_ns = self._kept_since_ns()
        if self._believes is None:
            self._believes = self._has_marked(snapshot, since_ns)
        for segment in sorted(snapshot.manifest.files, key=lambda each: each.min_ts):
            if segment.segment in self._there or segment.max_ts < since_ns:
                continue
            if segment.cleared < snapshot.hidden.number:
                self.waiting += 1
                continue  # it may hold what was forgotten: the owner writes it anew without
            if not self._ship(snapshot, segment):
                return True  # the owner has replaced the file: there is a newer generation
        told = self._tell(snapshot)
        self._generation = snapshot.generation
        self._there &= {each.segment for each in snapshot.manifest.files}
        self._needless = {e.segment for e in snapshot.manifest.files if e.max_ts < since_ns}
        self._mark()
        return forgot or told or self.segments > before

    def close(self) -> None:
        """Closes the connections."""
        self._mark_s = self._clock()
        self._mark()
        self._client.close()

    def _kept_since_ns(self) -> int:
        """What is older would be deleted there at once."""
        days = self._client.place.retention_days
        return -(2**63) if days is None else self._wall_clock() - days * DAY_NS

    def _ship(self, snapshot: Snapshot, segment: Segment) -> bool:
        """Whether the segment is there now; False if its file has gone."""
        marked = self._believes and self.name in segment.shipped
        if not marked and not self._has_parts(snapshot, segment.segment):
            siblings = map(_arrival, snapshot.manifest.files)
            try:
                with _content(snapshot.root / segment.name) as content:
                    self.rows += self._inserts.put(_arrival(segment), content, siblings)
            except FileNotFoundError:
                if self._store.snapshot().generation == snapshot.generation:
                    raise NotAStore(f"{snapshot.root / segment.name} is missing") from None
                return False
        self._there.add(segment.segment)
        self.segments += 1
        return True

    def _has_marked(self, snapshot: Snapshot, since_ns: int) -> bool:
        """Whether marks are believed: not where fewer rows are there than they speak of."""
        files = [each for each in snapshot.manifest.files if each.max_ts >= since_ns]
        marked = [each for each in files if self.name in each.shipped]
        if not marked:
            return True
        first, last = min(each.min_ts for each in marked), max(each.max_ts for each in marked)
        [[rows]] = self._client.rows(
            f"SELECT count() FROM {self._client.place.events} "
            "WHERE ts_ns BETWEEN {first:Int64} AND {last:Int64}",
            {"first": first, "last": last},
        )
        return int(rows) >= sum(each.rows for each in marked)

    def _has_parts(self, snapshot: Snapshot, segment: str) -> bool:
        """Whether a segment was merged from ones that are all there."""
        parts = [each.segment for each in snapshot.manifest.replaced if each.by == segment]
        return bool(parts) and all(
            each in self._there or self._has_parts(snapshot, each) for each in parts
        )

    def _mark(self) -> None:
        """Tells the owner what is there, so that it is not asked about after the next start."""
        now_s, settled = self._clock(), self._there | self._needless
        if settled != self._marked and now_s >= self._mark_s:
            with contextlib.suppress(OSError):  # who may only read a store ships without that
                self._store.mark_shipped(self.name, settled)
                self._marked = settled
            self._mark_s = now_s + MARK_S

    def _tell(self, snapshot: Snapshot) -> bool:
        """After the events: the ledgers of sessions count none that are still to come."""
        now_ns = self._wall_clock()
        new = {
            each.info.uuid: each
            for each in snapshot.sessions.values()
            if self._told.get(each.info.uuid) != each
        }
        self._inserts.put_sessions(
            [
                SessionDocument(
                    uuid, each.info.key, each.info.name, session_document(each, now_ns), now_ns
                )
                for uuid, each in new.items()
            ]
        )
        self._told |= new
        return bool(new)


def _arrival(segment: Segment) -> Arrival:
    return Arrival(segment.segment, segment.rows, segment.min_ts, segment.max_ts)


@contextlib.contextmanager
def _content(path: Path) -> Iterator[memoryview]:
    """A file's bytes, mapped: a day's segment needs no memory of its own."""
    with pa.memory_map(str(path)) as file:
        yield memoryview(file.read_buffer())
