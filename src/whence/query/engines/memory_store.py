"""Answers questions over a MemoryStore, as it is at each question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.recording import Recording, RingLedger, SessionInfo
from whence.query.engines.asked_lineage import AsksLineage, LineageSource
from whence.query.engines.memory import InMemory
from whence.query.engines.session_names import SessionNames
from whence.query.engines.shapes import (
    UNLIMITED,
    Aggregate,
    Budget,
    Found,
    GroupRow,
    Order,
    Page,
    PageKey,
)
from whence.query.engines.traces import TraceFilter, TraceKey, TraceSort, TracesPage
from whence.store.columns import events_of
from whence.store.memory import MemorySnapshot, MemoryStore

__all__ = ["MemoryEngine", "recording_of"]

T = TypeVar("T")


class MemoryEngine(AsksLineage):
    """An engine over a store in memory. One thread asks; another one may append meanwhile.

    A question sees one generation, whole. The first one after an append makes events of all rows,
    about 10 us each.
    """

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._seen = -1
        self._held = InMemory(Recording())

    def select(
        self,
        query: TraceQuery,
        *,
        order: Order = "oldest",
        limit: int = 100,
        after: PageKey | None = None,
        budget: Budget = UNLIMITED,
    ) -> Page:
        """A page of events."""
        return self._now.select(query, order=order, limit=limit, after=after, budget=budget)

    def aggregate(
        self, question: Aggregate, query: TraceQuery, budget: Budget = UNLIMITED
    ) -> list[GroupRow]:
        """The figures of each group."""
        return self._now.aggregate(question, query, budget)

    def traces(
        self,
        asked: TraceFilter,
        *,
        sort: TraceSort = "newest",
        limit: int = 100,
        page: int | None = None,
        after: TraceKey | None = None,
        budget: Budget = UNLIMITED,
    ) -> TracesPage:
        """A page of traces."""
        return self._now.traces(
            asked, sort=sort, limit=limit, page=page, after=after, budget=budget
        )

    def trace_figures(
        self, question: Aggregate, asked: TraceFilter, budget: Budget = UNLIMITED
    ) -> list[GroupRow]:
        """The figures of each group of traces."""
        return self._now.trace_figures(question, asked, budget)

    def recording(self, query: TraceQuery, budget: Budget = UNLIMITED) -> Recording:
        """All matching events with all that is known of sessions."""
        return self._now.recording(query, budget)

    def whole_chains(self, query: TraceQuery) -> list[Recording]:
        """All that there is: it is held as it is."""
        return self._now.whole_chains(query)

    def find(self, text: str, limit: int = 10) -> list[Found]:
        """What the text may mean."""
        return self._now.find(text, limit)

    def event(self, event_id: str) -> TraceEvent | None:
        """The event of that id."""
        return self._now.event(event_id)

    def nearest(self, text: str, limit: int = 3) -> tuple[str, ...]:
        """Ids spelled much like the text."""
        return self._now.nearest(text, limit)

    def effects(self, names: Sequence[str], limit: int = 1_000) -> Recording:
        """The first events that name one of these as their cause."""
        return self._now.effects(names, limit)

    def newest_wrong(self, query: TraceQuery, budget: Budget = UNLIMITED) -> TraceEvent | None:
        """The event to explain when nothing is named."""
        return self._now.newest_wrong(query, budget)

    def newest_wall_ns(self) -> int | None:
        """When the newest event happened."""
        return max((each.max_ts for each in self._store.manifest.files), default=None)

    def sessions(self) -> Sequence[SessionInfo]:
        """The processes that recorded."""
        return self._now.sessions()

    def ledger(self) -> Sequence[RingLedger]:
        """The counts of their rings."""
        return self._now.ledger()

    def close(self) -> None:
        """Forgets what it made of the rows."""
        self._seen, self._held = -1, InMemory(Recording())

    def _of_lineage(self, ask: Callable[[LineageSource], T]) -> T:
        return self._now._of_lineage(ask)

    @property
    def _now(self) -> InMemory:
        snapshot = self._store.snapshot()
        if snapshot.generation != self._seen:
            self._held = InMemory(recording_of(snapshot))
            self._seen = snapshot.generation
        return self._held


def recording_of(snapshot: MemorySnapshot) -> Recording:
    """The store's events with all that is known of their sessions."""
    stored = snapshot.sessions
    names = SessionNames({key: each.info.name for key, each in stored.items()})
    table = snapshot.table
    events = events_of(table, names)
    walls = dict(zip(map(id, events), table.column("ts_ns").to_pylist(), strict=True))
    return _Stored(
        events=tuple(events),
        kinds=tuple(kind for each in stored.values() for kind in each.kinds),
        sessions=tuple(each.info for each in stored.values()),
        rings=tuple(ring for each in stored.values() for ring in each.rings),
        gate_changes=tuple(change for each in stored.values() for change in each.gate_changes),
        walls=walls,
    )


@dataclass(frozen=True)
class _Stored(Recording):
    """A recording whose events keep the wall time that their rows have, by the events' id()."""

    walls: dict[int, int] = field(default_factory=dict, repr=False, compare=False)

    def wall_ns(self, event: TraceEvent) -> int | None:
        """The row's; of an event from elsewhere that of its session's clock."""
        wall_ns = self.walls.get(id(event))
        return super().wall_ns(event) if wall_ns is None else wall_ns
