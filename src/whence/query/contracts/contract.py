"""What a chain must contain: contracts as plain values, checked when they are made."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

from whence.model.condition import parse_condition
from whence.model.errors import BadCondition, ContractError
from whence.model.names import canonical
from whence.model.read_only import ReadOnlyDict
from whence.model.time import Duration

__all__ = [
    "Contract",
    "End",
    "Guard",
    "Requirement",
    "as_text",
    "matching",
    "parse_count",
    "parse_length",
]

Value = str | int | float | bool

_COUNT = re.compile(r"(\d{1,9})(?:(\+)|-(\d{1,9}))?")
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|ms|s|min|h|d)")
_NANOS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}


@dataclass(frozen=True, slots=True)
class End:
    """An event type that ends a chain rightly, if `where` holds of the event.

    After it no event may come of a type in `closes`, in which a * stands for any letters. Raises
    ContractError for what makes no sense, as all of these do.
    """

    type: str
    where: str = ""
    closes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_name("the type of an end", self.type)
        _put(self, "type", canonical(self.type))
        if self.where:
            _check_condition(self.where)
        _put(self, "closes", _checked_names(f"a type that {self.type} closes", self.closes))


@dataclass(frozen=True, slots=True)
class Guard:
    """What must have happened before an event may: a gate before a denial, a check before a use.

    Each event of the type, of which `where` holds, needs an event of one of the types `by` before
    it, or at the same moment; with `anywhere` one later in the chain will do. The two must have
    the same value in each of the attributes or columns `same`, such as a call's id. In `type` and
    `by` a * stands for any letters.
    """

    type: str
    by: tuple[str, ...]
    where: str = ""
    same: tuple[str, ...] = ()
    anywhere: bool = False

    def __post_init__(self) -> None:
        _check_name("the type of what is guarded", self.type)
        _put(self, "type", canonical(self.type))
        names = _checked_names(f"a guard of {self.type}", self.by)
        if not names:
            raise ContractError(f"{self.type} is guarded by nothing: name a type")
        _put(self, "by", tuple(map(canonical, names)))
        _put(self, "same", _checked_names(f"a field in the guard of {self.type}", self.same))
        if self.where:
            _check_condition(self.where)


@dataclass(frozen=True, slots=True)
class Requirement:
    """A member of a chain.

    `count` is how many there must be: "1", "3", "1+", "0-1" or "0+"; one from "0" is optional.
    It is required only in chains where `when` holds of the opening event. Each such event must
    come after the first event of every type in `after`, and have every attribute or column in
    `fields`; where it has one of those in `values`, this must be one of the values listed there.
    """

    type: str
    count: str = "1"
    when: str = ""
    after: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    values: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_name("the type of a required member", self.type)
        _put(self, "type", canonical(self.type))
        parse_count(self.count)
        if self.when:
            _check_condition(self.when)
        what = f"a name in the requirement of {self.type}"
        _put(self, "after", tuple(map(canonical, _checked_names(what, self.after))))
        _put(self, "fields", _checked_names(what, self.fields))
        _put(self, "values", ReadOnlyDict(_checked_values(self.type, self.values)))
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
    opening event to the end. With no `ends`, a chain needs none. `members` are the types of which
    a chain under the contract has at least one. Types that many runtimes share
    go by any of their spellings (`whence.model.names`).
    """

    name: str
    opens: str
    ends: tuple[End, ...] = ()
    require: tuple[Requirement, ...] = ()
    within: Duration | None = None
    guards: tuple[Guard, ...] = ()
    members: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_name("the name of a contract", self.name)
        _check_name(f'what opens contract "{self.name}"', self.opens)
        _put(self, "opens", canonical(self.opens))
        for name, wanted in (("ends", End), ("require", Requirement), ("guards", Guard)):
            members = tuple(getattr(self, name))
            if not all(isinstance(member, wanted) for member in members):
                raise ContractError(f'contract "{self.name}": {name} are {wanted.__name__} values')
            _put(self, name, members)
        if self.within is not None and self.within.nanos <= 0:
            raise ContractError(f'contract "{self.name}": within must be longer than nothing')
        types = [requirement.type for requirement in self.require]
        for repeated in {name for name in types if types.count(name) > 1}:
            raise ContractError(f'contract "{self.name}" requires {repeated} twice; count them')
        needed = {member.type for member in self.require if not member.optional}
        _put(self, "members", frozenset({self.opens, *needed, *(end.type for end in self.ends)}))


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
    """A length of time such as "2s", "1.5 ms" or "7d", exact in nanoseconds, else ContractError."""
    found = _LENGTH.fullmatch(text.strip())
    nanos = Fraction(found[1]) * _NANOS[found[2]] if found else None
    if nanos is None or nanos.denominator != 1:
        raise ContractError(f'{text!r} is no length of time such as "40ms", "1h" or "7d"')
    try:
        return Duration(nanos.numerator)
    except OverflowError as error:
        raise ContractError(str(error)) from None


@lru_cache(maxsize=256)
def matching(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether an event type is one of these, in which a * stands for any letters."""
    parts = (".*".join(map(re.escape, pattern.split("*"))) for pattern in patterns)
    wanted = re.compile("|".join(parts), re.DOTALL)
    return lambda event_type: wanted.fullmatch(event_type) is not None


def as_text(value: Value) -> str:
    """A value as it is compared with others: true, 12, 0.5 or the text itself."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _put(owner: object, name: str, value: object) -> None:
    object.__setattr__(owner, name, value)


def _checked_names(what: str, names: tuple[str, ...] | str) -> tuple[str, ...]:
    names = (names,) if isinstance(names, str) else tuple(names)
    for name in names:
        _check_name(what, name)
    return names


def _checked_values(
    owner: str, values: Mapping[str, tuple[Value, ...]]
) -> dict[str, tuple[Value, ...]]:
    found = {}
    for name, allowed in values.items():
        _check_name(f"a field in the values of {owner}", name)
        if isinstance(allowed, str) or not allowed:
            raise ContractError(f"the values of {name} in {owner} must be a list, and not empty")
        if not all(isinstance(value, str | int | float) for value in allowed):
            raise ContractError(f"the values of {name} in {owner} must be texts or numbers")
        found[name] = tuple(allowed)
    return found


def _check_name(what: str, name: str) -> None:
    if not isinstance(name, str) or not name.strip():
        raise ContractError(f"{what} must be a name, not {name!r}")


def _check_condition(text: str) -> None:
    try:
        parse_condition(text)
    except BadCondition as error:
        raise ContractError(str(error)) from None
