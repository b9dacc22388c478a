"""Pages of events in SQL, read on from the place where the last one ended."""

from __future__ import annotations

from collections.abc import Sequence

from whence.model.query import TraceQuery
from whence.query.engines.shapes import Order, PageKey
from whence.query.sql.filters import filters_sql
from whence.query.sql.statement import Statement

__all__ = ["ORDERED_BY", "edge_sql", "page_sql"]

_PLACE = ("ts_ns", "session", "ring", "ticket")
ORDERED_BY: dict[Order, tuple[str, ...]] = {
    "oldest": _PLACE,
    "newest": _PLACE,
    "longest": ("duration_ns", *_PLACE),
}
"""The columns of an order; all but the oldest-first one go down."""


def edge_sql(
    statement: Statement,
    source: str,
    query: TraceQuery,
    *,
    sessions: Sequence[int] = (),
    order: Order = "oldest",
    limit: int,
    after: PageKey | None = None,
    also: str = "TRUE",
) -> str:
    """One row: the last value of the order's first column within the page, and how many there are.

    It reads few columns, so that the page itself, asked for up to there, reads few rows.
    """
    first = ORDERED_BY[order][0]
    inner = page_sql(
        statement, source, [first], query, sessions=sessions, order=order, limit=limit, after=after,
        also=also, by=(first,),
    )  # fmt: skip
    last = "max" if order == "oldest" else "min"
    return f"SELECT {last}({first}), count(*) FROM ({inner}) AS page"


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
    until: int | None = None,
    by: Sequence[str] | None = None,
) -> str:
    """The rows that match the query and `also`, behind `after`, at most `limit`.

    `until` is where the order's first column may end, `by` what to order by instead,
    if anything.

    `source` is what stands behind FROM, `columns` what is selected: neither comes from users.
    """
    wanted = [filters_sql(statement, query, sessions), also]
    if after is not None:
        wanted.append(_behind(statement, order, after))
    if until is not None:
        sign = "<=" if order == "oldest" else ">="
        wanted.append(f"{ORDERED_BY[order][0]} {sign} {statement.integer(until)}")
    direction = "ASC" if order == "oldest" else "DESC"
    columns_of_order = ORDERED_BY[order] if by is None else by
    ordered = ", ".join(f"{column} {direction}" for column in columns_of_order)
    text = f"SELECT {', '.join(columns)} FROM {source} WHERE {' AND '.join(wanted)}"
    text += f" ORDER BY {ordered}" if ordered else ""
    return text if limit is None else f"{text} LIMIT {statement.integer(limit)}"


def _behind(s: Statement, order: Order, after: PageKey) -> str:
    """What comes later in the order; the first column, said besides, lets files be skipped."""
    names = ORDERED_BY[order]
    place = (after.wall_ns, after.session, after.ring, after.ticket)
    values = [s.integer(n) for n in ((after.duration_ns, *place) if order == "longest" else place)]
    sign = ">" if order == "oldest" else "<"
    tail = f"({', '.join(names)}) {sign} ({', '.join(values)})"
    return f"({names[0]} {sign}= {values[0]} AND {tail})"
