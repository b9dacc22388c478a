"""What a page of a store is asked for with, and the key of its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from whence.model.query import TraceQuery
from whence.query.engines.shapes import Order, PageKey
from whence.query.sql.pages import edge_sql, page_sql
from whence.query.sql.statement import Statement
from whence.store.columns import SCHEMA

__all__ = ["AskedPage", "place_of"]


@dataclass(frozen=True)
class AskedPage:
    """What a page is asked for with."""

    query: TraceQuery
    sessions: Sequence[int]
    order: Order
    limit: int
    after: PageKey | None
    also: str

    def edge(self, statement: Statement, source: str) -> str:
        """One row: where the page ends, and how many rows it has."""
        return edge_sql(statement, source, self.query, **self._rest())

    def page(
        self,
        statement: Statement,
        source: str,
        until: int,
        columns: Sequence[str] = tuple(SCHEMA.names),
    ) -> str:
        """These columns of the rows, up to there."""
        return page_sql(statement, source, columns, self.query, until=until, **self._rest())

    def _rest(self) -> dict[str, Any]:
        return {
            "sessions": self.sessions,
            "order": self.order,
            "limit": self.limit,
            "after": self.after,
            "also": self.also,
        }


def place_of(row: pa.Table, order: Order) -> PageKey:
    """The key of pages that go on behind this one row."""
    found = {name: row.column(name)[0].as_py() for name in ("duration_ns", "ts_ns", "session")}
    place = (row.column("ring")[0].as_py(), row.column("ticket")[0].as_py())
    duration_ns = found["duration_ns"] if order == "longest" else 0
    return PageKey(order, duration_ns, found["ts_ns"], found["session"], *place)
