"""The links in a folder store: its files of them, mapped, and its rows where one is no good."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from whence.model.errors import CorruptFile, UnsupportedFormat
from whence.model.query import TraceQuery
from whence.model.recording import Recording
from whence.query.engines.generation import Generation
from whence.query.engines.shapes import UNLIMITED, Budget
from whence.query.engines.sources import Source
from whence.query.engines.stored_lineage import StoredLineage
from whence.query.sql.dialect import DUCKDB
from whence.query.sql.own_columns import asked_attributes
from whence.query.sql.pages import page_sql
from whence.query.sql.statement import Statement
from whence.store.columns import SCHEMA
from whence.store.hidden import Hidden
from whence.store.link_files import links_of_file
from whence.store.links import LinkSegment, MappedLinks, links_name
from whence.store.manifest import Segment
from whence.store.retention import dropped_before_ns

__all__ = ["FolderAsking", "LinkFiles"]

CHECKED_BYTES = 64 << 20  # of links, compared with their checksums when they are first opened
Sources = Callable[[Sequence[Segment], Budget, Collection[str] | None], Source]
Ask = Callable[[Statement, str, Budget], pa.Table]
Rows = Callable[[Statement, str, Budget], list[tuple[Any, ...]]]
Recorded = Callable[[Generation, pa.Table, bool], Recording]


class LinkFiles:
    """The files of links of a store, each opened once for as long as it counts.

    The links of a file that is missing or damaged, or that has links of what was forgotten and not
    yet rewritten, are read from the events.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: dict[tuple[str, int], LinkSegment] = {}
        self._unchecked = CHECKED_BYTES

    def at(
        self, now: Generation, source: Sources, ask: Ask, rows: Rows, recorded: Recorded
    ) -> StoredLineage:
        """What one generation knows of lineage, with the means of its engine."""
        files = now.manifest.files
        links = MappedLinks(self.of(files, now.hidden))
        windows = any(each.links is not None and each.links.windows > 0 for each in files)
        return StoredLineage(FolderAsking(now, source, ask, rows, recorded), links, windows)

    def of(self, segments: Sequence[Segment], hidden: Hidden) -> list[LinkSegment]:
        """Those of these segments, without hidden ones. Raises OSError, ArrowException."""
        found = {}
        for each in segments:
            if each.has_links:
                asked = hidden.number if each.cleared < hidden.number else 0
                key = each.name, asked
                found[key] = self._open.get(key) or self._opened(each, hidden if asked else None)
        self._open = found
        return list(found.values())

    def _opened(self, segment: Segment, hidden: Hidden | None) -> LinkSegment:
        path = self._root / links_name(segment.name)
        if hidden is None:
            with contextlib.suppress(CorruptFile, UnsupportedFormat, OSError):
                links = LinkSegment(path)
                size = segment.links.bytes if segment.links else 0
                if size <= self._unchecked:
                    links.check()
                    self._unchecked -= size
                return links
        rows = links_of_file(self._root / segment.name, *([] if hidden is None else [hidden]))
        return LinkSegment.held(path, rows.links)


class FolderAsking:
    """One generation, asked with the means of its engine."""

    def __init__(
        self,
        now: Generation,
        source: Sources,
        ask: Ask,
        rows: Rows,
        recorded: Recorded,
    ) -> None:
        self.known = now
        self._source = source
        self._ask = ask
        self._rows = rows
        self._recorded = recorded

    @property
    def source(self) -> str:
        """All files."""
        return self._source(self.known.manifest.files, UNLIMITED, ()).text

    def page(
        self, query: TraceQuery, also: Callable[[Statement], str], limit: int | None
    ) -> pa.Table:
        """The oldest events that match, as they are stored."""
        files, narrow = self.known.narrowed(query)
        if not files:
            return SCHEMA.empty_table()
        source = self._source(files, UNLIMITED, asked_attributes(narrow))
        s = source.statement()
        text = page_sql(s, source.text, source.columns, narrow, also=also(s), limit=limit)
        return self._ask(s, text, UNLIMITED)

    def rows(self, write: Callable[[Statement], str]) -> list[tuple[Any, ...]]:
        """The answer to a statement over all files; nothing where there are none."""
        if not self.known.manifest.files:
            return []
        s = Statement(DUCKDB)
        return self._rows(s, write(s), UNLIMITED)

    def recorded(self, table: pa.Table) -> Recording:
        """These events with what is known of all sessions."""
        return replace(
            self._recorded(self.known, table, True),
            dropped_before_ns=dropped_before_ns(self.known.manifest),
        )
