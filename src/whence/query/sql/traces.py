"""Whole traces in SQL: rows grouped by trace id, as query/engines/folded_traces.py folds events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from whence.model.query import TraceQuery
from whence.model.severity import Severity
from whence.query.engines.folded_traces import over, tags_in
from whence.query.engines.shapes import Aggregate
from whence.query.engines.traces import (
    LEVELS,
    TRACE_GROUPS,
    TraceFilter,
    TraceKey,
    TraceRow,
    TraceSort,
    id_of,
)
from whence.query.sql.dialect import Dialect
from whence.query.sql.filters import filters_sql, on_side, traces_sql
from whence.query.sql.folded import HAS_ID, Folded
from whence.query.sql.groups import Members
from whence.query.sql.statement import Statement, constant, is_storable

__all__ = [
    "candidates_sql",
    "count_traces_sql",
    "picked_sql",
    "places_sql",
    "row_of",
    "rows_sql",
    "traces_as_members",
]


def candidates_sql(statement: Statement, source: str, query: TraceQuery) -> str:
    """A predicate: rows of traces that have a row in the source which matches the query."""
    wanted = f"{HAS_ID} AND {filters_sql(statement, query)}"
    found = f"SELECT trace_hi, trace_lo FROM {source} WHERE {wanted}"
    return f"(trace_hi, trace_lo) {statement.dialect.is_in} ({found})"


def places_sql(
    statement: Statement,
    source: str,
    asked: TraceFilter,
    *,
    sort: TraceSort,
    limit: int,
    skipped: int = 0,
    after: TraceKey | None = None,
    also: str = "TRUE",
) -> str:
    """The halves of the ids of a page of traces, in order, each with how many match in all.

    `also` is a predicate of rows; it must hold of all rows of those traces that match. `skipped`
    is how many of these come before the page.
    """
    s, folded = statement, Folded(statement)
    measure = folded.lasted if sort == "longest" else folded.errors if sort == "errors" else ""
    chosen = f"trace_hi, trace_lo, {folded.started} AS started, count(*) OVER () AS total"
    order = ["started", "trace_hi", "trace_lo"]
    if measure:
        chosen += f", {measure} AS value"
        order = ["value", *order]
    wanted = picked_sql(folded, asked)
    picked = f"SELECT {chosen} FROM ({folded.rows(source, also)}) AS folded WHERE {wanted}"
    text = f"SELECT trace_hi, trace_lo, total FROM ({picked}) AS picked"
    if after is not None:
        place = [s.integer(n) for n in (after.started_wall_ns, after.high, after.low)]
        values = [*([s.wide(after.value)] if measure else []), *place]
        sign = ">" if sort == "oldest" else "<"
        text += f" WHERE ({', '.join(order)}) {sign} ({', '.join(values)})"
    down = "ASC" if sort == "oldest" else "DESC"
    text += f" ORDER BY {', '.join(f'{name} {down}' for name in order)}"
    return f"{text} LIMIT {s.integer(limit)} OFFSET {s.integer(skipped)}"


def count_traces_sql(
    statement: Statement, source: str, asked: TraceFilter, also: str = "TRUE"
) -> str:
    """How many traces match."""
    folded = Folded(statement)
    wanted = picked_sql(folded, asked)
    return f"SELECT count(*) FROM ({folded.rows(source, also)}) AS folded WHERE {wanted}"


def traces_as_members(
    statement: Statement,
    source: str,
    question: Aggregate,
    asked: TraceFilter,
    also: str = "TRUE",
) -> Members:
    """The traces that match, as the question groups and measures them; `also` as above."""
    s, folded = statement, Folded(statement)
    measure = {
        "duration_ns": lambda: f"CASE WHEN {folded.lasted} >= 0 THEN {folded.lasted} END",
        "events": lambda: folded.events,
        "errors": lambda: folded.errors,
        "warnings": lambda: folded.at_level(Severity.Warning),
    }[question.of]()
    keys = [_group(folded, TRACE_GROUPS[name]) for name in question.group_by]
    if question.bucket_ns is not None:
        bucket = s.integer(question.bucket_ns)
        keys.insert(0, s.dialect.integer_division(f"({folded.started})", bucket))
    names = [f"key{number}" for number in range(len(keys))]
    chosen = [
        "trace_hi, trace_lo",
        f"{folded.started} AS ts_ns",
        f"{folded.weight} AS weight",
        f"{s.dialect.number_to_float(measure)} AS measured",
        f"{folded.has_errors} AS wrong",
        *(f"{key} AS {name}" for key, name in zip(keys, names, strict=True)),
    ]
    wanted = picked_sql(folded, asked)
    rows = f"({folded.rows(source, also)}) AS folded"
    made = f"(SELECT {', '.join(chosen)} FROM {rows} WHERE {wanted}) AS traces"
    place = "(ts_ns, trace_hi, trace_lo)"
    return Members(made, constant(True), names, "measured", "wrong", place)


def picked_sql(folded: Folded, asked: TraceFilter) -> str:
    """The predicate of folded rows, but for what candidates_sql() says of single events."""
    return " AND ".join(_picked(folded, asked)) or constant(True)


def rows_sql(statement: Statement, source: str, ids: Sequence[str]) -> str:
    """What row_of() reads, of these traces."""
    folded = Folded(statement)
    chosen = ", ".join(["trace_hi", "trace_lo", *_read(folded).values()])
    return f"SELECT {chosen} FROM ({folded.rows(source, traces_sql(statement, ids))}) AS folded"


def row_of(statement: Statement, found: Sequence[Any], names: Mapping[int, str]) -> TraceRow:
    """The trace that a row of rows_sql() is. `names` are those of sessions by their keys."""
    high, low, *rest = found
    of = dict(zip(_read_names(statement.dialect), rest, strict=True))
    levels = [of[name] for name in LEVELS]

    def said(name: str) -> str:
        return of[name] or "" if of["starts"] else ""

    row = TraceRow(
        trace_id=id_of(high, low),
        name=said("trace_name") if of["starts"] else of["called"] or "" if of["roots"] else "",
        trace_type=said("trace_type"),
        status=of["status"],
        context_id=said("context_id"),
        execution_id=said("execution_id"),
        description=said("description"),
        tags=tags_in(said("tags")),
        started_wall_ns=of["started"],
        events=sum(levels),
        errors=of["errors"],
        warnings=levels[Severity.Warning],
        by_level=dict(zip(LEVELS, levels, strict=True)),
        sessions=tuple(sorted({names[key] for key in of["sessions"]})),
        weight=of["weight"],
    )
    return row if row.status == "active" else over(row, of["ended"], max(of["measured"], 0))


_SAID = ("trace_name", "trace_type", "context_id", "execution_id", "description", "tags")


def _read(folded: Folded) -> dict[str, str]:
    return {
        "starts": folded.starts,
        "roots": folded.roots,
        "status": folded.status,
        "started": folded.started,
        "ended": folded.ended,
        "measured": folded.measured,
        "errors": folded.errors,
        "weight": folded.weight,
        "called": folded.called,
        "sessions": folded.sessions,
        **{name: folded.said(name) for name in _SAID},
        **{name: folded.at_level(rank) for rank, name in enumerate(LEVELS)},
    }


def _picked(folded: Folded, asked: TraceFilter) -> Iterator[str]:
    s = folded.statement
    for wanted, name in (
        (asked.context_ids, "context_id"),
        (asked.execution_ids, "execution_id"),
        (asked.trace_types, "trace_type"),
    ):
        if wanted is not None:
            yield _any_of(s, folded.told(name), wanted)
    if asked.statuses is not None:
        yield _any_of(s, folded.status, asked.statuses)
    if asked.started_after_ns is not None:
        yield on_side(s, folded.started, ">=", asked.started_after_ns)
    if asked.started_before_ns is not None:
        yield on_side(s, folded.started, "<", asked.started_before_ns)
    if asked.has_errors is not None:
        yield folded.has_errors if asked.has_errors else f"NOT {folded.has_errors}"
    if asked.tag is not None:
        known = is_storable(asked.tag)
        tags = folded.told("tags")
        yield s.dialect.json_has(tags, s.text(asked.tag)) if known else constant(False)
    if asked.text is not None:
        yield _with_text(folded, asked.text) if is_storable(asked.text) else constant(False)


@cache
def _read_names(dialect: Dialect) -> tuple[str, ...]:
    return tuple(_read(Folded(Statement(dialect))))


def _group(folded: Folded, column: str) -> str:
    if column == "status":
        return folded.status
    if column == "has_errors":
        return f"CASE WHEN {folded.has_errors} THEN 'true' ELSE 'false' END"
    return folded.name if column == "name" else folded.told(column)


def _with_text(folded: Folded, text: str) -> str:
    s = folded.statement
    part = s.text(text)
    texts = (folded.name, folded.told("description"))
    ways = [s.dialect.contains(each, part) for each in texts]
    return f"({' OR '.join(ways)} OR {folded.rationales_with(part)} > 0)"


def _any_of(s: Statement, value: str, wanted: Sequence[str]) -> str:
    values = [s.text(text) for text in wanted if is_storable(text)]
    return f"{value} IN ({', '.join(values)})" if values else constant(False)
