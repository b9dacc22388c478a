"""The small language of conditions on events, such as "admitted = true and severity >= Error"."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from whence.model.errors import BadCondition
from whence.model.event import AttributeValue, TraceEvent
from whence.model.severity import Severity

__all__ = [
    "BLANK",
    "COLUMNS",
    "INTEGER_TEXT",
    "NUMBER_TEXT",
    "ORDERING",
    "SEVERITIES",
    "Comparison",
    "Condition",
    "Literal",
    "Presence",
    "field_value",
    "number_in",
    "parse_condition",
    "truth_in",
]

# A condition is clauses joined by "and":
#   FIELD = VALUE   FIELD != VALUE   FIELD < VALUE (and <= > >=)   has TYPE   no TYPE
# FIELD is an attribute or one of the event's own columns. VALUE is true, false, a number with or
# without a unit of time or memory, a quoted text, or one bare word. What is stored is asked with
# the same meaning in SQL, by whence.query.sql.where: a test holds the two to each other.
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>"[^"\\]*"|'[^'\\]*')
    | (?P<op><=|>=|!=|==|=|<|>)
    | (?P<number>[-+]?\d[\d_]*(?:\.\d+)?)\s?(?P<unit>ns|us|ms|s|min|h|KB|MB|GB|%)?(?![\w.])
    | (?P<word>[A-Za-z_][\w.\-]*)
    )""",
    re.VERBOSE,
)
_END = re.compile(r"\s*\Z")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": eq,
    "==": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}
_UNITS = {
    "ns": Fraction(1),
    "us": Fraction(1_000),
    "ms": Fraction(1_000_000),
    "s": Fraction(1_000_000_000),
    "min": Fraction(60_000_000_000),
    "h": Fraction(3_600_000_000_000),
    "KB": Fraction(2**10),
    "MB": Fraction(2**20),
    "GB": Fraction(2**30),
    "%": Fraction(1, 100),
}
ORDERING = frozenset({"<", "<=", ">", ">="})
SEVERITIES: Mapping[object, int] = {member.name: member.value for member in Severity}
_MAX_LENGTH = 1_000
_MOST = 2**127  # what 128 signed bits hold
# Texts that spell a number, as databases can tell, too: whole ones are exact, others floats.
INTEGER_TEXT = r"-?[0-9]{1,38}"
NUMBER_TEXT = r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,2})?"
# All that str.strip() takes away, as RE2 and Python write it alike.
BLANK = (
    rb"[\x09-\x0d\x1c-\x20\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*"
).decode("unicode_escape")
_is_integer = re.compile(INTEGER_TEXT).fullmatch
_is_number = re.compile(NUMBER_TEXT).fullmatch

Literal = bool | Fraction | str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One field of an event against one value."""

    field: str
    operator: str
    value: Literal

    def holds(self, event: TraceEvent | None, types: Collection[str]) -> bool | None:
        """Whether the field compares so; None where there is no such field or event."""
        found = field_value(event, self.field) if event else None
        if found is None:
            return None
        if self.field == "severity" and self.value in SEVERITIES and isinstance(found, str):
            found, value = SEVERITIES.get(found), SEVERITIES[self.value]
        else:
            found, value = _comparable(found, self.value)
        if found is None:
            return self.operator == "!="
        return _OPERATORS[self.operator](found, value)


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether the chain has an event of a type."""

    type: str
    wanted: bool

    def holds(self, event: TraceEvent | None, types: Collection[str]) -> bool | None:
        """Always an answer, since only the types that are there are asked for."""
        return (self.type in types) == self.wanted


@dataclass(frozen=True, slots=True)
class Condition:
    """Clauses that must all hold."""

    clauses: tuple[Comparison | Presence, ...]

    def holds(self, event: TraceEvent | None, types: Collection[str] = ()) -> bool | None:
        """Whether all clauses hold of the event, in a chain with events of these types.

        None where that cannot be known, because the event or a field of it is not there.
        """
        answers = [clause.holds(event, types) for clause in self.clauses]
        if False in answers:
            return False
        return None if None in answers else True

    @property
    def types(self) -> frozenset[str]:
        """The event types that the condition speaks of."""
        return frozenset(clause.type for clause in self.clauses if isinstance(clause, Presence))


@lru_cache(maxsize=1024)
def parse_condition(text: str) -> Condition:
    """The condition that the text states; BadCondition says where it cannot be understood."""
    if len(text) > _MAX_LENGTH:
        raise BadCondition(f"a condition has at most {_MAX_LENGTH} characters")
    tokens = _tokens(text)
    clauses: list[Comparison | Presence] = []
    at = 0
    while True:
        clause, at = _clause(text, tokens, at)
        clauses.append(clause)
        if at == len(tokens):
            return Condition(tuple(clauses))
        if tokens[at] != ("word", "and"):
            raise _misunderstood(text, f"'and' expected before {_shown(tokens[at])}")
        at += 1


def field_value(event: TraceEvent, name: str) -> AttributeValue | None:
    """An event's attribute or column by name; None where it is absent or empty.

    An attribute comes before a column of the same name.
    """
    if name in event.attributes:
        value = event.attributes[name]
        return None if value == "" else value
    read = COLUMNS.get(name)
    return read(event) if read else None


COLUMNS: Mapping[str, Callable[[TraceEvent], AttributeValue | None]] = {
    "event_type": lambda event: event.event_type,
    "component": lambda event: event.component,
    "model_id": lambda event: event.model_id or None,
    "model": lambda event: event.model_id or None,
    "request_id": lambda event: event.request_id or None,
    "decision_chain_id": lambda event: event.decision_chain_id or None,
    "rationale": lambda event: event.rationale if event.rationale.strip() else None,
    "severity": lambda event: event.severity.name,
    "duration_ns": lambda event: event.duration.nanos or None,
    "caused_by": lambda event: event.caused_by or None,
    "lineage_id": lambda event: event.lineage_id or None,
    "options": lambda event: len(event.options) or None,
}

Token = tuple[str, Any]


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    while not _END.match(text, at):
        found = _TOKEN.match(text, at)
        if not found:
            raise _misunderstood(text, f"unexpected {text[at:].strip()[:20]!r}")
        at = found.end()
        if found["number"]:
            unit = _UNITS[found["unit"]] if found["unit"] else 1
            tokens.append(("number", Fraction(found["number"].replace("_", "")) * unit))
        elif found["text"]:
            tokens.append(("text", found["text"][1:-1]))
        elif found["op"]:
            tokens.append(("op", found["op"]))
        else:
            tokens.append(("word", found["word"]))
    return tokens


def _clause(text: str, tokens: list[Token], at: int) -> tuple[Comparison | Presence, int]:
    words = tokens[at : at + 3]
    match [kind for kind, _ in words]:
        case ["word", "word", *_] if words[0][1] in ("has", "no"):
            return Presence(words[1][1], wanted=words[0][1] == "has"), at + 2
        case ["word", "op", "word" | "text" | "number"]:
            comparison = Comparison(words[0][1], words[1][1], _literal(words[2]))
            if comparison.operator in ORDERING and not _has_order(comparison):
                raise _misunderstood(text, f"{comparison.operator} compares numbers")
            if isinstance(comparison.value, Fraction) and abs(comparison.value) >= _MOST:
                raise _misunderstood(text, "the number is too large")
            return comparison, at + 3
    raise _misunderstood(text, "FIELD = VALUE, has TYPE or no TYPE expected")


def _literal(token: Token) -> Literal:
    kind, value = token
    if kind == "word" and value.lower() in ("true", "false"):
        return bool(value.lower() == "true")
    literal: Literal = value
    return literal


def _has_order(comparison: Comparison) -> bool:
    if isinstance(comparison.value, Fraction):
        return True
    return comparison.field == "severity" and comparison.value in SEVERITIES


def _comparable(found: AttributeValue, literal: Literal) -> tuple[Any, Any]:
    """Both sides as one type; (None, None) where the recorded value has no such type.

    Texts are read as what they are compared with, since plain exports hold nothing else.
    """
    if isinstance(found, str) and isinstance(literal, str):
        return found, literal
    if isinstance(found, bool) or isinstance(literal, bool):
        truth, wanted = truth_in(found), truth_in(literal)
        return (None, None) if wanted is None else (truth, wanted)
    number, limit = number_in(found), number_in(literal)
    if limit is None:
        return None, None
    if isinstance(number, float):
        return number, float(limit)  # 0.8 recorded is the 0.8 that was written
    return number, limit


def truth_in(value: AttributeValue | Fraction) -> bool | None:
    """The truth value that this is, or spells; None if it is none."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def number_in(value: AttributeValue | Fraction) -> int | float | Fraction | None:
    """The number that this is, or spells in plain digits; None if it is none."""
    if isinstance(value, str):
        if _is_integer(value):
            return int(value)
        return float(value) if _is_number(value) else None
    return None if isinstance(value, bool) else value


def _shown(token: Token) -> str:
    return repr(str(token[1]))


def _misunderstood(text: str, what: str) -> BadCondition:
    return BadCondition(f"cannot understand the condition {text!r}: {what}")
