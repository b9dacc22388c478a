"""The language of conditions in SQL, with exactly the meaning that model/condition.py gives it."""

from __future__ import annotations

from fractions import Fraction
from math import floor

from whence.model.condition import (
    BLANK,
    INTEGER_TEXT,
    NUMBER_TEXT,
    SEVERITIES,
    Comparison,
    Condition,
    Literal,
    number_in,
    truth_in,
)
from whence.query.sql.statement import Statement, constant, is_storable, unsigned

__all__ = ["condition_sql"]

_INT64 = (-(2**63), 2**63 - 1)
_WIDE = (-(2**127), 2**127 - 1)
_OPERATORS = {"=": "=", "==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_TEXTS = {
    "event_type": "event_type",
    "component": "component",
    "model_id": "model_id",
    "model": "model_id",
    "request_id": "request_id",
    "decision_chain_id": "coalesce(nullif(decision_chain_id, ''), request_id)",
    "caused_by": "coalesce(caused_by, '')",
}


def condition_sql(statement: Statement, condition: Condition) -> str:
    """A predicate that is TRUE where the condition holds; elsewhere it is FALSE or NULL."""
    comparisons = [each for each in condition.clauses if isinstance(each, Comparison)]
    return " AND ".join(_comparison(statement, each) for each in comparisons)


def _comparison(s: Statement, asked: Comparison) -> str:
    """An attribute of that name counts before a column; an empty one is nothing to compare."""
    column = _column(s, asked)
    if not is_storable(asked.field):
        return column
    values = {
        kind: s.attribute(kind, asked.field) for kind in ("int", "num", "str", "bool", "uint")
    }
    answers = {
        "int": _whole(s, values["int"], asked, _INT64),
        "num": _real(s, values["num"], asked),
        "str": f"({values['str']} <> '' AND {_attribute_text(s, values['str'], asked)})",
        "bool": _truth(values["bool"], asked),
        "uint": _whole(s, unsigned(s, values["uint"]), asked, _WIDE),
    }
    cases = (f"WHEN {values[kind]} IS NOT NULL THEN {answers[kind]}" for kind in values)
    return f"CASE {' '.join(cases)} ELSE {column} END"


def _column(s: Statement, asked: Comparison) -> str:
    if text := _TEXTS.get(asked.field):
        return f"({text} <> '' AND {_text(s, text, asked)})"
    match asked.field:
        case "rationale":
            blank = s.dialect.full_match("rationale", s.text(BLANK))
            return f"(NOT {blank} AND {_text(s, 'rationale', asked)})"
        case "severity":
            return _severity(s, "severity", asked)
        case "duration_ns":
            return f"(duration_ns <> 0 AND {_whole(s, 'duration_ns', asked, _INT64)})"
        case "lineage_id":
            number = unsigned(s, "lineage_id")
            return f"(lineage_id <> 0 AND {_whole(s, number, asked, _WIDE)})"
        case "options":
            length = s.dialect.json_length("options")
            return f"({length} > 0 AND {_whole(s, length, asked, _INT64)})"
    return constant(False)


def _severity(s: Statement, rank: str, asked: Comparison) -> str:
    if asked.value in SEVERITIES:
        return f"({rank} {_OPERATORS[asked.operator]} {s.integer(SEVERITIES[asked.value])})"
    return _incomparable(asked)


def _attribute_text(s: Statement, text: str, asked: Comparison) -> str:
    if asked.field == "severity" and asked.value in SEVERITIES:
        names = " ".join(
            f"WHEN {s.text(str(name))} THEN {rank}" for name, rank in SEVERITIES.items()
        )
        ranked = _severity(s, f"(CASE {text} {names} END)", asked)
        return f"coalesce({ranked}, {_incomparable(asked)})"
    return _text(s, text, asked)


def _text(s: Statement, text: str, asked: Comparison) -> str:
    if isinstance(asked.value, str):
        if not is_storable(asked.value):
            return _incomparable(asked)
        return f"({text} {_OPERATORS[asked.operator]} {s.text(asked.value)})"
    if isinstance(asked.value, bool):
        answers = {truth: _compared(truth, asked.operator, asked.value) for truth in (True, False)}
        return (
            f"(CASE {s.dialect.lower(text)} WHEN 'true' THEN {answers[True]}"
            f" WHEN 'false' THEN {answers[False]} ELSE {_incomparable(asked)} END)"
        )
    return (
        f"(CASE WHEN {s.dialect.full_match(text, s.text(INTEGER_TEXT))}"
        f" THEN {_whole(s, s.dialect.to_wide(text), asked, _WIDE)}"
        f" WHEN {s.dialect.full_match(text, s.text(NUMBER_TEXT))}"
        f" THEN {_real(s, s.dialect.to_float(text), asked)} ELSE {_incomparable(asked)} END)"
    )


def _truth(value: str, asked: Comparison) -> str:
    wanted = truth_in(asked.value)
    if wanted is None:
        return _incomparable(asked)
    is_wanted = value if wanted else f"NOT {value}"
    return f"({is_wanted})" if asked.operator != "!=" else f"(NOT ({is_wanted}))"


def _real(s: Statement, value: str, asked: Comparison) -> str:
    limit = _limit(asked.value)
    if limit is None:
        return _incomparable(asked)
    compared = f"{value} {_OPERATORS[asked.operator]} {s.real(float(limit))}"
    return f"(CASE WHEN {s.dialect.is_nan(value)} THEN {_incomparable(asked)} ELSE {compared} END)"


def _whole(s: Statement, value: str, asked: Comparison, domain: tuple[int, int]) -> str:
    """A comparison of integers: what no integer equals is taken to the next one below."""
    limit = _limit(asked.value)
    if limit is None:
        return _incomparable(asked)
    operator, least = _OPERATORS[asked.operator], floor(limit)
    if least != limit:
        if operator in ("=", "<>"):
            return constant(operator == "<>")
        operator = "<=" if operator in ("<", "<=") else ">"
    if least > domain[1]:
        return constant(operator in ("<", "<=", "<>"))
    if least < domain[0]:
        return constant(operator in (">", ">=", "<>"))
    return f"({value} {operator} {s.integer(least) if domain is _INT64 else s.wide(least)})"


def _limit(literal: Literal) -> Fraction | None:
    number = number_in(literal)
    return None if number is None else Fraction(number)


def _incomparable(asked: Comparison) -> str:
    """What holds of values of another type than the one asked for."""
    return constant(asked.operator == "!=")


def _compared(left: bool, operator: str, right: bool) -> str:
    return constant((left == right) == (operator != "!="))
