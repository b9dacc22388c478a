"""Figures of groups of a store or a cluster: exact ones, or percentiles read from a histogram."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from whence.query.engines.shapes import GROUPS, Aggregate, Budget, GroupRow
from whence.query.sql.dialect import Dialect
from whence.query.sql.groups import (
    Members,
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
    """Who is asked: `rows` answers a statement, `members` writes into one what is grouped.

    `names` are those of sessions by key. Of more rows than `exact_rows` percentiles are
    approximate; if `most_rows` is given there are no more than these. Without `weighted` no row
    stands for more than itself. `columns` are what may be grouped by, but for attributes; `own`
    is what stands for attributes with columns of their own.
    """

    dialect: Dialect
    rows: Callable[[Statement, str], list[Row]]
    members: Callable[[Statement], Members]
    names: Mapping[int, str]
    exact_rows: int
    most_rows: int | None = None
    weighted: bool = True
    columns: Mapping[str, str] = field(default_factory=lambda: GROUPS)
    own: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def groups(
        self, question: Aggregate, since_ns: int | None, until_ns: int | None, budget: Budget
    ) -> list[GroupRow]:
        """As Engine.aggregate() answers. The two moments are the interval that a rate is of."""
        exact = not question.percentiles or self._are_few()
        s = Statement(self.dialect, self.own)
        text = groups_sql(s, self.members(s), question, exact=exact, weighted=self.weighted)
        found = [_without_nan(row) for row in self.rows(s, text)]
        budget.check(rows=len(found))
        rows = rows_of(question, found, since_ns, until_ns, self.names, self.columns)
        if exact:
            return rows
        s = Statement(self.dialect, self.own)
        pieces = self.rows(s, histogram_sql(s, self.members(s)))
        return with_percentiles(question, rows, pieces, self.names, self.columns)

    def _are_few(self) -> bool:
        if self.most_rows is not None and self.most_rows <= self.exact_rows:
            return True
        s = Statement(self.dialect, self.own)
        [[count]] = self.rows(s, count_sql(self.members(s)))
        return int(count) <= self.exact_rows


def _without_nan(row: Row) -> Row:
    """Percentiles of no values are none."""
    shares = row[-1]
    return (*row[:-1], None if shares is None else [None if v != v else v for v in shares])
