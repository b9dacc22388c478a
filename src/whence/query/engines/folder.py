"""Answers questions over a folder store: DuckDB over exactly the files that its manifest names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from typing import TypeVar

import pyarrow as pa

from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.model.recording import Damage, Recording, RingLedger, SessionInfo
from whence.query.chain import NEAR_REACH
from whence.query.engines.asked_figures import FiguresAsked
from whence.query.engines.asked_lineage import AsksLineage, LineageSource
from whence.query.engines.asked_page import AskedPage, place_of
from whence.query.engines.asked_traces import TracesAsked
from whence.query.engines.folder_files import FolderFiles
from whence.query.engines.folder_lineage import LinkFiles
from whence.query.engines.generation import Generation
from whence.query.engines.known import held_sql, leaking
from whence.query.engines.meant import meanings
from whence.query.engines.narrowed import holding, named
from whence.query.engines.nearest_files import by_and_by, later, one_after_the_other
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
from whence.query.engines.traces import TraceFilter, TraceKey, TraceSort, TracesPage
from whence.query.sql.chains import count_chains_sql, piece_sql
from whence.query.sql.dialect import DUCKDB
from whence.query.sql.filters import sessions_sql
from whence.query.sql.groups import events_as_members, is_weighted_sql
from whence.query.sql.ids import (
    caused_by_sql,
    event_sql,
    near_ids_sql,
)
from whence.query.sql.own_columns import asked_attributes
from whence.query.sql.pages import page_sql
from whence.query.sql.statement import Statement, is_storable
from whence.query.sql.wrong import choices_sql, newest_sql
from whence.store.columns import SCHEMA, events_of
from whence.store.segment import in_order

__all__ = ["FolderEngine"]

T = TypeVar("T")

MOST_NEAR_ROWS = 1_000_000  # looked through for ids that are spelled alike
CHOICES = 4  # of what to explain when nothing is named


class FolderEngine(FolderFiles, AsksLineage):
    """An engine over the store in a folder, read as it is at each question.

    Every question sees one generation of the store, whole. Raises NotAStore for a folder that is
    none. `exact_rows` is up to how many rows percentiles are exact. Close it after use.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        memory: str = "1GB",
        threads: int | None = None,
        exact_rows: int = MOST_EXACT_ROWS,
    ) -> None:
        super().__init__(path, memory=memory, threads=threads)
        self._exact_rows = exact_rows
        self._link_files = LinkFiles(self._store.path)

    def select(
        self,
        query: TraceQuery,
        *,
        order: Order = "oldest",
        limit: int = 100,
        after: PageKey | None = None,
        budget: Budget = UNLIMITED,
    ) -> Page:
        """A page of events. By time, the files at that end are looked through before the others."""
        check_key(after, order)
        return self._at_once(lambda now: self._page(now, query, order, limit, after, budget))

    def aggregate(
        self, question: Aggregate, query: TraceQuery, budget: Budget = UNLIMITED
    ) -> list[GroupRow]:
        """The figures of each group, exact unless more rows than `exact_rows` match."""
        return self._at_once(lambda now: self._groups(now, question, query, budget))

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

        def answer(now: Generation) -> TracesPage:
            return self._traces(now, budget).page(asked, sort, limit, page, after)

        return self._at_once(answer)

    def trace_figures(
        self, question: Aggregate, asked: TraceFilter, budget: Budget = UNLIMITED
    ) -> list[GroupRow]:
        """The figures of each group of traces."""

        def answer(now: Generation) -> list[GroupRow]:
            return self._traces(now, budget).figures(question, asked, budget, self._exact_rows)

        return self._at_once(answer)

    def recording(self, query: TraceQuery, budget: Budget = UNLIMITED) -> Recording:
        """All matching events with what the store knows of their sessions."""
        return self._at_once(lambda now: self._recording(now, query, budget))

    def whole_chains(self, query: TraceQuery, most_rows: int = PIECE_ROWS) -> Iterator[Recording]:
        """All chains with a matching event, whole, in recordings of about so many events each.

        Each of them has all that is known of all sessions. Every one costs a look through the
        names of all events.
        """
        now = self._snapshot()
        source = self._source(now.manifest.files, UNLIMITED, asked_attributes(query))
        statement, sessions = source.statement(), now.keys_of(query.session)
        counted = count_chains_sql(statement, source.text, query, sessions)
        [[rows]] = self._rows(statement, counted, UNLIMITED)
        count = max(1, -(-int(rows) // most_rows))
        known = now.without_events(None)
        known = replace(known, held=self._held(now, known))
        for number in range(count):
            table = self._at_once(partial(self._piece, query=query, number=number, count=count))
            yield replace(known, events=tuple(events_of(table, now.names)))

    def find(self, text: str, limit: int = 10) -> list[Found]:
        """What the text may mean. Looking for a part of an id reads that column of every file."""
        if not text or not is_storable(text):
            return []
        return self._at_once(lambda now: self._meanings(now, text, limit))

    def event(self, event_id: str) -> TraceEvent | None:
        """The event of that id; one that was derived from its place is found by that."""
        if not event_id or not is_storable(event_id):
            return None
        return self._at_once(lambda now: self._event(now, event_id))

    def nearest(self, text: str, limit: int = 3) -> tuple[str, ...]:
        """Ids spelled much like the text, among those of the newest million events or so."""
        if not text or not is_storable(text):
            return ()
        return self._at_once(lambda now: self._nearest(now, text, limit))

    def effects(self, names: Sequence[str], limit: int = 1_000) -> Recording:
        """The first events that name one of these as their cause, and what is known besides."""
        return self._at_once(
            lambda now: self._recorded(
                now,
                self._page_table(
                    now,
                    TraceQuery(),
                    "oldest",
                    limit,
                    None,
                    UNLIMITED,
                    lambda statement: caused_by_sql(statement, names),
                ).slice(0, limit),
            )
        )

    def newest_wrong(self, query: TraceQuery, budget: Budget = UNLIMITED) -> TraceEvent | None:
        """The event to explain when nothing is named, looked for from the newest file on."""
        return self._at_once(lambda now: self._newest_wrong(now, query, budget))

    def newest_wall_ns(self) -> int | None:
        """When the newest event happened, as the manifest says."""
        return max((each.max_ts for each in self._snapshot().manifest.files), default=None)

    def table(self, query: TraceQuery, budget: Budget = UNLIMITED) -> pa.Table:
        """All matching events as they are stored, the oldest first."""
        return self._at_once(lambda now: self._all(now, query, budget))

    def in_pieces(self, query: TraceQuery, rows: int = PIECE_ROWS) -> Pieces:
        """All matching events, the oldest first, so many at a time: of a store of any size.

        They are those of one generation, unless a file of it is gone before it was read: from then
        on those of a newer one, up to the time at which the first one ended.
        """
        now = self._snapshot()
        names = None
        if query != TraceQuery():
            files, narrow = now.narrowed(query)
            source = self._source(files, UNLIMITED, asked_attributes(query))
            statement, sessions = source.statement(), now.keys_of(query.session)
            text = sessions_sql(statement, source.text, narrow, sessions)
            names = {now.names[key] for (key,) in self._rows(statement, text, UNLIMITED)}
        return Pieces(
            now.without_events(names),
            self._pieces(now, query, rows),
        )

    def _pieces(self, now: Generation, query: TraceQuery, rows: int) -> Iterator[Piece]:
        newest_ns = max((each.max_ts for each in now.manifest.files), default=0)
        until_ns = min(newest_ns + 1, query.until_wall_ns or newest_ns + 1)
        after, again = None, False
        while True:
            try:
                table = self._page_table(now, query, "oldest", rows, after, UNLIMITED)
            except FileNotFoundError:
                if again:
                    raise
                now, again = self._snapshot(), True
                query = replace(query, until_wall_ns=until_ns)
                continue
            again = False
            yield Piece(table.slice(0, rows), now.names)
            if len(table) <= rows:
                return
            after = place_of(table.slice(rows - 1, 1), "oldest")

    @property
    def dropped_before_ns(self) -> int | None:
        """Up to when events were dropped by the store's limits; None if none ever was."""
        return self._snapshot().dropped_before_ns

    @property
    def damage(self) -> Sequence[Damage]:
        """What is wrong with the store, as far as a look at its manifest tells."""
        return self._snapshot().damage

    def sessions(self) -> Sequence[SessionInfo]:
        """The processes that recorded."""
        return [each.info for each in self._snapshot().sessions.values()]

    def ledger(self) -> Sequence[RingLedger]:
        """The counts of their rings: what is stored is readable, what never arrived lost."""
        stored = self._snapshot().sessions.values()
        return [ring for each in stored for ring in each.rings]

    def sql(self, text: str, budget: Budget = UNLIMITED) -> pa.Table:
        """The answer to one SELECT over the table `events`; BadQuestion for anything else."""
        return self._at_once(lambda now: self._sql(now, text, budget))

    # ---- one generation

    def _of_lineage(self, ask: Callable[[LineageSource], T]) -> T:
        means = self._source, self._ask, self._rows, self._recorded
        return self._at_once(lambda now: ask(self._link_files.at(now, *means)))

    def _page(
        self,
        now: Generation,
        query: TraceQuery,
        order: Order,
        limit: int,
        after: PageKey | None,
        budget: Budget,
        also: Callable[[Statement], str] = lambda statement: "TRUE",
    ) -> Page:
        budget.check(rows=limit)
        table = self._page_table(now, query, order, limit, after, budget, also)
        return now.page(table, limit, order)

    def _page_table(
        self,
        now: Generation,
        query: TraceQuery,
        order: Order,
        limit: int,
        after: PageKey | None,
        budget: Budget,
        also: Callable[[Statement], str] = lambda statement: "TRUE",
    ) -> pa.Table:
        """The rows of a page, and one more if there is any."""
        table = SCHEMA.empty_table()
        sessions = now.keys_of(query.session)
        nearest, query = now.narrowed(query)
        for files, is_last, edge_ns in by_and_by(nearest, order, after):
            source = self._source(files, budget, asked_attributes(query))
            statement = source.statement()
            asked = AskedPage(query, sessions, order, limit + 1, after, also(statement))
            ((until, count),) = self._rows(statement, asked.edge(statement, source.text), budget)
            is_full = count > limit and (until > edge_ns if order == "newest" else until < edge_ns)
            if not is_last and not is_full:
                continue
            if count:
                statement = source.statement()
                asked = replace(asked, also=also(statement))
                text = asked.page(statement, source.text, until, source.columns)
                table = self._ask(statement, text, budget)
            break
        return table

    def _traces(self, now: Generation, budget: Budget) -> TracesAsked:
        def having(ids: Sequence[str] | None) -> str:
            files = now.manifest.files
            kept = files if ids is None else holding(now.root, files, ids)
            return self._source(kept, budget).text

        return TracesAsked(
            DUCKDB,
            lambda statement, text: self._rows(statement, text, budget),
            now.names,
            lambda query: self._source(now.narrowed(query)[0], budget).text,
            having,
        )

    def _groups(
        self, now: Generation, question: Aggregate, query: TraceQuery, budget: Budget
    ) -> list[GroupRow]:
        files, narrow = now.narrowed(query)
        if not files:
            return []
        source = self._source(files, budget, asked_attributes(query, question))
        statement = source.statement()
        weighted = "weight" in source.columns and bool(
            self._rows(statement, is_weighted_sql(statement, source.text, narrow), budget)
        )
        asks = FiguresAsked(
            DUCKDB,
            lambda statement, text: self._rows(statement, text, budget),
            lambda s: events_as_members(
                s, source.text, question, narrow, now.keys_of(query.session)
            ),
            now.names,
            self._exact_rows,
            most_rows=sum(each.rows for each in files),
            weighted=weighted,
            own=source.own,
        )
        return asks.groups(question, query.from_wall_ns, query.until_wall_ns, budget)

    def _recording(self, now: Generation, query: TraceQuery, budget: Budget) -> Recording:
        return self._recorded(now, self._all(now, query, budget), query == TraceQuery())

    def _recorded(self, now: Generation, table: pa.Table, whole: bool = False) -> Recording:
        events = tuple(events_of(table, now.names))
        names = None if whole else {event.session for event in events}
        known = now.without_events(names)
        held = None if whole else self._held(now, known)
        return replace(known, events=events, held=held)

    def _piece(self, now: Generation, query: TraceQuery, number: int, count: int) -> pa.Table:
        source = self._source(now.manifest.files, UNLIMITED, asked_attributes(query))
        statement = source.statement()
        sessions = now.keys_of(query.session)
        also = piece_sql(statement, source.text, query, sessions, number, count)
        text = page_sql(statement, source.text, source.columns, TraceQuery(), also=also)
        return self._ask(statement, text, UNLIMITED)

    def _all(self, now: Generation, query: TraceQuery, budget: Budget) -> pa.Table:
        files, query = now.narrowed(query)
        if not files:
            return SCHEMA.empty_table()
        source = self._source(files, budget, asked_attributes(query))
        statement = source.statement()
        text = page_sql(
            statement,
            source.text,
            source.columns,
            query,
            sessions=now.keys_of(query.session),
            limit=None if budget.rows is None else budget.rows + 1,
            by=(),  # they nearly always come in order, and few are soon sorted
        )
        table = self._ask(statement, text, budget)
        budget.check(rows=len(table))
        return in_order(table)

    def _held(self, now: Generation, known: Recording) -> Mapping[tuple[str, int, str], int]:
        """How many events are stored, by session, ring and type, of sessions that lost some."""
        keys = [key for name in leaking(known) for key in now.keys_of(name)]
        if not keys or not now.manifest.files:
            return {}
        source = self._source(now.manifest.files, UNLIMITED)
        statement = source.statement()
        text = held_sql(statement, source.text, keys)
        found = self._rows(statement, text, UNLIMITED)
        return {(now.names[key], ring, kind): count for key, ring, kind, count in found}

    def _meanings(self, now: Generation, text: str, limit: int) -> list[Found]:
        if not now.manifest.files:
            return []
        source = self._source(now.manifest.files, UNLIMITED)

        def events(statement: Statement, also: str) -> list[TraceEvent]:
            columns = source.columns
            asked = page_sql(statement, source.text, columns, TraceQuery(), also=also, limit=limit)
            return events_of(self._ask(statement, asked, UNLIMITED), now.names)

        def near(kind: str) -> str:
            return self._source(now.narrowed(named(kind, text))[0], UNLIMITED).text

        return meanings(
            text, limit, dialect=DUCKDB, source=source.text, near=near, sessions=list(now.sessions),
            rows=lambda statement, asked: self._rows(statement, asked, UNLIMITED), events=events,
        )  # fmt: skip

    def _nearest(self, now: Generation, text: str, limit: int) -> tuple[str, ...]:
        files, _ = next(one_after_the_other(list(now.manifest.files), MOST_NEAR_ROWS), ((), None))
        source = self._source(files, UNLIMITED)
        statement = source.statement()
        asked = near_ids_sql(statement, source.text, text, NEAR_REACH)
        names = sorted(name for (name,) in self._rows(statement, asked, UNLIMITED))
        return tuple(get_close_matches(text, names, limit, cutoff=0.5))

    def _event(self, now: Generation, event_id: str) -> TraceEvent | None:
        keys = list(now.sessions)
        page = self._page(
            now,
            TraceQuery(),
            "newest",
            1,
            None,
            UNLIMITED,
            lambda statement: event_sql(statement, event_id, keys),
        )
        return page.events[0] if page.events else None

    def _newest_wrong(
        self, now: Generation, query: TraceQuery, budget: Budget
    ) -> TraceEvent | None:
        sessions, decisions = now.keys_of(query.session), now.decisions
        newest: list[int | None] = [None] * CHOICES
        nearest, query = now.narrowed(query)
        for files, rest_ns in one_after_the_other(nearest):
            source = self._source(files, budget, asked_attributes(query))
            statement = source.statement()
            text = newest_sql(statement, source.text, query, decisions, sessions)
            (found,) = self._rows(statement, text, budget)
            newest = [later(*pair) for pair in zip(newest, found, strict=True)]
            if newest[0] is not None and (rest_ns is None or rest_ns < newest[0]):
                break
        for number, at_ns in enumerate(newest):
            if at_ns is not None:
                then = replace(query, from_wall_ns=at_ns, until_wall_ns=at_ns + 1)

                def choice(statement: Statement, number: int = number) -> str:
                    return list(choices_sql(statement, decisions))[number]

                page = self._page(now, then, "newest", 1, None, budget, choice)
                return page.events[0] if page.events else None
        return None

    def _sql(self, now: Generation, text: str, budget: Budget) -> pa.Table:
        self._duck.check_question(text)
        self._duck.view("events", self._source(now.manifest.files, budget, None).text)
        rows = budget.rows
        table = self._duck.table(text, time_s=budget.time_s, most_rows=rows)
        budget.check(rows=len(table) if rows is not None else 0)
        return table
