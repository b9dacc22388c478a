"""Moments as files have them: text with or without a zone, and numbers of some unit."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple

__all__ = ["UNITS", "ExactFloat", "Moment", "moment_of", "zone_of"]

UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}

# A number is of that unit in which it lies between 1990 and 2100: no number does in two of them.
_FIRST_S, _LAST_S = 631_152_000, 4_102_444_800

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T t](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,18}))?)?"
    r"\s?(Z|z|UTC|[+-]\d\d(?::?\d\d)?)?"
)
_NUMBER = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?")
_ZONE = re.compile(r"([+-])(\d\d):?(\d\d)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INT64 = range(-(2**63), 2**63)


class ExactFloat(float):
    """A number of a JSON text that remembers how it was written."""

    text: str

    def __new__(cls, text: str) -> ExactFloat:
        """Reads the text. Raises ValueError."""
        made = super().__new__(cls, text)
        made.text = text
        return made

    @property
    def is_rounded(self) -> bool:
        """Whether 64 bits do not hold what was written."""
        short = len(self.text) <= 15 and "e" not in self.text and "E" not in self.text
        if short:
            return False
        try:
            return Decimal(self.text) != Decimal(repr(float(self)))
        except ArithmeticError:
            return True


class Moment(NamedTuple):
    """Nanoseconds since 1970, and how they were read; `finer` says that digits were left out."""

    ns: int
    how: str
    finer: bool = False


def moment_of(value: Any, unit: str = "", zone: timezone | None = None) -> Moment:
    """The moment that a text or number says.

    Text is ISO 8601; without a zone it is taken for `zone`, or else for UTC, and `how` says so. A
    number is of that `unit`, or else of the one in which it lies between 1990 and 2100. Raises
    ValueError saying what is wrong.
    """
    if isinstance(value, str):
        text = value.strip()
        if found := _ISO.fullmatch(text):
            return _checked(_iso(found, zone))
        if not _NUMBER.fullmatch(text):
            raise ValueError(f"{value[:40]!r} is no time")
        return _number(Decimal(text), unit, " as text")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"a time is a text or a number, not {type(value).__name__}")
    if isinstance(value, int):
        if value not in _INT64:
            raise ValueError("the number is too large for a time")
        return _number(Decimal(value), unit, "")
    number = Decimal(value.text) if isinstance(value, ExactFloat) else Decimal(repr(value))
    if not number.is_finite() or abs(number.adjusted()) > 30:
        raise ValueError(f"{value!r} is no time")
    return _number(number, unit, "")


def zone_of(text: str) -> timezone:
    """The zone of `UTC`, `Z` or `+02:00`. Raises ValueError."""
    if text.upper() in ("UTC", "Z"):
        return UTC
    found = _ZONE.fullmatch(text)
    if not found:
        raise ValueError(f"a zone is UTC or like +02:00, not {text[:40]!r}")
    minutes = int(found[2]) * 60 + int(found[3] or 0)
    if minutes >= 24 * 60:
        raise ValueError(f"there is no zone {text[:40]!r}")
    return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))


def _iso(found: re.Match[str], zone: timezone | None) -> Moment:
    year, month, day, hour, minute = map(int, found.groups()[:5])
    how = "ISO 8601 with a zone"
    if found[8]:
        zone = zone_of(found[8])
    elif zone is None:
        zone, how = UTC, "ISO 8601 without a zone, taken for UTC"
    else:
        how = f"ISO 8601 without a zone, taken for {zone}"
    moment = datetime(year, month, day, hour, minute, int(found[6] or 0), tzinfo=zone)
    since = moment - _EPOCH
    fraction = (found[7] or "").ljust(9, "0")
    ns = (since.days * 86_400 + since.seconds) * 10**9 + int(fraction[:9])
    return Moment(ns, how, bool(fraction[9:].strip("0")))


def _number(number: Decimal, unit: str, suffix: str) -> Moment:
    how = "as told"
    if not unit:
        fitting = [
            name for name, ns in UNITS.items() if _FIRST_S * 10**9 <= number * ns < _LAST_S * 10**9
        ]
        if len(fitting) != 1:
            raise ValueError(
                f"{number} is a time between 1990 and 2100 in no unit: say the unit (--unit)"
            )
        unit, how = fitting[0], "by their size"
    exact = number * UNITS[unit]
    ns = int(exact // 1)
    return _checked(Moment(ns, f"{_WORDS[unit]}{suffix}, {how}", exact != ns))


def _checked(moment: Moment) -> Moment:
    if moment.ns not in _INT64:
        raise ValueError("the time does not fit 64 bits of nanoseconds")
    return moment
