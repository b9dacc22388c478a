"""What rows of events tell of lineage: the links among them, and how many windows and frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from whence.model.event import AttributeValue
from whence.model.lineage_events import link_part_of
from whence.model.names import LINEAGE_FRAME, LINEAGE_LINK, LINEAGE_TYPES, LINEAGE_WINDOW
from whence.store.links import EncodedLinks, LinkPair, encode_links, link_pair

__all__ = ["LINEAGE_COLUMNS", "LineageRows", "of_lineage"]

LINEAGE_COLUMNS = (
    "event_type", "lineage_id", "text_lost", "truncated", "attr_int", "attr_str", "attr_uint"
)  # fmt: skip
_MOST = 2**64 - 1


class LineageRows:
    """Gathers the links of a segment's rows, table by table; costs some 10 us a row that has any.

    Rows of other types cost a look at their type's name. A link whose attributes are not whole, or
    were cut, counts for nothing.
    """

    def __init__(self) -> None:
        self._children: list[int] = []
        self._parents: list[int] = []
        self._windows = 0
        self._frames = 0

    def add(self, table: pa.Table) -> None:
        """Takes these rows in."""
        names = table.schema.names
        if "event_type" not in names or "lineage_id" not in names:
            return
        types = of_lineage(table.column("event_type"))
        if types is None:
            return
        counts = {each["values"]: each["counts"] for each in pc.value_counts(types).to_pylist()}
        self._windows += counts.get(LINEAGE_WINDOW, 0)
        self._frames += counts.get(LINEAGE_FRAME, 0)
        if not counts.get(LINEAGE_LINK):
            return
        wanted = [name for name in LINEAGE_COLUMNS if name in names]
        rows = table.select(wanted).filter(pc.equal(types, LINEAGE_LINK))
        for child, parents in _links(rows):
            self._children += [child] * len(parents)
            self._parents += parents

    @property
    def links(self) -> LinkPair:
        """All links so far, in the order of the rows."""
        return link_pair(self._children, self._parents)

    def encoded(self) -> EncodedLinks | None:
        """What a segment of these rows has beside it; None if they tell nothing of lineage."""
        if not (self._children or self._windows or self._frames):
            return None
        return encode_links(self.links, self._windows, self._frames)


def of_lineage(types: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """The names of event types as texts; None where it is plain that none is of lineage."""
    if pa.types.is_dictionary(types.type):
        known = {name for chunk in types.chunks for name in chunk.dictionary.to_pylist()}
        if known.isdisjoint(LINEAGE_TYPES):
            return None
        types = types.cast(pa.string())
    return types


def _links(rows: pa.Table) -> Iterator[tuple[int, list[int]]]:
    columns: dict[str, list[Any]] = {
        name: rows.column(name).to_pylist() for name in rows.schema.names
    }
    nothing: list[Any] = [None] * len(rows)
    lost, cut = columns.get("text_lost", nothing), columns.get("truncated", nothing)
    maps = [columns.get(name, nothing) for name in ("attr_int", "attr_str", "attr_uint")]
    for at, child in enumerate(columns["lineage_id"]):
        if lost[at] or cut[at]:
            continue
        whole, texts, wide = (held[at] or () for held in maps)
        attributes: dict[str, AttributeValue] = {**dict(whole), **dict(texts)}
        attributes |= {name: value & _MOST for name, value in wide}
        try:
            part = link_part_of(child & _MOST, attributes)
        except (ValueError, TypeError):
            continue
        yield part.lineage_id, list(part.parents)
