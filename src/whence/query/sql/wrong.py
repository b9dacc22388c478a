"""What went wrong, in SQL: as query/outcome.py tells it of one event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from whence.model.query import TraceQuery
from whence.model.severity import Severity
from whence.query.outcome import BAD_STATUS, SAYS_NO
from whence.query.sql.filters import filters_sql
from whence.query.sql.statement import Statement, constant

__all__ = ["choices_sql", "newest_sql"]


def newest_sql(
    s: Statement,
    source: str,
    query: TraceQuery,
    decisions: Sequence[str],
    sessions: Sequence[int] = (),
) -> str:
    """One row: when the newest event of each choice happened, in one pass over the source."""
    newest = ", ".join(
        f"max(CASE WHEN {choice} THEN ts_ns END)" for choice in choices_sql(s, decisions)
    )
    return f"SELECT {newest} FROM {source} WHERE {filters_sql(s, query, sessions)}"


def choices_sql(s: Statement, decisions: Sequence[str]) -> Iterator[str]:
    """Predicates of the event to explain, the best choice first.

    They are: a decision, or an event of a chain or trace, that went wrong; any decision; anything
    that went wrong; anything. `decisions` are the kinds that were declared to be decisions.
    """
    wrong = _went_wrong(s)
    names = ", ".join(map(s.text, decisions))
    decision = f"(decision OR event_type IN ({names}))" if names else "decision"
    traced = "trace_hi <> 0 OR trace_lo <> 0"
    chain = f"(coalesce(decision_chain_id, '') <> '' OR request_id <> '' OR {traced})"
    yield f"({wrong} AND ({decision} OR {chain}))"
    yield decision
    yield wrong
    yield constant(True)


def _went_wrong(s: Statement) -> str:
    ways = [f"severity >= {int(Severity.Warning)}"]
    for name in SAYS_NO:
        ways.append(f"coalesce({s.attribute('bool', name)} = FALSE, FALSE)")
        spelled = s.dialect.lower(f"trim({s.attribute('str', name)})")
        ways.append(f"coalesce({spelled} = 'false', FALSE)")
    status = s.dialect.lower(f"trim({s.attribute('str', 'status')})")
    bad = ", ".join(map(s.text, sorted(BAD_STATUS)))
    ways.append(f"coalesce({status} IN ({bad}), FALSE)")
    return f"({' OR '.join(ways)})"
