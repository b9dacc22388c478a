"""Whole chains in SQL: those with a matching event, dealt out by what names them."""

from __future__ import annotations

from collections.abc import Sequence

from whence.model.query import TraceQuery
from whence.query.sql.filters import filters_sql
from whence.query.sql.statement import Statement

__all__ = ["count_chains_sql", "piece_sql"]

# What all events of a chain have in common; an event that names no chain has something of its own.
_NAME = (
    "coalesce(nullif(request_id, ''), nullif(decision_chain_id, ''),"
    " CASE WHEN trace_hi <> 0 OR trace_lo <> 0 THEN concat(trace_hi, ' ', trace_lo) END,"
    " concat(session, ' ', ring, ' ', ticket))"
)


def count_chains_sql(
    statement: Statement, source: str, query: TraceQuery, sessions: Sequence[int]
) -> str:
    """How many events the chains have of which an event matches the query."""
    return f"SELECT count(*) FROM {source} WHERE {_of_chains(statement, source, query, sessions)}"


def piece_sql(
    statement: Statement,
    source: str,
    query: TraceQuery,
    sessions: Sequence[int],
    number: int,
    count: int,
) -> str:
    """A predicate: events of one of so many pieces that hold their chains whole.

    Only chains are in it of which an event matches the query.
    """
    dealt = f"{statement.dialect.hashed(_NAME)} % {statement.integer(count)}"
    wanted = _of_chains(statement, source, query, sessions)
    return f"{dealt} = {statement.integer(number)} AND {wanted}"


def _of_chains(s: Statement, source: str, query: TraceQuery, sessions: Sequence[int]) -> str:
    if query == TraceQuery():
        return "TRUE"
    wanted = filters_sql(s, query, sessions)
    return f"{_NAME} {s.dialect.is_in} (SELECT {_NAME} FROM {source} WHERE {wanted})"
