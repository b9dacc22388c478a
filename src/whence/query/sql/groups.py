"""Figures of groups in SQL, and the rows that engines give back for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import floor
from typing import Any, NamedTuple

from whence.model.condition import NUMBER_TEXT
from whence.model.query import TraceQuery
from whence.model.severity import Severity
from whence.query.engines.figures import SHARES, ordered_rows, seconds_asked
from whence.query.engines.shapes import GROUPS, HISTOGRAM_PARTS, Aggregate, GroupRow
from whence.query.sql.dialect import PLACE
from whence.query.sql.filters import IS_ERROR, filters_sql
from whence.query.sql.statement import Statement, unsigned

__all__ = [
    "Members",
    "count_sql",
    "events_as_members",
    "groups_sql",
    "histogram_sql",
    "is_weighted_sql",
    "rows_of",
    "with_percentiles",
]

_FIGURES = 13  # behind the keys
_OFFSET = 1_100 * HISTOGRAM_PARTS  # above the logarithm of every float, times its parts


class Members(NamedTuple):
    """What is grouped: rows with a `weight`, and what of each is a key, the value and an error.

    `place` are the columns that rows are in order by, the first one their wall time.
    """

    source: str
    where: str
    keys: Sequence[str]
    value: str
    error: str
    place: str


def events_as_members(
    statement: Statement,
    source: str,
    question: Aggregate,
    query: TraceQuery,
    sessions: Sequence[int] = (),
) -> Members:
    """The events that match, as the question groups and measures them."""
    s = statement
    where = filters_sql(s, query, sessions)
    return Members(
        source, where, _keys(s, question), f"({_value(s, question.of)})", IS_ERROR, PLACE
    )


def groups_sql(
    statement: Statement,
    members: Members,
    question: Aggregate,
    *,
    exact: bool = True,
    weighted: bool = True,
) -> str:
    """One row for each group: see rows_of(). Without `exact` there are no percentiles in it.

    What was not asked for is not worked out. Without `weighted` every row counts as one.
    """
    s, value = statement, members.value
    shares = [str(SHARES[name]) for name in question.percentiles] if exact else []
    weight = "weight" if weighted else "CAST(1 AS DOUBLE)"
    asked = question.measures
    extent = "rate" in asked and question.bucket_ns is None
    total = "avg" in asked or "sum" in asked
    last = f"{s.dialect.number_to_float(value)}"
    wanted = [
        ("count(*)", True),
        ("sum(weight)", weighted),
        ("min(weight)", weighted),
        ("max(weight)", weighted),
        (s.dialect.sum_if(weight, members.error), "error_rate" in asked),
        (f"sum({weight} * {value})", total),
        (s.dialect.sum_if(weight, f"{value} IS NOT NULL"), total),
        (f"min({value})", "min" in asked),
        (f"max({value})", "max" in asked),
        (s.dialect.last(last, f"{value} IS NOT NULL", members.place), "last" in asked),
        ("min(ts_ns)", extent),
        ("max(ts_ns)", extent),
        (s.dialect.percentiles(value, shares), bool(shares)),
    ]
    figures = [figure if is_asked else "NULL" for figure, is_asked in wanted]
    text = f"SELECT {', '.join([*members.keys, *figures])} FROM {members.source}"
    text += f" WHERE {members.where}"
    if members.keys:
        return f"{text} GROUP BY {', '.join(members.keys)}"
    return f"{text} HAVING count(*) > 0"


def is_weighted_sql(statement: Statement, source: str, query: TraceQuery) -> str:
    """A row if there may be a matching event with another weight than 1: few rows are read."""
    times = TraceQuery(from_wall_ns=query.from_wall_ns, until_wall_ns=query.until_wall_ns)
    within = filters_sql(statement, times)
    return f"SELECT TRUE FROM {source} WHERE {within} AND weight <> 1 LIMIT 1"


def histogram_sql(statement: Statement, members: Members) -> str:
    """One row for each group and each piece of its histogram that is not empty: its count last."""
    s = statement
    part = s.dialect.number_to_small(f"floor(log2(abs(v)) * {HISTOGRAM_PARTS})")
    size = f"{part} + {_OFFSET}"
    piece = f"CASE WHEN v = 0 THEN 0 WHEN v < 0 THEN -({size}) ELSE {size} END"
    names = [f"k{number}" for number in range(len(members.keys))]
    columns = [f"{key} AS {name}" for key, name in zip(members.keys, names, strict=True)]
    inner = (
        f"SELECT {', '.join([*columns, f'{members.value} AS v'])} FROM {members.source}"
        f" WHERE {members.where}"
    )
    listed = "".join(f"{name}, " for name in names)
    return (
        f"SELECT {listed}{piece} AS piece, count(*) FROM ({inner}) AS measured"
        f" WHERE v IS NOT NULL GROUP BY {listed}piece"
    )


def count_sql(members: Members) -> str:
    """How many rows there are."""
    return f"SELECT count(*) FROM {members.source} WHERE {members.where}"


def rows_of(
    question: Aggregate,
    found: Iterable[Sequence[Any]],
    since_ns: int | None,
    until_ns: int | None,
    names: Mapping[int, str],
    columns: Mapping[str, str] = GROUPS,
) -> list[GroupRow]:
    """The answer that the rows of groups_sql() are. `names` are those of sessions by their keys.

    `columns` are those that may be grouped by; any other name is that of an attribute.
    """
    rows = [(*_split(question, row, names, columns), row[-_FIGURES:]) for row in found]
    newest = max((f[11] for *_, f in rows if f[11] is not None), default=None)
    oldest = min((f[10] for *_, f in rows if f[10] is not None), default=None)
    extent = None if newest is None or oldest is None else newest - oldest
    seconds = seconds_asked(question, since_ns, until_ns, extent)
    return ordered_rows(
        _row(question, bucket, keys, figures, seconds) for bucket, keys, figures in rows
    )


def with_percentiles(
    question: Aggregate,
    rows: Iterable[GroupRow],
    pieces: Iterable[Sequence[Any]],
    names: Mapping[int, str],
    columns: Mapping[str, str] = GROUPS,
) -> list[GroupRow]:
    """The rows with percentiles, marked approximate, that the rows of histogram_sql() tell."""
    histograms: defaultdict[Any, list[tuple[int, int]]] = defaultdict(list)
    for each in pieces:
        histograms[_split(question, each, names, columns)].append((each[-2], each[-1]))
    answer = []
    for row in rows:
        held = sorted(histograms.get((row.bucket_ns, row.keys), ()))
        shares = {name: _read(held, SHARES[name]) for name in question.percentiles}
        p50, p95, p99 = (shares.get(name) for name in SHARES)
        answer.append(replace(row, p50=p50, p95=p95, p99=p99, approx=bool(shares)))
    return answer


# --- writing ----------------------------------------------------------------------------------


def _keys(s: Statement, question: Aggregate) -> list[str]:
    keys = []
    if question.bucket_ns is not None:
        keys.append(s.dialect.integer_division("ts_ns", s.integer(question.bucket_ns)))
    for name in question.group_by:
        keys += _group(s, name)
    return keys


def _group(s: Statement, name: str) -> list[str]:
    """A column; or the texts and the floats of an attribute, since engines write floats apart."""
    if column := GROUPS.get(name):
        return [column]
    truth = s.attribute("bool", name)
    texts = (
        s.attribute("str", name),
        s.dialect.to_text(s.attribute("int", name)),
        f"CASE WHEN {truth} THEN 'true' WHEN NOT {truth} THEN 'false' END",
        s.dialect.to_text(unsigned(s, s.attribute("uint", name))),
    )
    return [f"coalesce({', '.join(texts)}, '')", s.attribute("num", name)]


def _value(s: Statement, of: str) -> str:
    """What is measured, NULL where there is nothing."""
    if of == "duration_ns":
        return "CASE WHEN span OR duration_ns <> 0 THEN duration_ns END"
    text, number = s.attribute("str", of), s.attribute("num", of)
    floats = [s.attribute("int", of), unsigned(s, s.attribute("uint", of))]
    spelled = s.dialect.full_match(text, s.text(NUMBER_TEXT))
    return (
        f"coalesce({', '.join(map(s.dialect.number_to_float, floats))}, "
        f"CASE WHEN {s.dialect.is_finite(number)} THEN {number} END, "
        f"CASE WHEN {spelled} THEN {s.dialect.to_float(text)} END)"
    )


# --- reading ----------------------------------------------------------------------------------


def _split(
    question: Aggregate,
    row: Sequence[Any],
    names: Mapping[int, str],
    columns: Mapping[str, str],
) -> tuple[int | None, tuple[str, ...]]:
    values = iter(row)
    bucket = None if question.bucket_ns is None else next(values) * question.bucket_ns
    return bucket, tuple(_key(columns.get(name), values, names) for name in question.group_by)


def _key(column: str | None, values: Iterator[Any], names: Mapping[int, str]) -> str:
    value = next(values)
    if column == "severity":
        return Severity(value).name
    if column == "session":
        return names[value]
    if column is None:
        number = next(values)
        return value if number is None else repr(number)
    return str(value)


def _row(
    question: Aggregate,
    bucket_ns: int | None,
    keys: tuple[str, ...],
    figures: Sequence[Any],
    seconds: float | None,
) -> GroupRow:
    rows, count, least, most, errors, total, measured, low, high, last, _, _, found = figures
    count = float(rows) if count is None else count
    asked = question.measures
    shares = dict(zip(question.percentiles, found or (), strict=False))
    return GroupRow(
        keys=keys,
        bucket_ns=bucket_ns,
        rows=rows,
        count=count,
        rate=count / seconds if seconds and "rate" in asked else None,
        avg=float(total) / measured if measured and "avg" in asked else None,
        sum=float(total) if measured and "sum" in asked else None,
        min=None if low is None else float(low),
        max=None if high is None else float(high),
        last=last,
        p50=shares.get("p50"),
        p95=shares.get("p95"),
        p99=shares.get("p99"),
        error_rate=errors / count if "error_rate" in asked else None,
        weighted=least not in (None, 1) or most not in (None, 1),
    )


def _read(pieces: Sequence[tuple[int, int]], share: float) -> float | None:
    """The middle of the piece in which that share of the values is reached; None without any."""
    wanted = floor(share * (sum(count for _, count in pieces) - 1))
    for piece, count in pieces:
        if wanted < count:
            return _middle(piece)
        wanted -= count
    return None


def _middle(piece: int) -> float:
    if not piece:
        return 0.0
    size: float = 2 ** ((abs(piece) - _OFFSET + 0.5) / HISTOGRAM_PARTS)
    return size if piece > 0 else -size
