"""Lineage in stores that are asked in SQL: links from where they keep them, all else from rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import pyarrow as pa

from whence.model.lineage_events import LinkPart, lineage_of
from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.query.engines.asked_lineage import nearest
from whence.query.engines.known import Known
from whence.query.engines.windows import Timed, WindowEdges
from whence.query.lineage import Edges, Way
from whence.query.sql.lineage import (
    ending_parents_sql,
    ending_sql,
    groups_of,
    links_sql,
    near_sql,
    of_ids_sql,
)
from whence.query.sql.statement import Statement
from whence.store.columns import SCHEMA, events_of
from whence.store.segment import in_order

__all__ = ["Asking", "Links", "RowLinks", "StoredLineage"]

_MOST = 2**64 - 1
Predicate = Callable[[Statement], str]
_EVERYTHING = TraceQuery()


class Links(Protocol):
    """The links of a store, wherever they lie."""

    def edges(self) -> Edges:
        """They all."""

    def knows(self, lineage_id: int) -> bool:
        """Whether a link names that id."""

    def ending(self, digits: str, limit: int) -> list[int]:
        """Ids in links whose digits end so, the least first."""

    def near(self, lineage_id: int, limit: int) -> list[int]:
        """Ids in links that are nearest to that number."""


class Asking(Protocol):
    """How a store is asked at one moment."""

    @property
    def known(self) -> Known:
        """What is known of sessions."""

    @property
    def source(self) -> str:
        """What stands behind FROM."""

    def page(self, query: TraceQuery, also: Predicate, limit: int | None) -> pa.Table:
        """The oldest events that match, as they are stored."""

    def rows(self, write: Predicate) -> Sequence[Sequence[Any]]:
        """The answer to a statement."""

    def recorded(self, table: pa.Table) -> Recording:
        """These events with what is known of all sessions."""


class StoredLineage:
    """What one moment of a store knows of lineage; `windows` is whether there are any."""

    def __init__(self, asking: Asking, links: Links, windows: bool) -> None:
        self._asking = asking
        self._links = links
        self._windows = windows

    def edges(self) -> list[Edges]:
        """The links, and the windows."""
        found = [self._links.edges()]
        return [*found, WindowEdges(self._of_ids, self._of)] if self._windows else found

    def events(self, ids: Sequence[int], limit: int) -> Recording:
        """The oldest events with one of these lineage ids, and what is known of all sessions."""
        tables = [
            self._asking.page(_EVERYTHING, partial(of_ids_sql, ids=part), limit)
            for part in groups_of(list(dict.fromkeys(ids)))
        ]
        if not tables:
            return self._asking.recorded(SCHEMA.empty_table())
        whole = pa.concat_tables(tables, promote_options="permissive").unify_dictionaries()
        return self._asking.recorded(in_order(whole).slice(0, limit))

    def knows(self, lineage_id: int) -> bool:
        """Whether an event has that id, or a link names it."""
        if self._links.knows(lineage_id):
            return True
        return bool(len(self._asking.page(_EVERYTHING, lambda s: of_ids_sql(s, [lineage_id]), 1)))

    def ending(self, digits: str, limit: int) -> list[int]:
        """Ids of events and links whose decimal digits end so, the least first."""
        source = self._asking.source
        found = self._asking.rows(lambda s: ending_sql(s, source, digits, limit))
        ids = {int(each) & _MOST for (each,) in found}
        return sorted(ids.union(self._links.ending(digits, limit)))[:limit]

    def near(self, lineage_id: int, limit: int) -> list[int]:
        """Ids that are nearest to that number, below and above."""
        source = self._asking.source
        found = self._asking.rows(lambda s: near_sql(s, source, lineage_id, limit))
        ids = [int(each) & _MOST for (each,) in found]
        return nearest([*ids, *self._links.near(lineage_id, limit)], lineage_id, limit)

    def _of_ids(self, event_type: str, ids: Sequence[int]) -> Iterator[Timed]:
        for part in groups_of(ids):
            yield from self._timed(
                self._asking.page(
                    _EVERYTHING, partial(of_ids_sql, ids=part, event_type=event_type), None
                )
            )

    def _of(self, query: TraceQuery) -> Iterator[Timed]:
        return self._timed(self._asking.page(query, lambda s: "TRUE", None))

    def _timed(self, table: pa.Table) -> Iterator[Timed]:
        events = events_of(table, self._asking.known.names)
        return zip(events, table.column("ts_ns").to_pylist(), strict=True)


class RowLinks:
    """The links of a cluster: its rows, by an index of ids and one of parents."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def edges(self) -> RowLinks:
        """They all."""
        return self

    def step(self, ids: Sequence[int], way: Way) -> Iterator[tuple[int, int]]:
        """The links, as child and parent, that lead from these ids up or down."""
        wanted = frozenset(ids)
        for part in groups_of(ids):
            table = self._asking.page(_EVERYTHING, partial(links_sql, ids=part, way=way), None)
            for event in events_of(table, self._asking.known.names):
                try:
                    link = lineage_of(event)
                except (ValueError, TypeError):
                    continue
                if isinstance(link, LinkPart):
                    child = link.lineage_id
                    yield from (
                        (child, parent)
                        for parent in link.parents
                        if (child if way == "up" else parent) in wanted
                    )

    def knows(self, lineage_id: int) -> bool:
        """Whether a link names that id as a parent."""
        return any(self.step([lineage_id], "down"))

    def ending(self, digits: str, limit: int) -> list[int]:
        """Parents whose digits end so, the least first. Reads all links."""
        source = self._asking.source
        found = self._asking.rows(lambda s: ending_parents_sql(s, source, digits))
        return sorted({int(each) for (each,) in found if 0 < int(each) <= _MOST})[:limit]

    def near(self, lineage_id: int, limit: int) -> list[int]:
        """None: they would be looked for in all links."""
        return []
