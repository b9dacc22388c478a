"""Stores that grow while somebody watches: programs of made-up events, commit by commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from tests.query.build import START_NS, WALL_NS, session
from whence.export.columns import table_of
from whence.model.event import TraceEvent
from whence.model.ids import event_id
from whence.model.recording import Recording, SessionInfo
from whence.model.time import Timestamp
from whence.store.folder import FolderStore
from whence.store.manifest import RingTally
from whence.store.memory import MemoryStore
from whence.store.sessions import StoredSession, with_tallies

__all__ = ["Program", "happened"]

WholeStore = FolderStore | MemoryStore


class Program:
    """Records made-up events into the rings of one session, and stores them."""

    def __init__(self, store: WholeStore, number: int = 1) -> None:
        self.info: SessionInfo = session(
            f"app-{number}",
            uuid=str(UUID(int=number)),
            key=1_000 + number,
            started_wall_ns=WALL_NS + number,
        )
        self._store = store
        self._tickets: defaultdict[int, int] = defaultdict(int)
        self._tallies: dict[int, RingTally] = {}
        store.put_session(StoredSession(info=self.info))

    def event(
        self, offset_ns: int = 0, ring: int = 0, event_type: str = "tick", **fields: Any
    ) -> TraceEvent:
        """The ring's next event; it happened so long after the beginning, or before it."""
        ticket = self._tickets[ring]
        self._tickets[ring] += 1
        fields = {"component": "Clock", "attributes": {"n": ticket}, **fields}
        return TraceEvent(
            event_id=event_id(self.info.key, ring, ticket),
            event_type=event_type,
            timestamp=Timestamp(START_NS + offset_ns),
            session=self.info.name,
            ring=ring,
            ticket=ticket,
            **fields,
        )

    def commit(self, events: Sequence[TraceEvent]) -> list[TraceEvent]:
        """Stores events and moves the positions of their rings; gives them back in their order."""
        found = Recording(events=tuple(events), sessions=(self.info,))
        positions = {event.ring: self._tickets[event.ring] for event in events}
        for event in events:
            at_ns = event.timestamp.value_ns
            one = RingTally(1, at_ns, at_ns)
            known = self._tallies.get(event.ring)
            self._tallies[event.ring] = known.plus(one) if known else one
        tallies = {ring: self._tallies[ring] for ring in positions}
        uuid = self.info.uuid
        self._store.append(table_of(found), {uuid: positions}, rings={uuid: tallies})
        return sorted(events, key=happened)

    def record(self, *offsets_ns: int, ring: int = 0, **fields: Any) -> list[TraceEvent]:
        """Stores events that happened then."""
        return self.commit([self.event(offset_ns, ring, **fields) for offset_ns in offsets_ns])

    def forget(self) -> None:
        """The session's end was told, and its folder removed: nothing more will come."""
        told = with_tallies(StoredSession(info=self.info), self._tickets, {})
        self._store.put_session(told)
        nothing = Recording(sessions=(self.info,))
        self._store.append(table_of(nothing), forget=[self.info.uuid])


def happened(event: TraceEvent) -> tuple[int, str, int, int]:
    """What the events of one commit are ordered by."""
    return event.timestamp.value_ns, event.session, event.ring, event.ticket
