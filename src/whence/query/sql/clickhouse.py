"""ClickHouse's SQL: what an absent key is, whole division, exact percentiles, typed parameters."""

from __future__ import annotations

from collections.abc import Sequence

from whence.query.sql.dialect import PLACE, Dialect, ValueType, floored

__all__ = ["CLICKHOUSE"]

_TYPES: dict[ValueType, str] = {
    "text": "String",
    "int": "Int64",
    "wide": "Int128",
    "float": "Float64",
}


def _percentiles(value: str, shares: Sequence[str]) -> str:
    """The levels are a part of the function's name; quantile() itself would only estimate."""
    return f"quantilesExactInclusive({', '.join(shares)})({value})"


def _full_match(text: str, pattern: str) -> str:
    return f"match({text}, concat('^(?:', {pattern}, ')$'))"


def _last(value: str, condition: str, place: str) -> str:
    """Of no rows argMax() would give 0."""
    return f"if(countIf({condition}) > 0, argMaxIf({value}, {place}, {condition}), NULL)"


def _json_has(text: str, element: str) -> str:
    is_it = f"JSONType(each) = 'String' AND JSONExtractString(each) = {element}"
    return f"arrayExists(each -> {is_it}, JSONExtractArrayRaw({text}))"


CLICKHOUSE = Dialect(
    name="clickhouse",
    parameter=lambda name, kind: f"{{{name}:{_TYPES[kind]}}}",
    # a key that is absent would give '' or 0
    map_value=lambda column, key: f"if(mapContains({column}, {key}), {column}[{key}], NULL)",
    integer_division=lambda a, b: floored(a, f"intDiv({a}, {b})", f"intDiv(-({a} + 1), {b})"),
    full_match=_full_match,
    contains=lambda text, part: f"(position({text}, {part}) > 0)",
    starts_with=lambda text, part: f"startsWith({text}, {part})",
    ends_with=lambda text, part: f"endsWith({text}, {part})",
    lower=lambda text: f"lowerUTF8({text})",
    is_nan=lambda value: f"isNaN({value})",
    is_finite=lambda value: f"isFinite({value})",
    to_wide=lambda text: f"toInt128OrNull({text})",
    to_float=lambda text: f"toFloat64OrNull({text})",
    integer_to_wide=lambda value: f"toInt128({value})",
    number_to_float=lambda value: f"toFloat64({value})",
    number_to_small=lambda value: f"toInt32({value})",
    to_text=lambda value: f"toString({value})",
    count_if=lambda condition: f"countIf({condition})",
    sum_if=lambda value, condition: f"sumIf({value}, {condition})",
    percentiles=_percentiles,
    first=lambda value, condition: f"argMinIf({value}, {PLACE}, {condition})",
    last=_last,
    each_once=lambda value: f"groupUniqArray({value})",
    json_length=lambda text: f"JSONLength({text})",
    json_has=_json_has,
    bit_and=lambda a, b: f"bitAnd({a}, {b})",
    hashed=lambda text: f"toInt64(bitShiftRight(cityHash64({text}), 1))",
    is_in="GLOBAL IN",  # each shard would look among its own rows
)
"""For rows in the tables of whence.store.clickhouse.ddl."""
