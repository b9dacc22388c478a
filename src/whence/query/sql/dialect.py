"""What differs between the SQL of engines: names of functions, parameters, maps and division."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["DUCKDB", "PLACE", "Dialect", "ValueType", "floored"]

PLACE = "(ts_ns, session, ring, ticket)"
# "wide" are integers of 128 bits.
ValueType = Literal["text", "int", "wide", "float"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one engine writes what standard SQL leaves open; all members give SQL expressions.

    `parameter(name, type)` stands for a value. `map_value(map, key)` is the value of a key, and
    NULL where there is none. `integer_division(a, b)` by a positive integer is rounded down, also
    of a negative one. `full_match(text, pattern)` is that of RE2 on code points. `to_wide(text)`
    and `to_float(text)` are for texts that spell such a number, correctly rounded; for others they
    may be NULL, but raise no error. `percentiles(value, shares)` is a list of exact ones,
    interpolated linearly, and skips NULL. `number_to_small` makes 32 bits of a whole number.
    `json_length(text)` counts a JSON list. `bit_and(a, b)` is of 64-bit integers.
    `first(value, condition)` is the value of that row of which the condition holds that comes first
    by its place; `last(value, condition, place)` of the last one, NULL if there is none, of a value
    that may not be NULL there. `each_once(value)` is a list. `json_has(list, text)` is whether a
    JSON list, if it is one, has the text itself as an element. `hashed(text)` is an integer that
    spreads texts evenly; `is_in` stands before a SELECT over all the rows there are.
    """

    name: str
    parameter: Callable[[str, ValueType], str]
    map_value: Callable[[str, str], str]
    integer_division: Callable[[str, str], str]
    full_match: Callable[[str, str], str]
    contains: Callable[[str, str], str]
    starts_with: Callable[[str, str], str]
    ends_with: Callable[[str, str], str]
    lower: Callable[[str], str]
    is_nan: Callable[[str], str]
    is_finite: Callable[[str], str]
    to_wide: Callable[[str], str]
    to_float: Callable[[str], str]
    integer_to_wide: Callable[[str], str]
    number_to_float: Callable[[str], str]
    number_to_small: Callable[[str], str]
    to_text: Callable[[str], str]
    count_if: Callable[[str], str]
    sum_if: Callable[[str, str], str]
    percentiles: Callable[[str, Sequence[str]], str]
    first: Callable[[str, str], str]
    last: Callable[[str, str, str], str]
    each_once: Callable[[str], str]
    json_length: Callable[[str], str]
    json_has: Callable[[str, str], str]
    bit_and: Callable[[str, str], str]
    hashed: Callable[[str], str]
    is_in: str


def floored(dividend: str, quotient: str, below: str) -> str:
    """A quotient rounded down where engines round to zero; `below` is that of -(dividend + 1)."""
    return f"(CASE WHEN {dividend} >= 0 THEN {quotient} ELSE -({below}) - 1 END)"


def _duckdb_percentiles(value: str, shares: Sequence[str]) -> str:
    return f"quantile_cont({value}, [{', '.join(shares)}])"


def _duckdb_json_has(text: str, element: str) -> str:
    found = f"list_contains(json_extract({text}, '$[*]'), to_json({element}))"
    is_list = f"json_valid({text}) AND json_type({text}) = 'ARRAY'"
    return f"coalesce(CASE WHEN {is_list} THEN {found} END, FALSE)"


_DUCKDB_TYPES: dict[ValueType, str] = {
    "text": "VARCHAR",
    "int": "BIGINT",
    "wide": "HUGEINT",
    "float": "DOUBLE",
}

DUCKDB = Dialect(
    name="duckdb",
    parameter=lambda name, kind: f"CAST(${name} AS {_DUCKDB_TYPES[kind]})",
    map_value=lambda column, key: f"{column}[{key}]",
    integer_division=lambda a, b: floored(a, f"{a} // {b}", f"(-({a} + 1)) // {b}"),
    full_match=lambda text, pattern: f"regexp_full_match({text}, {pattern})",
    contains=lambda text, part: f"contains({text}, {part})",
    starts_with=lambda text, part: f"starts_with({text}, {part})",
    ends_with=lambda text, part: f"ends_with({text}, {part})",
    lower=lambda text: f"lower({text})",
    is_nan=lambda value: f"isnan({value})",
    is_finite=lambda value: f"isfinite({value})",
    to_wide=lambda text: f"TRY_CAST({text} AS HUGEINT)",
    to_float=lambda text: f"TRY_CAST({text} AS DOUBLE)",
    integer_to_wide=lambda value: f"CAST({value} AS HUGEINT)",
    number_to_float=lambda value: f"CAST({value} AS DOUBLE)",
    number_to_small=lambda value: f"CAST({value} AS INTEGER)",
    to_text=lambda value: f"CAST({value} AS VARCHAR)",
    count_if=lambda condition: f"count(*) FILTER (WHERE {condition})",
    sum_if=lambda value, condition: f"coalesce(sum({value}) FILTER (WHERE {condition}), 0.0)",
    percentiles=_duckdb_percentiles,
    first=lambda value, condition: f"arg_min({value}, {PLACE}) FILTER (WHERE {condition})",
    last=lambda value, condition, place: f"arg_max({value}, {place}) FILTER (WHERE {condition})",
    each_once=lambda value: f"list(DISTINCT {value})",
    json_length=lambda text: f"json_array_length({text})",
    json_has=_duckdb_json_has,
    bit_and=lambda a, b: f"({a} & {b})",
    hashed=lambda text: f"CAST(hash({text}) >> 1 AS BIGINT)",
    is_in="IN",
)
