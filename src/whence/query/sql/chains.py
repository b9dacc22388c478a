"""Whole chains in SQL: those with a matching event, dealt out by what names them."""

from __future__ import annotations

from collections.abc import Sequence

from whence.model.query import TraceQuery
from whence.query.sql.filters import filters_sql
from whence.query.sql.statement import Statement

__all__ = ["piece_sql"]

# What all events of a chain have in common; an event that names no chain has something of its own.
_NAME = (
    "coalesce(nullif(request_id, ''), nullif(decision_chain_id, ''),"
    " CASE WHEN trace_hi <> 0 OR trace_lo <> 0 THEN concat(trace_hi, ' ', trace_lo) END,"
    " concat(session, ' ', ring, ' ', ticket))"
)


def piece_sql(
    statement: Statement,
    source: str,
    query: TraceQuery,
    sessions: Sequence[int],
    number: int,
    count: int,
) -> str:
    """A predicate: events of one of so many pieces that hold their chains whole.

    Only chains are in it of which an event matches the query. For DuckDB.
    """
    piece = f"hash({_NAME}) % {statement.integer(count)} = {statement.integer(number)}"
    if query == TraceQuery():
        return piece
    wanted = filters_sql(statement, query, sessions)
    return f"{piece} AND {_NAME} IN (SELECT {_NAME} FROM {source} WHERE {wanted})"
