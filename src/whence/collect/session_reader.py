"""Reads one session's folder, whether its process lives or not."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from whence._native import Batch, Catalogue, RingReader
from whence.collect.kinds import kind_infos, read_names
from whence.collect.ledger import (
    Counted,
    named_ledgers,
    recorded_of,
    removed_rings,
    ring_ledger,
)
from whence.model.errors import CorruptFile, NotASession, UnsupportedFormat
from whence.model.recording import GateChange, KindInfo, RingLedger, SessionInfo
from whence.ring.folders import open_session_file, ring_files
from whence.ring.gates import read_gate_changes
from whence.ring.session_file import read_removed, read_request_seed, read_session_file

__all__ = ["SessionReader"]


class SessionReader:
    """A reader's place in every ring of one session. One thread at a time.

    Raises NotASession, UnsupportedFormat, CorruptFile or OSError when the session itself cannot
    be read. A ring or dictionary that is damaged is left out and told of in `damaged`: {file
    name: what is wrong}.
    """

    def __init__(self, path: Path) -> None:
        """`path` is a session's folder, or one ring file in it: then only that ring is read."""
        self._start: Mapping[int, int] = {}
        self._only = path.name if path.name.startswith("ring-") and not path.is_dir() else None
        self.folder = folder = path.parent if self._only else path
        self.info: SessionInfo = read_session_file(folder)
        self.damaged: dict[str, str] = {}
        self.text_lost = 0  # events read whose text newer text had overwritten
        self._catalogue = Catalogue(int(self.info.run or "0", 16), read_request_seed(folder))
        self._ids = Batch()  # empty: those to come share what it knows of long request ids
        self._rings: dict[str, RingReader] = {}
        self._turn = 0

    def start_at(self, first_tickets: Mapping[int, int]) -> None:
        """Before the first drain: where to begin, by ring. Of other rings all they hold is read."""
        self._start = dict(first_tickets)

    @property
    def lost(self) -> int:
        """How many events were overwritten before a drain could read them, over all rings."""
        return sum(reader.lost for reader in self._rings.values())

    def check(self) -> dict[str, str]:
        """What is wrong with which file, as far as headers and lengths tell; reads no event."""
        self._attach_new_rings()
        self._update_catalogue()
        self._removed()
        return self.damaged

    def declared(self) -> tuple[KindInfo, ...]:
        """The kinds declared by now."""
        self._update_catalogue()
        return self.kinds

    @property
    def kinds(self) -> tuple[KindInfo, ...]:
        """The kinds declared by the time of the last drain."""
        return kind_infos(self._catalogue, self.info.name)

    def drain(self) -> Batch:
        """What every ring has gained since the last drain, rings that are new among them."""
        batch = Batch(self._ids)
        self._attach_new_rings()
        self._update_catalogue()  # what long ids are read by while the rings are drained
        for name in list(self._rings):
            self._drain_ring(name, batch)
        self._update_catalogue()
        return batch

    def drain_into(self, batch: Batch, most: int) -> tuple[dict[int, tuple[int, int]], bool]:
        """Takes at most `most` events more into `batch`; runs without the GIL while it copies.

        Returns, for each ring that moved, the tickets before and after, and whether every ring
        was drained to its end. What was overwritten meanwhile is what the tickets count beyond
        the events taken.
        """
        spans: dict[int, tuple[int, int]] = {}
        to_the_end = True
        self._attach_new_rings()
        first = len(batch)
        names = self._waiting_rings()
        if names:
            self._update_catalogue()  # what long ids are read by while the rings are drained
        begin = self._turn % len(names) if names else 0
        for turn, name in enumerate(names[begin:] + names[:begin]):
            room = most - (len(batch) - first)
            if room <= 0:
                self._turn += turn  # nobody waits for ever
                to_the_end = False
                break
            reader, held = self._rings[name], len(batch)
            before = reader.next_ticket
            self._drain_ring(name, batch, room)
            to_the_end = to_the_end and len(batch) - held < room
            if reader.next_ticket > before:
                spans[reader.ring] = (before, reader.next_ticket)
        if len(batch) > first:
            self._update_catalogue()  # a name is published before the slot that uses it
        return spans, to_the_end

    def pressure(self) -> float:
        """The largest share of a ring that is unread. About 10 us and 0.2 us a ring."""
        self._attach_new_rings()
        most = 0.0
        for name, reader in list(self._rings.items()):
            try:
                most = max(most, reader.waiting / reader.capacity)
            except CorruptFile as error:
                self._leave_out(name, error)
        return most

    def check_ends(self) -> None:
        """Of a dead session drained to its end: rings that lack events they counted are damaged."""
        for name, reader in list(self._rings.items()):
            try:
                recorded = recorded_of(reader)
            except CorruptFile as error:
                self._leave_out(name, error)
                continue
            if (missing := recorded - reader.next_ticket) > 1:  # one may have been in flight
                self.damaged[name] = f"{missing} events that were recorded are not in it"

    def _waiting_rings(self) -> list[str]:
        names = []
        for name, reader in list(self._rings.items()):
            try:
                if reader.waiting:
                    names.append(name)
            except CorruptFile as error:
                self._leave_out(name, error)
        return names

    def drain_with_ledgers(self) -> tuple[Batch, tuple[RingLedger, ...]]:
        """The first drain, and the ledger of each ring at that moment."""
        batch = Batch(self._ids)
        counted: list[Counted] = []
        self._attach_new_rings()
        self._update_catalogue()  # what long ids are read by while the rings are drained
        for name, reader in list(self._rings.items()):
            first = len(batch)
            try:
                spans = reader.open_spans()  # before the events: one that ends now is seen twice
                if not self._drain_ring(name, batch):
                    continue
                times = batch.time_range(first)
                counted.append(ring_ledger(self.info.name, reader, times, spans))
            except CorruptFile as error:
                self._leave_out(name, error)
        self._update_catalogue()  # after the events: a name is older than the slot that uses it
        ledgers = named_ledgers(counted, self.kinds)
        return batch, (*ledgers, *self._removed_rings())

    def gate_changes(self) -> tuple[GateChange, ...]:
        """When kinds were switched on and off, oldest first."""
        names = {kind.id: kind.name for kind in self.kinds}
        try:
            return read_gate_changes(self.folder, self.info.name, names)
        except (NotASession, OSError) as error:
            self.damaged["gates"] = str(error)
            return ()

    def refresh(self) -> SessionInfo:
        """Looks again whether the process lives."""
        self.info = read_session_file(self.folder)
        return self.info

    def unseen_events(self, read: Mapping[int, int]) -> int:
        """Of a dead session: how many events were in rings that were removed before anybody read
        them. `read` holds, by ring, how far those came that were read."""
        if self._only:
            return 0
        try:
            there = {int(name[5:]) for name in ring_files(self.folder)}
        except OSError:
            return 0
        rings, events = self._removed()
        known = {ring: ticket for ring, ticket in read.items() if ring not in there}
        if len(known) >= rings:
            return 0
        known |= {r.ring: recorded_of(r) for r in self._rings.values() if r.ring in known}
        return max(0, events - sum(known.values()))

    def _removed_rings(self) -> Iterator[RingLedger]:
        """One ledger for the rings of ended collectors that were removed, if any were."""
        if self._only:
            return
        rings, events = self._removed()
        if rings:
            yield removed_rings(self.info.name, rings, events)

    def _removed(self) -> tuple[int, int]:
        try:
            return read_removed(self.folder)
        except CorruptFile as error:
            self.damaged["control"] = str(error)
        except (NotASession, OSError):
            pass  # gates alone are missed, which the process itself holds
        return 0, 0

    def _attach_new_rings(self) -> None:
        try:
            names = [self._only] if self._only else ring_files(self.folder)
        except FileNotFoundError:
            return  # the folder was removed: what is mapped stays readable
        for name in names:
            if name not in self._rings and name not in self.damaged:
                self._attach_ring(name)

    def _attach_ring(self, name: str) -> None:
        try:
            handle = open_session_file(self.folder, name)
        except FileNotFoundError:
            return  # an ended collector's ring made room meanwhile
        except (NotASession, OSError) as error:
            self.damaged[name] = str(error)
            return
        try:
            reader = RingReader.open(handle, live=self.info.live)
            if reader.session_uuid != self.info.uuid:
                self.damaged[name] = f"belongs to session {reader.session_uuid}"
            elif int(name[5:]) != reader.ring:
                self.damaged[name] = f"is ring {reader.ring} under another name"
            else:
                self._rings[name] = reader
                self._go_to_start(reader)
        except (CorruptFile, UnsupportedFormat, OSError) as error:
            self.damaged[name] = str(error)
        finally:
            os.close(handle)

    def _go_to_start(self, reader: RingReader) -> None:
        first = self._start.get(reader.ring)
        recorded = recorded_of(reader) if first else 0
        if first is not None and first <= recorded:  # a place beyond the end is of no use
            reader.seek(first)

    def _drain_ring(self, name: str, batch: Batch, most: int = sys.maxsize) -> bool:
        reader = self._rings[name]
        before = reader.text_lost
        try:
            batch.drain(reader, self._catalogue, self.info.name, self.info.key, most)
        except CorruptFile as error:
            self._leave_out(name, error)
            return False
        self.text_lost += reader.text_lost - before
        return True

    def _leave_out(self, name: str, error: CorruptFile) -> None:
        self.damaged[name] = str(error)
        del self._rings[name]

    def _update_catalogue(self) -> None:
        try:
            self._catalogue.update(read_names(self.folder))
        except (NotASession, CorruptFile, UnsupportedFormat, OSError) as error:
            self.damaged["names"] = str(error)
        else:
            if self._catalogue.damaged:
                self.damaged["names"] = "a record fails its checksum; later names are unknown"
