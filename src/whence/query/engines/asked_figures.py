"""Figures of groups of a store or a cluster: exact ones, or percentiles read from a histogram."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from whence.model.query import TraceQuery
from whence.query.engines.shapes import Aggregate, Budget, GroupRow
from whence.query.sql.dialect import Dialect
from whence.query.sql.groups import (
    count_sql,
    groups_sql,
    histogram_sql,
    rows_of,
    with_percentiles,
)
from whence.query.sql.statement import Statement

__all__ = ["FiguresAsked"]

Row = tuple[Any, ...]


@dataclass(frozen=True)
class FiguresAsked:
    """Who is asked: `rows` answers a statement over `source`, what stands behind FROM.

    `sessions` are the keys of those that bear the query's name of one, `names` those of all by key.
    Of more matching rows than `exact_rows` percentiles are approximate; if `most_rows` is given
    there are no more than these. `own` is what stands for attributes with columns of their own.
    """

    dialect: Dialect
    rows: Callable[[Statement, str], list[Row]]
    source: str
    sessions: Sequence[int]
    names: Mapping[int, str]
    exact_rows: int
    most_rows: int | None = None
    weighted: bool = True
    own: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def groups(
        self, question: Aggregate, query: TraceQuery, within: TraceQuery, budget: Budget
    ) -> list[GroupRow]:
        """As Engine.aggregate() answers. `within` is the interval that a rate is of."""
        exact = not question.percentiles or self._are_few(query)
        s = Statement(self.dialect, self.own)
        text = groups_sql(
            s, self.source, question, query,
            sessions=self.sessions, exact=exact, weighted=self.weighted,
        )  # fmt: skip
        found = [_without_nan(row) for row in self.rows(s, text)]
        budget.check(rows=len(found))
        rows = rows_of(question, found, within, self.names)
        if exact:
            return rows
        s = Statement(self.dialect, self.own)
        text = histogram_sql(s, self.source, question, query, sessions=self.sessions)
        return with_percentiles(question, rows, self.rows(s, text), self.names)

    def _are_few(self, query: TraceQuery) -> bool:
        if self.most_rows is not None and self.most_rows <= self.exact_rows:
            return True
        s = Statement(self.dialect, self.own)
        [[count]] = self.rows(s, count_sql(s, self.source, query, self.sessions))
        return int(count) <= self.exact_rows


def _without_nan(row: Row) -> Row:
    """Percentiles of no values are none."""
    shares = row[-1]
    return (*row[:-1], None if shares is None else [None if v != v else v for v in shares])
