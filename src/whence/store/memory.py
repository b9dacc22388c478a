"""MemoryStore: keeps tables of events in memory; for tests, and programs that ask themselves."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import TracebackType
from typing import Self

import pyarrow as pa

from whence.collect.sink_ledger import SinkLedger
from whence.store.columns import SCHEMA
from whence.store.hidden import hidden_by, with_tombstones
from whence.store.manifest import Manifest, RingTally, Segment
from whence.store.next_manifest import next_manifest
from whence.store.segment import in_order, new_ulid
from whence.store.sessions import StoredSession, with_tallies
from whence.store.store import Positions

__all__ = ["MemorySnapshot", "MemoryStore"]


@dataclass(frozen=True)
class MemorySnapshot:
    """One generation of a store in memory. Immutable; threads may share it."""

    manifest: Manifest
    tables: tuple[pa.Table, ...] = ()
    _told: Mapping[str, StoredSession] = field(default_factory=dict)

    @property
    def generation(self) -> int:
        """Grows with every commit, and with what is told of sessions."""
        return self.manifest.generation

    @cached_property
    def table(self) -> pa.Table:
        """All rows in order of time, session, ring and ticket."""
        if not self.tables:
            return SCHEMA.empty_table()
        return in_order(pa.concat_tables(self.tables).unify_dictionaries())

    @cached_property
    def sessions(self) -> Mapping[int, StoredSession]:
        """The sessions by the key that rows hold, with ledgers of what is stored."""
        positions, rings = self.manifest.positions, self.manifest.rings
        return {
            each.info.key: with_tallies(each, positions[name], rings.get(name, {}))
            if name in positions
            else each
            for name, each in self._told.items()
        }


class MemoryStore:
    """A WholeStore that ends with the process. One thread appends, any thread takes snapshots."""

    def __init__(self, name: str = "memory") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._now = MemorySnapshot(Manifest(store=str(uuid.uuid4()), generation=1))

    @property
    def name(self) -> str:
        """As it was given."""
        return self._name

    @property
    def manifest(self) -> Manifest:
        """The newest generation's; each append is one of its files, though there are none."""
        return self._now.manifest

    def snapshot(self) -> MemorySnapshot:
        """The newest generation. Costs nothing."""
        return self._now

    def append(
        self,
        table: pa.Table,
        positions: Positions | None = None,
        ledger: SinkLedger | None = None,
        *,
        rings: Mapping[str, Mapping[int, RingTally]] | None = None,
        undelivered_in: Collection[str] | None = None,
        filtered: bool = False,
        forget: Collection[str] = (),
    ) -> Manifest:
        """Adds rows, and moves positions and ledger with them, as FolderStore does.

        Raises KeyError for a table without a column of whence.store.columns, ArrowInvalid for one
        with another type, ValueError as a WholeStore does. The table is kept, not copied.
        """
        table = in_order(_fitting(table))
        with self._lock:
            now = self._now
            table = hidden_by(now.manifest.tombstones).left_of(table)
            new = next_manifest(
                now.manifest, len(table), positions or {}, ledger, rings or {}, undelivered_in,
                filtered, forget,
            )  # fmt: skip
            if new is None:
                return now.manifest
            if len(table):
                new = replace(new, files=(*new.files, _entry(table)))
            tables = (*now.tables, table) if len(table) else now.tables
            self._now = MemorySnapshot(new, tables, now._told)
            return new

    def hide_traces(self, trace_ids: Collection[str]) -> None:
        """Drops all rows of these traces, given as 32 hexadecimal digits, and those to come."""
        if not trace_ids:
            return
        with self._lock:
            now = self._now
            asked = [{"trace": each, "wall_ns": time.time_ns()} for each in trace_ids]
            stones = with_tombstones(now.manifest.tombstones, asked)
            tables = [hidden_by(stones).left_of(table) for table in now.tables]
            kept = tuple(table for table in tables if len(table))
            manifest = replace(
                now.manifest,
                generation=now.generation + 1,
                files=tuple(map(_entry, kept)),
                tombstones=stones,
            )
            self._now = MemorySnapshot(manifest, kept, now._told)

    def put_session(self, session: StoredSession) -> None:
        """Keeps what is known of a session."""
        with self._lock:
            now = self._now
            manifest = replace(now.manifest, generation=now.generation + 1)
            told = {**now._told, session.info.uuid: session}
            self._now = MemorySnapshot(manifest, now.tables, told)

    def close(self) -> None:
        """Nothing is held but memory: what is there can still be asked."""

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


def _fitting(table: pa.Table) -> pa.Table:
    """The columns that events have, of their types, in their order."""
    return table.select(SCHEMA.names).cast(SCHEMA)


def _entry(table: pa.Table) -> Segment:
    times, ulid = table.column("ts_ns"), new_ulid()
    return Segment(
        name=f"memory/{ulid}",
        rows=len(table),
        min_ts=times[0].as_py(),
        max_ts=times[len(table) - 1].as_py(),
        bytes=table.nbytes,
        level=0,
        segment=ulid,
        crc32="",
    )
