"""A TraceQuery as a predicate in SQL: the same events as its matches() picks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from whence.model.condition import parse_condition
from whence.model.query import TraceQuery
from whence.model.severity import Severity
from whence.query.sql.statement import Statement, constant, is_storable
from whence.query.sql.where import condition_sql

__all__ = ["IS_ERROR", "filters_sql", "on_side", "sessions_sql", "signed", "traces_sql"]

IS_ERROR = f"(severity >= {int(Severity.Error)} OR status = 'error')"


def filters_sql(statement: Statement, query: TraceQuery, sessions: Sequence[int] = ()) -> str:
    """The predicate, over the columns of whence.store.columns.

    `sessions` are the keys of those that bear the session's name, if one is asked for.
    """
    return " AND ".join(_filters(statement, query, sessions)) or constant(True)


def sessions_sql(
    statement: Statement, source: str, query: TraceQuery, sessions: Sequence[int] = ()
) -> str:
    """The keys of the sessions that have a matching event."""
    wanted = filters_sql(statement, query, sessions)
    return f"SELECT DISTINCT session FROM {source} WHERE {wanted}"


def _filters(s: Statement, query: TraceQuery, sessions: Sequence[int]) -> Iterator[str]:
    if query.from_wall_ns is not None:
        yield on_side(s, "ts_ns", ">=", query.from_wall_ns)
    if query.until_wall_ns is not None:
        yield on_side(s, "ts_ns", "<", query.until_wall_ns)
    if query.start is not None:
        yield f"ts_ns - offset_ns >= {s.integer(query.start.value_ns)}"
    if query.end is not None:
        yield f"ts_ns - offset_ns <= {s.integer(query.end.value_ns)}"
    for column, wanted in (
        ("request_id", None if query.request_id is None else (query.request_id,)),
        ("event_type", query.spelled_types),
        ("component", query.components),
        ("model_id", None if query.model_id is None else (str(query.model_id),)),
        ("status", None if query.status is None else (query.status,)),
    ):
        if wanted is not None:
            yield _any_of(s, column, wanted)
    if query.decision_chain_id is not None:
        yield _chain(s, query.decision_chain_id)
    if query.trace_ids is not None:
        yield traces_sql(s, query.trace_ids)
    if query.lineage_id is not None:
        yield f"lineage_id = {s.integer(signed(query.lineage_id))}"
    if query.session is not None:
        keys = ", ".join(s.integer(signed(key)) for key in sessions)
        yield f"session IN ({keys})" if keys else constant(False)
    if query.min_severity is not None:
        yield f"severity >= {s.integer(int(query.min_severity))}"
    if query.has_errors is not None:
        yield IS_ERROR if query.has_errors else f"NOT {IS_ERROR}"
    if query.text:
        known = is_storable(query.text)
        yield s.dialect.contains("rationale", s.text(query.text)) if known else constant(False)
    if query.where is not None:
        yield condition_sql(s, parse_condition(query.where))


def traces_sql(s: Statement, ids: Sequence[str]) -> str:
    """A predicate: rows of these traces."""
    halves = [(signed(int(each[:16], 16)), signed(int(each[16:], 16))) for each in ids]
    pairs = [tuple(map(s.integer, each)) for each in dict.fromkeys(halves)]
    if len(pairs) == 1:
        return f"(trace_hi = {pairs[0][0]} AND trace_lo = {pairs[0][1]})"
    return f"(trace_hi, trace_lo) IN ({', '.join(f'({high}, {low})' for high, low in pairs)})"


def on_side(s: Statement, value: str, sign: str, moment_ns: int) -> str:
    """>= or <: of moments that 64 bits do not hold, every value is on the same side."""
    if -(2**63) <= moment_ns < 2**63:
        return f"{value} {sign} {s.integer(moment_ns)}"
    return constant((moment_ns < 0) == (sign == ">="))


def signed(number: int) -> int:
    """The two's complement of 64 bits."""
    return number - 2**64 if number >= 2**63 else number


def _any_of(s: Statement, column: str, wanted: Sequence[str]) -> str:
    values = [s.text(text) for text in wanted if is_storable(text)]
    if len(values) == 1:
        return f"{column} = {values[0]}"
    return f"{column} IN ({', '.join(values)})" if values else constant(False)


def _chain(s: Statement, chain: str) -> str:
    """Rows name their chain only where it is another than the request."""
    if not is_storable(chain):
        return constant(False)
    own = s.text(chain)
    absent = "(decision_chain_id IS NULL OR decision_chain_id = '')"
    if not chain:
        return f"({absent} AND request_id = '')"
    return f"(decision_chain_id = {own} OR (request_id = {own} AND {absent}))"
