"""The language of alert rules, such as "error_rate > 5% and throughput > 1/s for 5m"."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from lark import Lark, Token, Transformer
from lark.exceptions import LarkError, UnexpectedInput, VisitError

from whence.model.errors import AlertError

__all__ = [
    "ALIASES",
    "METRICS",
    "TIME_NS",
    "AlertCondition",
    "Comparison",
    "Joined",
    "Measured",
    "parse_alert",
    "parse_time",
]

# What is measured, and as what: a share (5%, or 0.05), a time, a rate (/s) or a count.
METRICS = {
    "error_rate": "share",
    "avg_response_time": "time",
    "p95_response_time": "time",
    "throughput": "rate",
    "active_traces": "count",
    "events_per_second": "rate",
    "lost_events": "count",
    "collector_lag": "time",
    "incomplete_chain_rate": "share",
}
ALIASES = {"response_time_avg": "avg_response_time", "avg_duration": "avg_response_time"}
TIME_NS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_UNITS = {"share": ("", "%"), "time": tuple(TIME_NS), "rate": ("", "/s"), "count": ("",)}
_EXAMPLES = {"share": "5%", "time": "500ms", "rate": "10/s", "count": "100"}
_LONGEST = 1_000
_DEEPEST = 50
_MOST = 2**63
_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}
_GRAMMAR = r"""
    start: any [_FOR QUANTITY] ["->" NAME ("," NAME)*]
    any: all (_OR all)*
    all: _one (_AND _one)*
    _one: comparison | "(" any ")"
    comparison: (NAME | QUOTED) OPERATOR QUANTITY
    _FOR: "for"
    _OR: "or"
    _AND: "and"
    OPERATOR: "<=" | ">=" | "!=" | "==" | "=" | "<" | ">"
    QUANTITY: /[-+]?\d[\d_]*(?:\.\d+)?(?:\s*(?:%|ns|us|ms|\/s|s|m|h))?(?![\w.%\/])/
    NAME: /[A-Za-z_](?:[\w.:\-]*\w)?/
    QUOTED: /"[^"\\\x00-\x1f]+"/
    %ignore /\s+/
"""
_PARSER = Lark(_GRAMMAR, parser="lalr", maybe_placeholders=True)


class Measured(NamedTuple):
    """A metric's value over a window; None where nothing is known, and `why` that is.

    Times are in nanoseconds (unit "ns"), shares are of 1 (unit "%" for those written so).
    """

    value: int | float | None
    unit: str = ""
    why: str = ""


Measure = Callable[[str], Measured]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric against one number. `limit` is in nanoseconds where `unit` is one of time."""

    metric: str
    operator: str
    limit: Fraction
    unit: str
    written: str

    def holds(self, measure: Measure) -> bool | None:
        """Whether it does; None where the metric has no value, or one of another unit."""
        found = measure(self.metric)
        if found.value is None or not self._fits(found.unit):
            return None
        limit = float(self.limit) if isinstance(found.value, float) else self.limit
        return _COMPARED[self.operator](found.value, limit)

    def _fits(self, unit: str) -> bool:
        return (self.unit in TIME_NS) == (unit in TIME_NS) or self.unit == ""

    @property
    def metrics(self) -> Iterator[str]:
        """The metric."""
        yield self.metric

    def __str__(self) -> str:
        return f"{self.metric} {self.operator} {self.written}"


@dataclass(frozen=True, slots=True)
class Joined:
    """Parts of which all must hold ("and"), or one ("or")."""

    word: str
    parts: tuple[Comparison | Joined, ...]

    def holds(self, measure: Measure) -> bool | None:
        """Whether it does; None where that hangs on what is not known."""
        found = [part.holds(measure) for part in self.parts]
        decides = self.word == "or"
        if decides in found:
            return decides
        return None if None in found else not decides

    @property
    def metrics(self) -> Iterator[str]:
        """The metrics of all parts."""
        for part in self.parts:
            yield from part.metrics

    def __str__(self) -> str:
        shown = [f"({part})" if isinstance(part, Joined) else str(part) for part in self.parts]
        return f" {self.word} ".join(shown)


@dataclass(frozen=True, slots=True)
class AlertCondition:
    """A condition as it was written: what must hold, for how long, and whom it names after ->."""

    text: str
    tree: Comparison | Joined
    for_ns: int | None = None
    actions: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics it speaks of, each once."""
        return tuple(dict.fromkeys(self.tree.metrics))

    def holds(self, measure: Measure) -> bool | None:
        """Whether it does by these figures; None where they do not say."""
        return self.tree.holds(measure)


@lru_cache(maxsize=4096)
def parse_alert(text: str) -> AlertCondition:
    """The condition that the text states; AlertError names the column that is wrong.

    Metrics are those of METRICS, by their name or an alias, or else custom ones; a name that is
    nearly one of METRICS is refused unless it stands in quotation marks.
    """
    if len(text) > _LONGEST or text.count("(") > _DEEPEST:
        raise AlertError(f"a condition has at most {_LONGEST} characters and {_DEEPEST} brackets")
    try:
        made: AlertCondition = _Made(text).transform(_PARSER.parse(text))
    except VisitError as error:
        if isinstance(error.orig_exc, AlertError):
            raise error.orig_exc from None
        raise
    except UnexpectedInput as error:
        ended = getattr(getattr(error, "token", None), "type", "") == "$END"
        at = len(text) + 1 if ended or error.column < 1 else error.column
        raise _wrong(text, at, _expected(text, at)) from None
    except LarkError as error:
        raise _wrong(text, 1, str(error)) from None
    return made


def parse_time(text: str) -> int:
    """Nanoseconds of "5m", "90 s" or "1.5h"; AlertError for what is no length of time."""
    for unit in sorted(TIME_NS, key=len, reverse=True):
        number = text.strip().removesuffix(unit).rstrip()
        if text.strip().endswith(unit) and number.replace(".", "", 1).isdecimal():
            try:
                nanos = Fraction(number) * TIME_NS[unit]
            except ValueError:
                break
            if nanos.denominator == 1 and nanos < _MOST:
                return nanos.numerator
            break
    raise AlertError(f'{text!r} is no length of time such as "30s", "5m" or "1h"')


class _Made(Transformer[Token, AlertCondition]):
    """Makes values of what was parsed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def comparison(self, parts: list[Token]) -> Comparison:
        name, sign, quantity = parts
        metric = self._metric(name)
        number, unit = _quantity(quantity)
        if metric in METRICS and unit not in _UNITS[METRICS[metric]]:
            like = _EXAMPLES[METRICS[metric]]
            raise _wrong(self._text, quantity.column, f"{metric} is compared with a {like!r}")
        if METRICS.get(metric) == "share" and unit == "" and abs(number) > 1:
            raise _wrong(self._text, quantity.column, f"a share is at most 1: say {number}%")
        if unit == "%":
            number /= 100
        number *= TIME_NS.get(unit, 1)
        if abs(number) >= _MOST:
            raise _wrong(self._text, quantity.column, "the number is too large")
        return Comparison(metric, str(sign), number, unit, "".join(str(quantity).split()))

    def any(self, parts: list[Comparison | Joined]) -> Comparison | Joined:
        return parts[0] if len(parts) == 1 else Joined("or", tuple(parts))

    def all(self, parts: list[Comparison | Joined]) -> Comparison | Joined:
        return parts[0] if len(parts) == 1 else Joined("and", tuple(parts))

    def start(self, parts: list[Any]) -> AlertCondition:
        tree, length, *names = parts
        for_ns = None
        if length is not None:
            number, unit = _quantity(length)
            if unit not in TIME_NS or number < 0:
                raise _wrong(self._text, length.column, 'after "for" comes a time such as 5m')
            nanos = number * TIME_NS[unit]
            if nanos.denominator != 1 or nanos >= _MOST:
                raise _wrong(self._text, length.column, "that is no whole number of nanoseconds")
            for_ns = nanos.numerator
        return AlertCondition(
            self._text, tree, for_ns, tuple(str(name) for name in names if name is not None)
        )

    def _metric(self, name: Token) -> str:
        if name.type == "QUOTED":
            return str(name)[1:-1]
        metric = ALIASES.get(str(name), str(name))
        near = get_close_matches(metric, [*METRICS, *ALIASES], 1, cutoff=0.8)
        if metric not in METRICS and near:
            said = f'no metric is called {metric!r}: {near[0]} is, and "{metric}" in quotation '
            raise _wrong(self._text, name.column, said + "marks is a custom one")
        return metric


def _quantity(token: Token) -> tuple[Fraction, str]:
    number = str(token).rstrip("%nusmh/ ")
    unit = str(token)[len(number) :].strip()
    return Fraction(number.strip().replace("_", "")), unit


def _expected(text: str, at: int) -> str:
    found = text[at - 1 :].split()[0][:20] if text[at - 1 :].split() else "the end"
    word = found.strip("()").lower()
    near = get_close_matches(word, ("and", "or", "for"), 1, cutoff=0.5)
    meant = near and word not in ("and", "or", "for")
    hint = f", did you mean {near[0]}?" if meant else "."
    return f"{found!r} was not expected here{hint} A condition is METRIC OP NUMBER[UNIT]" + (
        " with and, or, brackets, and at its end for TIME"
    )


def _wrong(text: str, column: int | None, what: str) -> AlertError:
    return AlertError(f"column {column} of {text!r}: {what}")
