"""Reads this process's own rings through the writer's memory, files or not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from whence import _native
from whence._native import Batch, Catalogue, RingReader
from whence.collect.kinds import kind_infos
from whence.collect.ledger import named_ledgers, ring_ledger
from whence.model.errors import NotASession
from whence.model.recording import GateChange, KindInfo, RingLedger, SessionInfo
from whence.ring.gates import read_gate_changes
from whence.ring.session_file import parse_session

if TYPE_CHECKING:
    from whence._native import EventRow

__all__ = [
    "drain_local",
    "local_gate_changes",
    "local_ledgers",
    "local_session",
    "without_holes",
]


def local_session() -> SessionInfo | None:
    """This process's session, None before its first event."""
    present = _native.session()
    data = _native.session_bytes()
    if present is None or data is None:
        return None
    info = parse_session(data, None, live=True)
    return replace(
        info,
        name=present["name"],
        path=present["path"],
        pid=os.getpid(),
        unnamed_kinds=present["unnamed_kinds"],
        memory_rings=present["memory_rings"],
    )


def drain_local(readers: Sequence[RingReader], session: SessionInfo) -> tuple[Batch, Catalogue]:
    """Everything these rings hold now."""
    batch, catalogue = Batch(), Catalogue()
    catalogue.update_local()  # what long ids are read by while the rings are drained
    for reader in readers:
        # no more than the ring holds, however fast its writers are meanwhile
        batch.drain(reader, catalogue, session.name, session.key, reader.capacity)
    catalogue.update_local()  # after the events: a name is older than the slot that uses it
    return batch, catalogue


def without_holes(rows: Sequence[EventRow]) -> Sequence[EventRow]:
    """The rows, less those before the last hole in their ring.

    A writer that laps the copying leaves a hole between what was copied before and after. What
    lies before it is no longer in the ring: the copy is then what the ring held at its end.
    """
    tickets: dict[int, list[int]] = {}  # a row has its ring in column 18, its ticket in 19
    for row in rows:
        tickets.setdefault(row[18], []).append(row[19])
    first = {ring: _last_run(sorted(of_ring)) for ring, of_ring in tickets.items()}
    return [row for row in rows if row[19] >= first[row[18]]]


def _last_run(tickets: Sequence[int]) -> int:
    """Where the last unbroken run of ascending tickets begins."""
    if tickets[-1] - tickets[0] == len(tickets) - 1:
        return tickets[0]
    descending = pairwise(reversed(tickets))
    return next((later for later, earlier in descending if later - earlier != 1), tickets[0])


def local_ledgers(
    readers: Sequence[RingReader], session: SessionInfo
) -> tuple[Batch, Catalogue, tuple[RingLedger, ...]]:
    """The same with the ledger of each ring."""
    batch, catalogue = Batch(), Catalogue()
    catalogue.update_local()  # what long ids are read by while the rings are drained
    counted = []
    for reader in sorted(readers, key=lambda reader: reader.ring):  # as from the files
        first = len(batch)
        spans = reader.open_spans()  # before the events: one that ends now is seen twice
        batch.drain(reader, catalogue, session.name, session.key, reader.capacity)
        counted.append(ring_ledger(session.name, reader, batch.time_range(first), spans))
    catalogue.update_local()
    return batch, catalogue, tuple(named_ledgers(counted, kind_infos(catalogue, session.name)))


def local_gate_changes(session: SessionInfo, kinds: Sequence[KindInfo]) -> tuple[GateChange, ...]:
    """When kinds were switched on and off; they are in a file, so none where there is none."""
    if not session.path:
        return ()
    try:
        return read_gate_changes(
            Path(session.path), session.name, {kind.id: kind.name for kind in kinds}
        )
    except (OSError, NotASession):
        return ()
