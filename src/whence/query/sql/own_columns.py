"""Attributes in SQL where some files have a column for them and others only the maps."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from whence.model.condition import Comparison, parse_condition
from whence.model.query import TraceQuery
from whence.query.engines.shapes import GROUPS, Aggregate
from whence.query.outcome import OUTCOME_FIELDS
from whence.store.promoted import own_column

__all__ = ["asked_attributes", "lookup_sql", "own_sql"]

_TYPES = {
    "int": "BIGINT",
    "num": "DOUBLE",
    "str": "VARCHAR",
    "bool": "BOOLEAN",
    "uint": "BIGINT",
}


def asked_attributes(query: TraceQuery, question: Aggregate | None = None) -> frozenset[str]:
    """The attributes that may be looked at to answer the question; some may be none."""
    return frozenset(_asked(query, question))


def own_sql(kind: str, name: str, kinds: Collection[str]) -> str:
    """What stands for an attribute in files that have a column for each of its kinds."""
    if kind in kinds:
        return f'"{own_column(kind, name)}"'
    return f"CAST(NULL AS {_TYPES[kind]})"


def lookup_sql(kind: str, name: str) -> str:
    """The same in files that have no columns for it. The name is one that columns may have."""
    return f"attr_{kind}['{name}']"


def _asked(query: TraceQuery, question: Aggregate | None) -> Iterator[str]:
    yield from OUTCOME_FIELDS
    if query.where is not None:
        clauses: Sequence[object] = parse_condition(query.where).clauses
        yield from (each.field for each in clauses if isinstance(each, Comparison))
    if question is not None:
        yield question.of
        yield from (name for name in question.group_by if name not in GROUPS)
