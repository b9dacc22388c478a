"""What a chain must contain: contracts as plain values, checked when they are made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from whence.model.errors import ContractError
from whence.model.time import Duration
from whence.query.condition import parse_condition

__all__ = ["Contract", "End", "Requirement", "parse_count", "parse_length"]

_COUNT = re.compile(r"(\d{1,9})(?:(\+)|-(\d{1,9}))?")
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|ms|s|min|h)")
_NANOS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
}


@dataclass(frozen=True, slots=True)
class End:
    """An event type that ends a chain rightly, if `where` holds of the event."""

    type: str
    where: str = ""

    def __post_init__(self) -> None:
        _check_name("the type of an end", self.type)
        if self.where:
            parse_condition(self.where)


@dataclass(frozen=True, slots=True)
class Requirement:
    """A member of a chain.

    `count` is how many there must be: "1", "3", "1+", "0-1" or "0+"; one from "0" is optional.
    It is required only in chains where `when` holds of the opening event. Each such event must
    come after the first event of every type in `after`, and have every attribute or column in
    `fields`. Raises ContractError for what makes no sense.
    """

    type: str
    count: str = "1"
    when: str = ""
    after: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_name("the type of a required member", self.type)
        parse_count(self.count)
        if self.when:
            parse_condition(self.when)
        for name in (*self.after, *self.fields):
            _check_name(f"a name in the requirement of {self.type}", name)
        if self.type in self.after:
            raise ContractError(f"{self.type} cannot be required to come after itself")

    @property
    def optional(self) -> bool:
        """Whether a chain is complete without it."""
        return parse_count(self.count)[0] == 0


@dataclass(frozen=True, slots=True)
class Contract:
    """What the chains that one event type opens must contain.

    A chain is held to a contract if it has one of the contract's necessary members, and if the
    sessions that recorded it know the opening type at all. `within` bounds the time from the
    opening event to the end. With no `ends`, a chain needs none. Raises ContractError for what
    makes no sense.
    """

    name: str
    opens: str
    ends: tuple[End, ...] = ()
    require: tuple[Requirement, ...] = ()
    within: Duration | None = None

    def __post_init__(self) -> None:
        _check_name("the name of a contract", self.name)
        _check_name(f'what opens contract "{self.name}"', self.opens)
        if self.within is not None and self.within.nanos <= 0:
            raise ContractError(f'contract "{self.name}": within must be longer than nothing')
        types = [requirement.type for requirement in self.require]
        for repeated in {name for name in types if types.count(name) > 1}:
            raise ContractError(f'contract "{self.name}" requires {repeated} twice; count them')

    @property
    def members(self) -> frozenset[str]:
        """The types of which a chain under this contract has at least one."""
        needed = {member.type for member in self.require if not member.optional}
        return frozenset({self.opens, *needed, *(end.type for end in self.ends)})


@lru_cache(maxsize=256)
def parse_count(text: str) -> tuple[int, int | None]:
    """(least, most) of "1", "3", "1+", "0-1" or "0+"; most is None where there is no limit."""
    found = _COUNT.fullmatch(text.strip())
    if not found:
        raise ContractError(f'count {text!r} is none of "1", "3", "1+", "0-1", "0+"')
    least = int(found[1])
    most = None if found[2] else int(found[3] or least)
    if most is not None and (most < least or most == 0):
        raise ContractError(f"count {text!r} allows nothing")
    return least, most


def parse_length(text: str) -> Duration:
    """A length of time such as "2s", "1.5 ms" or "1h", exact in nanoseconds, else ContractError."""
    found = _LENGTH.fullmatch(text.strip())
    nanos = Fraction(found[1]) * _NANOS[found[2]] if found else None
    if nanos is None or nanos.denominator != 1:
        raise ContractError(f'{text!r} is no length of time such as "2s", "40ms" or "1h"')
    try:
        return Duration(nanos.numerator)
    except OverflowError as error:
        raise ContractError(str(error)) from None


def _check_name(what: str, name: str) -> None:
    if not isinstance(name, str) or not name.strip():
        raise ContractError(f"{what} must be a name, not {name!r}")
