"""Predicates and statements that find events and links by lineage ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from whence.model.names import LINEAGE_LINK
from whence.query.sql.filters import signed
from whence.query.sql.statement import Statement, unsigned

__all__ = [
    "MOST_IN",
    "ending_parents_sql",
    "ending_sql",
    "groups_of",
    "links_sql",
    "near_sql",
    "of_ids_sql",
]

MOST_IN = 400  # ids in one statement


def groups_of(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """The ids, as many at a time as one statement takes."""
    for at in range(0, len(ids), MOST_IN):
        yield ids[at : at + MOST_IN]


def of_ids_sql(s: Statement, ids: Sequence[int], event_type: str | None = None) -> str:
    """A predicate: events with one of these lineage ids, of that type or of any."""
    listed = ", ".join(s.integer(signed(each)) for each in ids)
    found = f"lineage_id IN ({listed})" if ids else "FALSE"
    return found if event_type is None else f"event_type = {s.text(event_type)} AND {found}"


def links_sql(s: Statement, ids: Sequence[int], way: str) -> str:
    """A predicate of ClickHouse: events with the links that lead from these ids."""
    if way == "up":
        return of_ids_sql(s, ids, LINEAGE_LINK)
    listed = ", ".join(s.text(str(each)) for each in ids)
    named = f"hasAny(splitByChar(' ', attr_str['parents']), [{listed}])"
    return f"event_type = {s.text(LINEAGE_LINK)} AND {named}"


def ending_sql(s: Statement, source: str, digits: str, limit: int) -> str:
    """The lineage ids whose digits end so, the least first, as they are."""
    number = unsigned(s, "lineage_id")
    tail = f"{number} % {s.wide(10 ** len(digits))} = {s.wide(int(digits))}"
    long = f" AND {number} >= {s.wide(10 ** (len(digits) - 1))}"
    return (
        f"SELECT lineage_id FROM (SELECT DISTINCT lineage_id FROM {source}"
        f" WHERE lineage_id <> 0 AND {tail}{long}) AS found"
        f" ORDER BY {unsigned(s, 'lineage_id')} LIMIT {s.integer(limit)}"
    )


def ending_parents_sql(s: Statement, source: str, digits: str) -> str:
    """The parents in whole links whose digits end so, as texts, in ClickHouse."""
    parents = "splitByChar(' ', attr_str['parents'])"
    wanted = f"endsWith(p, {s.text(digits)}) AND match(p, '^[0-9]{{1,20}}$')"
    return (
        f"SELECT DISTINCT arrayJoin(arrayFilter(p -> {wanted}, {parents}))"
        f" FROM {source} WHERE event_type = {s.text(LINEAGE_LINK)}"
        " AND NOT truncated AND NOT text_lost"
    )


def near_sql(s: Statement, source: str, lineage_id: int, limit: int) -> str:
    """The lineage ids nearest to that number on either side, as they are stored."""
    at = s.integer(signed(lineage_id))
    parts = [
        f"SELECT lineage_id FROM (SELECT DISTINCT lineage_id FROM {source} WHERE lineage_id"
        f" {sign} {at} AND lineage_id <> 0) AS side ORDER BY lineage_id {order}"
        f" LIMIT {s.integer(limit)}"
        for sign, order in ((">=", "ASC"), ("<", "DESC"))
    ]
    return " UNION ALL ".join(f"SELECT * FROM ({part}) AS found" for part in parts)
