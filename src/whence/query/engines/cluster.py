"""Answers questions over the tables of a ClickHouse database, as others answer them over files."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import pyarrow as pa

from whence.model.errors import BudgetExceeded, ClusterError, ClusterUnavailable, NotAStore
from whence.model.event import TraceEvent
from whence.model.names import LINEAGE_WINDOW
from whence.model.query import TraceQuery
from whence.model.recording import Recording, RingLedger, SessionInfo
from whence.query.engines.asked_figures import FiguresAsked
from whence.query.engines.asked_lineage import AsksLineage, LineageSource
from whence.query.engines.asked_page import place_of
from whence.query.engines.asked_traces import TracesAsked
from whence.query.engines.cluster_lineage import ClusterAsking
from whence.query.engines.known import Known, held_sql, leaking, without_events
from whence.query.engines.meant import meanings
from whence.query.engines.pieces import PIECE_ROWS, Piece, Pieces
from whence.query.engines.shapes import (
    MOST_EXACT_ROWS,
    UNLIMITED,
    Aggregate,
    Budget,
    Found,
    GroupRow,
    Order,
    Page,
    PageKey,
    check_key,
)
from whence.query.engines.stored_lineage import RowLinks, StoredLineage
from whence.query.engines.traces import TraceFilter, TraceKey, TraceSort, TracesPage
from whence.query.sql.chains import count_chains_sql, piece_sql
from whence.query.sql.clickhouse import CLICKHOUSE
from whence.query.sql.filters import sessions_sql, signed
from whence.query.sql.groups import events_as_members
from whence.query.sql.ids import (
    caused_by_sql,
    event_sql,
)
from whence.query.sql.pages import page_sql
from whence.query.sql.statement import Statement, is_storable
from whence.query.sql.wrong import choices_sql
from whence.store.clickhouse import ddl
from whence.store.clickhouse.forgetting import visible
from whence.store.clickhouse.http import OVER_BUDGET, Client, Parameter
from whence.store.columns import SCHEMA, events_of
from whence.store.manifest import RingTally
from whence.store.sessions import StoredSession, parsed_session_document, with_tallies

__all__ = ["ClusterEngine"]

T = TypeVar("T")
LONGEST_S = 3_600.0
MOST_PIECE_ROWS = 50_000  # of a recording with whole chains


class ClusterEngine(AsksLineage):
    """An engine over the database that the client asks. One thread at a time asks.

    A question about one request is asked of the one shard that has it. An answer is that of all
    shards: while one is gone there is none, but ClusterUnavailable. Raises NotAStore where there
    are no tables of ours, UnsupportedFormat for those of another version. Users who may only read
    are enough; budgets bind the server where its settings may be asked for.
    """

    def __init__(self, client: Client, *, exact_rows: int = MOST_EXACT_ROWS) -> None:
        self._client = client
        self._exact_rows = exact_rows
        self._known = Known({})
        self._stamp: object = None
        self._hides = False
        try:
            if not ddl.check(client):
                raise NotAStore(f"{client.place.name}: there are no tables of whence there")
        except BaseException:
            client.close()
            raise

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
        check_key(after, order)
        return self._page(self._now(), query, order, limit, after, budget)

    def aggregate(
        self, question: Aggregate, query: TraceQuery, budget: Budget = UNLIMITED
    ) -> list[GroupRow]:
        """The figures of each group, exact unless more rows than `exact_rows` match."""
        now = self._now()
        asks = FiguresAsked(
            CLICKHOUSE,
            lambda s, text: self._rows(s, text, budget),
            lambda s: events_as_members(
                s, self._events, question, query, now.keys_of(query.session)
            ),
            now.names,
            self._exact_rows,
        )
        return asks.groups(question, query.from_wall_ns, query.until_wall_ns, budget)

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
        budget.check(rows=limit)
        return self._traces(budget).page(asked, sort, limit, page, after)

    def trace_figures(
        self, question: Aggregate, asked: TraceFilter, budget: Budget = UNLIMITED
    ) -> list[GroupRow]:
        """The figures of each group of traces."""
        return self._traces(budget).figures(question, asked, budget, self._exact_rows)

    def recording(self, query: TraceQuery, budget: Budget = UNLIMITED) -> Recording:
        """All matching events with what is known of their sessions."""
        now = self._now()
        events = tuple(events_of(self._all(now, query, budget), now.names))
        return self._recorded(now, events, query == TraceQuery())

    def whole_chains(
        self, query: TraceQuery, most_rows: int = MOST_PIECE_ROWS
    ) -> Iterator[Recording]:
        """All chains with a matching event, whole, in recordings of about so many events each."""
        now = self._now()
        sessions = now.keys_of(query.session)
        s = Statement(CLICKHOUSE)
        [[rows]] = self._rows(s, count_chains_sql(s, self._events, query, sessions))
        count = max(1, -(-int(rows) // most_rows))
        known = without_events(self._counted(now.of(None)))
        known = replace(known, held=self._held(now, known))
        for number in range(count):
            s = Statement(CLICKHOUSE)
            also = piece_sql(s, self._events, query, sessions, number, count)
            table = self._selected(s, TraceQuery(), (), UNLIMITED, also=also)
            yield replace(known, events=tuple(events_of(table, now.names)))

    def table(self, query: TraceQuery, budget: Budget = UNLIMITED) -> pa.Table:
        """All matching events as they are stored, the oldest first."""
        return self._all(self._now(), query, budget)

    def in_pieces(self, query: TraceQuery, rows: int = PIECE_ROWS) -> Pieces:
        """All matching events up to the newest of now, the oldest first, so many at a time."""
        now = self._now()
        newest_ns, every = self.newest_wall_ns() or 0, query == TraceQuery()
        if query.until_wall_ns is None or query.until_wall_ns > newest_ns:
            query = replace(query, until_wall_ns=newest_ns + 1)
        s, sessions = Statement(CLICKHOUSE), now.keys_of(query.session)
        found = self._rows(s, sessions_sql(s, self._events, query, sessions))
        names = None if every else {now.names[key] for (key,) in found}
        known = without_events(self._counted(now.of(names)))
        return Pieces(known, self._pieces(now, query, rows))

    def _pieces(self, now: Known, query: TraceQuery, rows: int) -> Iterator[Piece]:
        sessions, after = now.keys_of(query.session), None
        while True:
            table = self._selected(
                Statement(CLICKHOUSE), query, sessions, UNLIMITED, limit=rows + 1, after=after
            )
            yield Piece(table.slice(0, rows), now.names)
            if len(table) <= rows:
                return
            after = place_of(table.slice(rows - 1, 1), "oldest")

    def find(self, text: str, limit: int = 10) -> list[Found]:
        """What the text may mean. Looking for a part of an id reads that column of every shard."""
        if not text or not is_storable(text):
            return []
        now = self._now()
        return meanings(
            text, limit, dialect=CLICKHOUSE, source=self._events, sessions=list(now.sessions),
            rows=self._rows, events=lambda s, also: self._some(now, s, also, limit),
        )  # fmt: skip

    def event(self, event_id: str) -> TraceEvent | None:
        """The event of that id; one that was derived from its place is found by that."""
        if not event_id or not is_storable(event_id):
            return None
        now = self._now()
        keys = list(now.sessions)
        page = self._page(
            now,
            TraceQuery(),
            "newest",
            1,
            None,
            UNLIMITED,
            lambda s: event_sql(s, event_id, keys),
        )
        return page.events[0] if page.events else None

    def nearest(self, text: str, limit: int = 3) -> tuple[str, ...]:
        """None: they would be looked for in all there is."""
        return ()

    def effects(self, names: Sequence[str], limit: int = 1_000) -> Recording:
        """The first events that name one of these as their cause, and what is known besides."""
        now, s = self._now(), Statement(CLICKHOUSE)
        return self._recorded(now, tuple(self._some(now, s, caused_by_sql(s, names), limit)))

    def newest_wrong(self, query: TraceQuery, budget: Budget = UNLIMITED) -> TraceEvent | None:
        """The event to explain when nothing is named."""
        now = self._now()
        for number in range(4):

            def choice(s: Statement, number: int = number) -> str:
                return list(choices_sql(s, now.decisions))[number]

            page = self._page(now, query, "newest", 1, None, budget, choice)
            if page.events:
                return page.events[0]
        return None

    def newest_wall_ns(self) -> int | None:
        """When the newest event happened."""
        self._now()
        s = Statement(CLICKHOUSE)
        [[rows, newest]] = self._rows(s, f"SELECT count(), max(ts_ns) FROM {self._events}")
        return newest if rows else None

    def sessions(self) -> Sequence[SessionInfo]:
        """The processes that recorded."""
        return [each.info for each in self._now().sessions.values()]

    def ledger(self) -> Sequence[RingLedger]:
        """The counts of their rings."""
        return [ring for each in self._counted(self._now().of(None)) for ring in each.rings]

    def close(self) -> None:
        """Closes the connections. May come twice."""
        self._client.close()

    def __enter__(self) -> ClusterEngine:
        """The engine itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes."""
        self.close()

    # ---- what the questions are made of

    def _of_lineage(self, ask: Callable[[LineageSource], T]) -> T:
        asking = ClusterAsking(self._now(), self._events, self._selected, self._rows, self._whole)
        return ask(StoredLineage(asking, RowLinks(asking), asking.has(LINEAGE_WINDOW)))

    def _whole(self, now: Known, table: pa.Table) -> Recording:
        return self._recorded(now, tuple(events_of(table, now.names)), True)

    @property
    def _events(self) -> str:
        place = self._client.place
        return visible(place) if self._hides else place.events

    def _page(
        self,
        now: Known,
        query: TraceQuery,
        order: Order,
        limit: int,
        after: PageKey | None,
        budget: Budget,
        also: Callable[[Statement], str] = lambda s: "TRUE",
    ) -> Page:
        budget.check(rows=limit)
        s = Statement(CLICKHOUSE)
        table = self._selected(
            s,
            query,
            now.keys_of(query.session),
            budget,
            order=order,
            limit=limit + 1,
            after=after,
            also=also(s),
        )
        return now.page(table, limit, order)

    def _traces(self, budget: Budget) -> TracesAsked:
        return TracesAsked(
            CLICKHOUSE,
            lambda s, text: self._rows(s, text, budget),
            self._now().names,
            lambda query: self._events,
            lambda ids: self._events,
        )

    def _some(self, now: Known, s: Statement, also: str, limit: int) -> list[TraceEvent]:
        table = self._selected(s, TraceQuery(), (), UNLIMITED, also=also, limit=limit)
        return events_of(table, now.names)

    def _all(self, now: Known, query: TraceQuery, budget: Budget) -> pa.Table:
        most = None if budget.rows is None else budget.rows + 1
        sessions = now.keys_of(query.session)
        table = self._selected(Statement(CLICKHOUSE), query, sessions, budget, limit=most)
        budget.check(rows=len(table))
        return table

    def _selected(
        self,
        s: Statement,
        query: TraceQuery,
        sessions: Sequence[int],
        budget: Budget,
        **how: Any,
    ) -> pa.Table:
        text = page_sql(s, self._events, SCHEMA.names, query, sessions=sessions, **how)
        return self._table(s, text, budget)

    def _recorded(
        self, now: Known, events: tuple[TraceEvent, ...], whole: bool = False
    ) -> Recording:
        names = None if whole else {event.session for event in events}
        known = without_events(self._counted(now.of(names)))
        return replace(known, events=events, held=None if whole else self._held(now, known))

    def _held(self, now: Known, known: Recording) -> Mapping[tuple[str, int, str], int]:
        """How many events are stored, by session, ring and type, of sessions that lost some."""
        keys = [key for name in leaking(known) for key in now.keys_of(name)]
        if not keys:
            return {}
        s = Statement(CLICKHOUSE)
        found = self._rows(s, held_sql(s, self._events, keys))
        return {(now.names[key], ring, kind): count for key, ring, kind, count in found}

    def _counted(self, stored: Sequence[StoredSession]) -> list[StoredSession]:
        """With ring ledgers: of what came without a store they are counted here, from the rows."""
        s = Statement(CLICKHOUSE)
        keys = [s.integer(signed(each.info.key)) for each in stored if not each.rings]
        if not keys:
            return list(stored)
        found = self._rows(
            s,
            "SELECT session, ring, count(), max(ticket) + 1, "
            f"min(ts_ns - offset_ns), max(ts_ns - offset_ns) FROM {self._events}"
            f" WHERE session IN ({', '.join(keys)}) AND ring >= 0 GROUP BY session, ring",
        )
        positions: defaultdict[int, dict[int, int]] = defaultdict(dict)
        tallies: defaultdict[int, dict[int, RingTally]] = defaultdict(dict)
        for session, ring, rows, end, oldest_ns, newest_ns in found:
            positions[session & 2**64 - 1][ring] = end
            tallies[session & 2**64 - 1][ring] = RingTally(rows, oldest_ns, newest_ns)
        return [
            each
            if each.rings
            else with_tallies(each, positions[each.info.key], tallies[each.info.key])
            for each in stored
        ]

    def _now(self) -> Known:
        """What is known of sessions; read anew when there is more of it. And what is hidden."""
        place = self._client.place
        table = place.sessions
        [[hidden, *stamp]] = self._client.rows(
            f"SELECT (SELECT count() FROM {place.hidden}), count(), max(version) FROM {table}"
        )
        self._hides = hidden > 0
        if stamp != self._stamp:
            told = self._client.rows(
                f"SELECT toString(uuid), argMax(document, version) FROM {table} GROUP BY uuid"
            )
            parsed = [parsed_session_document(document, uuid) for uuid, document in told]
            parsed.sort(key=lambda each: (each.info.name, each.info.uuid))
            self._known = Known({each.info.key: each for each in parsed})
            self._stamp = stamp
        return self._known

    # ---- asking

    def _rows(self, s: Statement, text: str, budget: Budget = UNLIMITED) -> list[tuple[Any, ...]]:
        table = self._table(s, text, budget)
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def _table(self, s: Statement, text: str, budget: Budget) -> pa.Table:
        values: dict[str, Parameter] = {n: value for n, (_, value) in s.values_in(text).items()}
        settings: dict[str, int | str] = {"readonly": 2, "optimize_skip_unused_shards": 1}
        if budget.time_s is not None:
            settings["max_execution_time"] = max(1, math.ceil(budget.time_s))
        if budget.bytes is not None:
            settings["max_bytes_to_read"] = budget.bytes
        limit_s = LONGEST_S if budget.time_s is None else budget.time_s
        began_s = time.monotonic()
        try:
            content = self._client.query(
                f"{text} FORMAT ArrowStream", values, settings, timeout_s=limit_s
            )
        except ClusterUnavailable:
            if time.monotonic() - began_s >= limit_s:
                raise BudgetExceeded(
                    f"no answer within {limit_s:g} s: narrow the question, or allow more time"
                ) from None
            raise
        except ClusterError as error:
            if error.code in OVER_BUDGET:
                raise BudgetExceeded(f"{error}: narrow the question, or allow more") from None
            raise
        except OverflowError as error:
            raise BudgetExceeded(f"{error}: narrow the question") from None
        with pa.ipc.open_stream(content) as stream:
            answer: pa.Table = stream.read_all()
        return answer
