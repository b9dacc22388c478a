"""What this process records from some moment on, such as the beginning of a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import sub

from whence import _native
from whence._native import Batch, Catalogue, RingReader
from whence.collect.events import to_events
from whence.collect.kinds import kind_infos
from whence.collect.ledger import Counted, named_ledgers, ring_ledger
from whence.collect.local import local_gate_changes, local_session, without_holes
from whence.collect.local_source import IDLE, ring_from_file, rings_on_disk
from whence.model.recording import Recording, SessionInfo

__all__ = ["LocalSince"]

Counts = Mapping[int, tuple[int, ...]]  # the counter rows of a ring by the number of the kind


class LocalSince:
    """Remembers how far this process's rings are; reads what they have gained. Any one thread.

    Making one costs a look at the head of each ring, reading about 8 us an event gained. What a
    TraceCollector recorded that has ended meanwhile is read from its file, if it has one.
    """

    def __init__(self) -> None:
        info = local_session()
        readers = {reader.ring: reader for reader in _native.local_rings()} if info else {}
        self._uuid = info.uuid if info else ""
        self._counts = {ring: _counts(reader) for ring, reader in readers.items()}
        self._over = rings_on_disk(info) - readers.keys() if info else set()

    def recording(self) -> Recording:
        """The events recorded since, with ledgers that count these alone.

        A child forked since then has a session of its own, of which all is new.
        """
        info = local_session()
        if info is None:
            return Recording()
        known = self._uuid in ("", info.uuid)
        before: Mapping[int, Counts] = self._counts if known else {}
        batch, catalogue = Batch(), Catalogue()
        catalogue.update_local()  # what long ids are read by while the rings are drained
        counted = [
            _drained(reader, before.get(reader.ring, {}), info, batch, catalogue)
            for reader in self._readers(info, self._over if known else set())
        ]
        catalogue.update_local()  # after the events: a name is older than the slot that uses it
        kinds = kind_infos(catalogue, info.name)
        return Recording(
            events=tuple(to_events(without_holes(batch.rows()))) if len(batch) else (),
            kinds=kinds,
            sessions=(info,),
            rings=tuple(ring for ring in named_ledgers(counted, kinds) if ring.recorded),
            gate_changes=local_gate_changes(info, kinds),
        )

    def _readers(self, info: SessionInfo, over: set[int]) -> Sequence[RingReader]:
        on_disk = rings_on_disk(info)  # before the readers: what is not among these has ended
        readers = {reader.ring: reader for reader in _native.local_rings()}
        for ring in on_disk - readers.keys() - over:
            reader = ring_from_file(info, ring)
            if reader is not None and reader.state == IDLE:
                readers[ring] = reader
        return [readers[ring] for ring in sorted(readers)]


def _counts(reader: RingReader) -> Counts:
    return dict(reader.counts())


def _drained(
    reader: RingReader, before: Counts, info: SessionInfo, batch: Batch, catalogue: Catalogue
) -> Counted:
    """Drain what the ring has gained; its ledger, with what it had counted before taken off."""
    had = sum(row[0] for row in before.values())
    cleared_to = reader.next_ticket
    reader.seek(max(had, cleared_to))
    first = len(batch)
    spans = reader.open_spans()
    batch.drain(reader, catalogue, info.name, info.key, reader.capacity)
    ledger, counts = ring_ledger(info.name, reader, batch.time_range(first), spans)
    gained = [
        (kind, tuple(map(sub, row, before[kind])) if kind in before else row)
        for kind, row in counts
    ]
    recorded = ledger.recorded - had
    cleared = max(0, cleared_to - had)
    return replace(ledger, recorded=recorded, cleared=cleared), gained
