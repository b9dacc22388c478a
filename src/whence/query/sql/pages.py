"""Pages of events in SQL, read on from the place where the last one ended."""

from __future__ import annotations

from collections.abc import Sequence

from whence.model.query import TraceQuery
from whence.query.shapes import Order, PageKey
from whence.query.sql.filters import filters_sql
from whence.query.sql.statement import Statement

__all__ = ["ORDERED_BY", "page_sql"]

_PLACE = ("ts_ns", "session", "ring", "ticket")
ORDERED_BY: dict[Order, tuple[str, ...]] = {
    "oldest": _PLACE,
    "newest": _PLACE,
    "longest": ("duration_ns", *_PLACE),
}
"""The columns of an order; all but the oldest-first one go down."""


def page_sql(
    statement: Statement,
    source: str,
    columns: Sequence[str],
    query: TraceQuery,
    *,
    sessions: Sequence[int] = (),
    order: Order = "oldest",
    limit: int | None = None,
    after: PageKey | None = None,
    also: str = "TRUE",
) -> str:
    """The rows that match the query and `also`, behind `after`, at most `limit`.

    `source` is what stands behind FROM, `columns` what is selected: neither comes from users.
    """
    wanted = [filters_sql(statement, query, sessions), also]
    if after is not None:
        wanted.append(_behind(statement, order, after))
    direction = "ASC" if order == "oldest" else "DESC"
    ordered = ", ".join(f"{column} {direction}" for column in ORDERED_BY[order])
    text = f"SELECT {', '.join(columns)} FROM {source} WHERE {' AND '.join(wanted)}"
    text += f" ORDER BY {ordered}"
    return text if limit is None else f"{text} LIMIT {statement.integer(limit)}"


def _behind(s: Statement, order: Order, after: PageKey) -> str:
    """What comes later in the order; the first column, said besides, lets files be skipped."""
    names = ORDERED_BY[order]
    place = (after.wall_ns, after.session, after.ring, after.ticket)
    values = [s.integer(n) for n in ((after.duration_ns, *place) if order == "longest" else place)]
    sign = ">" if order == "oldest" else "<"
    tail = f"({', '.join(names)}) {sign} ({', '.join(values)})"
    return f"({names[0]} {sign}= {values[0]} AND {tail})"
