"""The counters of live sessions, read from ring headers without draining an event."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from whence._native import Batch, Catalogue, RingReader
from whence.collect.kinds import kind_infos, read_names
from whence.collect.ledger import kind_counts, recorded_of
from whence.model.errors import CorruptFile, NotASession, UnsupportedFormat
from whence.model.recording import MOST_INT64, KindCounts, KindInfo, SessionInfo
from whence.ring.folders import open_session_file, ring_files
from whence.ring.session_file import read_removed, read_request_seed, read_session_file

__all__ = ["CounterReader", "RingCounters", "SessionCounters"]

_IDLE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RingCounters:
    """What a ring's header says at one moment.

    `recorded` counts all its events, `lost` those that newer ones have overwritten, `held` those
    still there. `idle` rings belong to no thread at present; `shared` ones to a TraceCollector.
    """

    ring: int
    capacity: int
    thread: str
    idle: bool
    shared: bool
    recorded: int
    lost: int
    held: int
    truncated: int
    newest_ns: int | None
    per_kind: tuple[KindCounts, ...]
    open_spans: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCounters:
    """What all rings of a session say, the kinds it has declared, and files that cannot be read."""

    info: SessionInfo
    rings: tuple[RingCounters, ...] = ()
    kinds: tuple[KindInfo, ...] = ()
    damaged: tuple[tuple[str, str], ...] = ()
    removed_events: int = 0  # recorded to rings of ended collectors, which made room for others

    @property
    def recorded(self) -> int:
        """Events recorded in all rings."""
        return sum(ring.recorded for ring in self.rings)

    @property
    def lost(self) -> int:
        """Events overwritten in all rings."""
        return sum(ring.lost for ring in self.rings)


class CounterReader:
    """Reads one session's counters again and again. One thread at a time.

    A reading costs some 10 us a ring. Raises NotASession, UnsupportedFormat, CorruptFile or OSError
    where the session itself cannot be read; damaged rings are left out and told of.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.info = read_session_file(folder)
        self._catalogue = Catalogue(int(self.info.run or "0", 16), read_request_seed(folder))
        self._names_bytes = b""
        self._kinds: tuple[KindInfo, ...] = ()
        self._rings: dict[str, RingReader] = {}
        self._damaged: dict[str, str] = {}
        self._tails: dict[str, int] = {}

    def read(self) -> SessionCounters:
        """The counters at this moment, rings that are new among them."""
        self.info = read_session_file(self.folder)
        removed = self._removed_events()  # before the rings: one that goes now is not counted twice
        self._attach_new_rings()
        rings = []
        for name, reader in list(self._rings.items()):
            try:
                rings.append(self._ring(reader))
            except CorruptFile as error:
                self._leave_out(name, error)
        self._update_kinds()  # after the counters: a kind's name is older than its first event
        return SessionCounters(
            info=self.info,
            rings=tuple(self._named(ring, counts) for ring, counts in rings),
            kinds=self._kinds,
            damaged=tuple(sorted(self._damaged.items())),
            removed_events=removed,
        )

    def _removed_events(self) -> int:
        try:
            _, events = read_removed(self.folder)
        except (NotASession, CorruptFile, OSError):
            return 0
        return min(events, MOST_INT64)

    def tail(self, most: int) -> tuple[Batch, bool]:
        """Events since the last tail, at most the newest `most` of each ring.

        True: there were more, and they are left out. The first tail begins `most` events back,
        which leaves out nothing.
        """
        batch, left_out = Batch(), False
        for name, reader in list(self._rings.items()):
            try:
                left_out |= self._tail_of(name, reader, most, batch)
            except CorruptFile as error:
                self._leave_out(name, error)
        self._update_kinds()
        return batch, left_out

    def _tail_of(self, name: str, reader: RingReader, most: int, batch: Batch) -> bool:
        end = recorded_of(reader)
        known = self._tails.get(name)
        first = max(end - most, reader.watermark)
        start = first if known is None else max(first, known)
        reader.seek(start)
        batch.drain(reader, self._catalogue, self.info.name, self.info.key, most)
        self._tails[name] = reader.next_ticket
        return known is not None and start > known

    def _ring(self, reader: RingReader) -> tuple[RingCounters, list[tuple[int, tuple[int, ...]]]]:
        counts: list[tuple[int, tuple[int, ...]]] = list(reader.counts())
        recorded = min(sum(row[0] for _, row in counts), MOST_INT64)
        cleared = min(reader.watermark, recorded)
        owners = reader.owners()
        held = min(recorded - cleared, reader.capacity)
        return RingCounters(
            ring=reader.ring,
            capacity=reader.capacity,
            thread=str(owners[-1][0]) if owners else "",
            idle=reader.state == _IDLE,
            shared=bool(reader.shared),
            recorded=recorded,
            lost=recorded - cleared - held,
            held=held,
            truncated=reader.truncated,
            newest_ns=self._newest_ns(reader, recorded) if held else None,
            per_kind=(),
            open_spans=len(reader.open_spans()),
        ), counts

    def _newest_ns(self, reader: RingReader, recorded: int) -> int | None:
        """When the last event was recorded; the one before it where that is being written."""
        batch = Batch()
        reader.seek(max(0, recorded - 2))
        batch.drain(reader, self._catalogue, self.info.name, self.info.key, 2)
        times = batch.time_range(0)
        return times[1] if times else None

    def _named(self, ring: RingCounters, counts: list[tuple[int, tuple[int, ...]]]) -> RingCounters:
        names = {kind.id: kind for kind in self._kinds}
        per_kind = tuple(kind_counts(kind, row, names) for kind, row in counts)
        return RingCounters(
            **{name: getattr(ring, name) for name in ring.__slots__ if name != "per_kind"},
            per_kind=per_kind,
        )

    def _attach_new_rings(self) -> None:
        names = ring_files(self.folder)
        for gone in self._rings.keys() - set(names):  # to make room: the control page counts it
            del self._rings[gone]
        for name in names:
            if name in self._rings or name in self._damaged:
                continue
            try:
                handle = open_session_file(self.folder, name)
            except FileNotFoundError:
                continue  # an ended collector's ring made room meanwhile
            except (NotASession, OSError) as error:
                self._damaged[name] = str(error)
                continue
            try:  # mapped even of a dead session: only its header and last slots are looked at
                self._rings[name] = RingReader.open(handle, live=True)
            except (CorruptFile, UnsupportedFormat, OSError) as error:
                self._damaged[name] = str(error)
            finally:
                os.close(handle)

    def _leave_out(self, name: str, error: CorruptFile) -> None:
        self._damaged[name] = str(error)
        del self._rings[name]

    def _update_kinds(self) -> None:
        try:
            data = read_names(self.folder)
            if data == self._names_bytes:
                return
            self._catalogue.update(data)
        except (NotASession, CorruptFile, UnsupportedFormat, OSError) as error:
            self._damaged["names"] = str(error)
            return
        self._names_bytes = data
        self._kinds = kind_infos(self._catalogue, self.info.name)
