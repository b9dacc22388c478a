"""A page of traces of a store or a cluster: which traces it has, then a row for each of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from whence.model.query import TraceQuery
from whence.query.engines.asked_figures import FiguresAsked
from whence.query.engines.shapes import Aggregate, Budget, GroupRow
from whence.query.engines.traces import (
    TRACE_GROUPS,
    TraceFilter,
    TraceKey,
    TraceRow,
    TraceSort,
    TracesPage,
    check_groups,
    check_page,
    id_of,
)
from whence.query.sql.dialect import Dialect
from whence.query.sql.filters import traces_sql
from whence.query.sql.groups import Members
from whence.query.sql.statement import Statement
from whence.query.sql.traces import (
    candidates_sql,
    count_traces_sql,
    places_sql,
    row_of,
    rows_sql,
    traces_as_members,
)

__all__ = ["TracesAsked"]

IDS_AT_ONCE = 500


@dataclass(frozen=True)
class TracesAsked:
    """What is asked, and how: `rows` answers a statement, `names` are those of sessions by key.

    `matching` is what stands behind FROM where all rows are that match a query, `having` where all
    are of these traces, or of all.
    """

    dialect: Dialect
    rows: Callable[[Statement, str], list[tuple[Any, ...]]]
    names: Mapping[int, str]
    matching: Callable[[TraceQuery], str]
    having: Callable[[Sequence[str] | None], str]

    def page(
        self,
        asked: TraceFilter,
        sort: TraceSort,
        limit: int,
        page: int | None,
        after: TraceKey | None,
    ) -> TracesPage:
        """As Engine.traces() answers: all that may match are grouped, then rows of the page's."""
        check_page(sort, limit, page, after)
        skipped = 0 if page is None else (page - 1) * limit
        if skipped >= 2**63 - 1:
            return TracesPage((), self._count(asked), limit, page)
        s = Statement(self.dialect)
        source, also = self._candidates(s, asked)
        text = places_sql(
            s, source, asked, sort=sort, limit=limit + 1, skipped=skipped, after=after, also=also
        )
        places = self.rows(s, text)
        total = places[0][2] if places else self._count(asked) if skipped or after else 0
        rows = self._rows([id_of(high, low) for high, low, _ in places[:limit]])
        more = len(places) > limit and bool(rows)
        return TracesPage(rows, total, limit, page, TraceKey.of(rows[-1], sort) if more else None)

    def figures(
        self, question: Aggregate, asked: TraceFilter, budget: Budget, exact_rows: int
    ) -> list[GroupRow]:
        """As Engine.trace_figures() answers."""
        check_groups(question)

        def members(s: Statement) -> Members:
            source, also = self._candidates(s, asked)
            return traces_as_members(s, source, question, asked, also)

        asks = FiguresAsked(
            self.dialect, self.rows, members, self.names, exact_rows, columns=TRACE_GROUPS
        )
        return asks.groups(question, asked.started_after_ns, asked.started_before_ns, budget)

    def _count(self, asked: TraceFilter) -> int:
        s = Statement(self.dialect)
        source, also = self._candidates(s, asked)
        [[total]] = self.rows(s, count_traces_sql(s, source, asked, also))
        return int(total)

    def _rows(self, ids: Sequence[str]) -> tuple[TraceRow, ...]:
        found: dict[str, TraceRow] = {}
        for first in range(0, len(ids), IDS_AT_ONCE):
            some = ids[first : first + IDS_AT_ONCE]
            s = Statement(self.dialect)
            for each in self.rows(s, rows_sql(s, self.having(some), some)):
                row = row_of(s, each, self.names)
                found[row.trace_id] = row
        return tuple(found[each] for each in ids if each in found)

    def _candidates(self, s: Statement, asked: TraceFilter) -> tuple[str, str]:
        """Where rows of traces that may match are, and what holds of these rows.

        Something happened when a trace started; so of those that started within some time each has
        a row of that time.
        """
        also = []
        if asked.trace_ids is not None:
            also.append(traces_sql(s, asked.trace_ids))
        since, until = asked.started_after_ns, asked.started_before_ns
        for query in (asked.event, TraceQuery(from_wall_ns=since, until_wall_ns=until)):
            if query not in (None, TraceQuery()):
                also.append(candidates_sql(s, self.matching(query), query))
        return self.having(asked.trace_ids), " AND ".join(also) or "TRUE"
