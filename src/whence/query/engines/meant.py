"""What an id, or the beginning or end of one, may mean to a store, by one small question each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from whence.model.event import TraceEvent
from whence.model.span import is_span_id
from whence.query.engines.shapes import Found
from whence.query.sql.dialect import Dialect
from whence.query.sql.ids import (
    SORTS,
    event_ids_sql,
    event_sql,
    is_called,
    name_in,
    span_sql,
)
from whence.query.sql.statement import Statement

__all__ = ["meanings"]


def meanings(
    text: str,
    limit: int,
    *,
    dialect: Dialect,
    source: str,
    sessions: Sequence[int],
    rows: Callable[[Statement, str], Sequence[Sequence[Any]]],
    events: Callable[[Statement, str], Sequence[TraceEvent]],
    near: Callable[[str], str] | None = None,
) -> list[Found]:
    """As Engine.find() tells them. `rows` answers a statement, `events` has those of a predicate.

    `source` is what stands behind FROM, `sessions` are the keys of all there are;
    `near` is where all rows are of what a request, chain or trace is called, if that is known.
    """
    for whole in (True, False):
        for kind, write in SORTS:
            s, place = Statement(dialect), near(kind) if whole and near else source
            if found := rows(s, write(s, place, text, whole=whole, limit=limit)):
                return [Found(kind, name_in(row)) for row in found]
        s = Statement(dialect)
        some = events(s, (event_sql if whole else event_ids_sql)(s, text, sessions))
        if called := {each.event_id for each in some if is_called(each.event_id, text)}:
            return [Found("event", name) for name in sorted(called)]
        if whole and is_span_id(text.lower()):
            s = Statement(dialect)
            if some := events(s, span_sql(s, text)):
                return [Found("event", min(some, key=lambda each: not each.span).event_id)]
    return []
