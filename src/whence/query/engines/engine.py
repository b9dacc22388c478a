"""What answers questions about recorded events, wherever they are kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.recording import Recording, RingLedger, SessionInfo
from whence.query.engines.asked_lineage import LINEAGE_ROWS
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
from whence.query.lineage import DEEPEST, MOST_IDS, Lineage, Way

__all__ = ["Engine"]


class Engine(Protocol):
    """Answers questions; the same question has the same answer from every engine.

    All raise BudgetExceeded, and what their source raises when it cannot be read. One thread at
    a time asks.
    """

    def select(
        self,
        query: TraceQuery,
        *,
        order: Order = "oldest",
        limit: int = 100,
        after: PageKey | None = None,
        budget: Budget = UNLIMITED,
    ) -> Page:
        """A page of the events that match, at most `limit`, of those behind `after`.

        Their order is that of wall time, session, ring and ticket, from either end, or by how long
        they lasted. ValueError for a key of another order.
        """

    def aggregate(
        self, question: Aggregate, query: TraceQuery, budget: Budget = UNLIMITED
    ) -> list[GroupRow]:
        """The figures of each group of matching events, by bucket, the largest groups first."""

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
        """A page of the traces that match, a row each, and how many there are.

        By when they started, from either end, or those first that lasted longest or have the most
        errors. The page is that of a number, from 1 on, or the one behind a key: pages by key
        neither repeat nor leave out what stands still while others are recorded. ValueError for
        both, or for a key of another order.
        """

    def trace_figures(
        self, question: Aggregate, asked: TraceFilter, budget: Budget = UNLIMITED
    ) -> list[GroupRow]:
        """The figures of each group of matching traces, each a member, by when it started.

        Groups are made by names of TRACE_GROUPS; measured is one of TRACE_MEASURED. The error rate
        is the share of those that have errors. ValueError for others.
        """

    def recording(self, query: TraceQuery, budget: Budget = UNLIMITED) -> Recording:
        """All matching events with all that is known of their sessions: kinds, ledgers, gates."""

    def whole_chains(self, query: TraceQuery) -> Iterable[Recording]:
        """All chains with a matching event, whole, in recordings that can be held one at a time."""

    def find(self, text: str, limit: int = 10) -> list[Found]:
        """What the text may mean: an id, or the beginning or end of one.

        Requests come first, then decision chains, traces, events; of these there are only those of
        the first sort that has any, and none by its part where one is called exactly so. Sixteen
        hexadecimal digits may also be a span: then that, or an event in it, is found.
        """

    def event(self, event_id: str) -> TraceEvent | None:
        """The event of that id, in whatever case it is written; None if there is none."""

    def nearest(self, text: str, limit: int = 3) -> tuple[str, ...]:
        """Ids spelled much like the text, the most alike first; a bounded number is looked at."""

    def effects(self, names: Sequence[str], limit: int = 1_000) -> Recording:
        """The first events that name one of these ids as their cause, and what is known."""

    def lineage(
        self,
        lineage_id: int,
        direction: Way = "up",
        *,
        most_depth: int = DEEPEST,
        most_ids: int = MOST_IDS,
    ) -> Lineage:
        """All that the id was made from ("up"), or all that was made from it ("down").

        Windows count as made from the frames of their stream within their bounds. ValueError for
        limits below 1 or an id of 0.
        """

    def with_lineage(self, ids: Sequence[int], limit: int = LINEAGE_ROWS) -> Recording:
        """The oldest events with one of these lineage ids, and what is known of all sessions."""

    def lineage_ids(self, text: str, limit: int = 10) -> list[int]:
        """The lineage ids that a text means: one of these very digits, else those that end so."""

    def near_lineage(self, text: str, limit: int = 3) -> tuple[int, ...]:
        """The lineage ids nearest to such a number; none for what is no number."""

    def newest_wrong(self, query: TraceQuery, budget: Budget = UNLIMITED) -> TraceEvent | None:
        """The event to explain when nothing is named.

        That is the newest decision or event of a chain that went wrong; else the newest decision,
        the newest event that went wrong, or the newest of all. None if nothing matches.
        """

    def newest_wall_ns(self) -> int | None:
        """When the newest event happened; None if there is none, or no clock is known."""

    def sessions(self) -> Sequence[SessionInfo]:
        """The processes that recorded."""

    def ledger(self) -> Sequence[RingLedger]:
        """The counts of their rings."""

    def close(self) -> None:
        """Gives back what the engine holds."""
