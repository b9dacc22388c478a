"""How a ClickHouse database is asked for lineage at one moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.query.engines.known import Known
from whence.query.engines.shapes import UNLIMITED
from whence.query.sql.clickhouse import CLICKHOUSE
from whence.query.sql.statement import Statement

__all__ = ["ClusterAsking"]


class ClusterAsking:
    """A database with the means of its engine."""

    def __init__(
        self,
        known: Known,
        source: str,
        selected: Callable[..., pa.Table],
        rows: Callable[[Statement, str], list[tuple[Any, ...]]],
        recorded: Callable[[Known, pa.Table], Recording],
    ) -> None:
        self.known = known
        self.source = source
        self._selected = selected
        self._rows = rows
        self._recorded = recorded

    def page(
        self, query: TraceQuery, also: Callable[[Statement], str], limit: int | None
    ) -> pa.Table:
        """The oldest events that match, as they are stored."""
        s = Statement(CLICKHOUSE)
        return self._selected(s, query, (), UNLIMITED, also=also(s), limit=limit)

    def rows(self, write: Callable[[Statement], str]) -> Sequence[tuple[Any, ...]]:
        """The answer to a statement."""
        s = Statement(CLICKHOUSE)
        return self._rows(s, write(s))

    def recorded(self, table: pa.Table) -> Recording:
        """These events with what is known of all sessions."""
        return self._recorded(self.known, table)

    def has(self, event_type: str) -> bool:
        """Whether there is an event of that type."""
        return bool(len(self.page(TraceQuery(event_type=event_type), lambda s: "TRUE", 1)))
