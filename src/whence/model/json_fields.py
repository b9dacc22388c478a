"""Reads a JSON object field by field, strictly: every error names its place in the file."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

from whence.model.errors import CorruptFile

__all__ = ["Fields"]

T = TypeVar("T")

_REQUIRED: Any = object()
_HEX_DIGITS = frozenset("0123456789abcdef")
_INT64 = range(-(2**63), 2**63)


class Fields:
    """One JSON object; `place` says where it stands, for example "run.json" or "events[3]".

    `within` is the object around it, so that a place is put together only for an error.

    Every method raises CorruptFile if the field is absent without a default, or of another type.
    Integers fit 64 signed bits.
    """

    __slots__ = ("_label", "_read", "_values", "_within")

    def __init__(self, values: object, place: str | int, within: Fields | None = None) -> None:
        self._label = place
        self._within = within
        self._read: set[str] = set()
        if type(values) is not dict:
            raise CorruptFile(f"{self._place} must be an object, not {_type_name(values)}")
        self._values: dict[str, Any] = values

    @property
    def _place(self) -> str:
        label = f"[{self._label}]" if isinstance(self._label, int) else self._label
        if self._within is None:
            return label
        joint = "" if isinstance(self._label, int) else ": "
        return f"{self._within._place}{joint}{label}"

    def text(self, name: str, default: str = _REQUIRED) -> str:
        """A text."""
        value = self._take(name, default)
        if type(value) is not str:
            raise self._wrong(name, "text", value)
        return value

    def integer(self, name: str, default: int = _REQUIRED) -> int:
        """A whole number; true and 1.0 are none."""
        value = self._take(name, default)
        if type(value) is not int:
            raise self._wrong(name, "an integer", value)
        if value not in _INT64:
            raise CorruptFile(f"{self._place}: {name} does not fit 64 signed bits")
        return value

    def moment(self, name: str) -> int | None:
        """A whole number, or null."""
        return None if self._take(name, _REQUIRED) is None else self.integer(name)

    def wide(self, name: str, default: str = _REQUIRED) -> int:
        """A 64-bit id or count, written as decimal text."""
        text = self.text(name, default)
        if not (text.isascii() and text.isdecimal() and len(text) <= 20 and int(text) < 2**64):
            raise self._wrong(name, "a decimal number of 64 bits, as text", text)
        return int(text)

    def hexadecimal(self, name: str, default: str = _REQUIRED) -> int:
        """A 64-bit id, written in hexadecimal."""
        text = self.text(name, default)
        if not (text and len(text) <= 16 and set(text) <= _HEX_DIGITS):
            raise self._wrong(name, "up to 16 hexadecimal digits, as text", text)
        return int(text, 16)

    def number(self, name: str, default: float = _REQUIRED) -> float:
        """A number; null, "NaN", "Infinity" and "-Infinity" stand for those that JSON lacks."""
        value = self._take(name, default)
        if value is None:
            return math.nan
        if value in ("NaN", "Infinity", "-Infinity"):
            return float(value)
        if type(value) not in (int, float):
            raise self._wrong(name, "a number", value)
        return float(value)

    def flag(self, name: str, default: bool = _REQUIRED) -> bool:
        """true or false."""
        value = self._take(name, default)
        if type(value) is not bool:
            raise self._wrong(name, "true or false", value)
        return value

    def part(self, name: str, default: object = _REQUIRED) -> Fields:
        """An object."""
        return Fields(self._take(name, default), name, self)

    def pairs(self, name: str, first: type, second: type) -> list[tuple[Any, Any]]:
        """A list of two-element lists of those types."""
        pairs = self._list(name)
        for pair in pairs:
            if not isinstance(pair, list) or [type(part) for part in pair] != [first, second]:
                raise self._wrong(name, "a list of pairs", pair)
        return [(pair[0], pair[1]) for pair in pairs]

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        values = self._list(name)
        for value in values:
            if type(value) is not str:
                raise self._wrong(name, "a list of texts", value)
        return tuple(values)

    def each(
        self,
        name: str,
        make: Callable[[Fields], T],
        default: object = _REQUIRED,
        quick: Callable[[object], T | None] | None = None,
    ) -> tuple[T, ...]:
        """What `make` makes of each object in a list; values that it refuses are named too.

        Where `quick` makes something of an object, `make` is not asked.
        """
        made = []
        values = self._list(name, default)
        if not values:
            return ()
        around = Fields({}, name, self)
        for number, part in enumerate(values):
            value = quick(part) if quick else None
            made.append(Fields(part, number, around).made(make) if value is None else value)
        return tuple(made)

    def made(self, make: Callable[[Fields], T]) -> T:
        """What `make` makes of the whole object; values that it refuses are named too."""
        try:
            value = make(self)
        except CorruptFile:
            raise
        except (ValueError, TypeError, OverflowError) as error:
            raise CorruptFile(f"{self._place}: {error}") from None
        self.done()
        return value

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        return name in self._values

    def names(self) -> list[str]:
        """The names of all fields."""
        return list(self._values)

    def skip(self, name: str) -> None:
        """Leave a field unread that may be there and may hold anything."""
        self._read.add(name)

    def done(self) -> None:
        """CorruptFile if the object has a field that was not asked for."""
        if len(self._read) < len(self._values) or not self._values.keys() <= self._read:
            for name in self._values:
                if name not in self._read:
                    raise CorruptFile(f"{self._place}: {name!r} is no field of this format")

    def _list(self, name: str, default: Any = _REQUIRED) -> list[Any]:
        value = self._take(name, default)
        if type(value) is not list:
            raise self._wrong(name, "a list", value)
        return value

    def _take(self, name: str, default: Any) -> Any:
        self._read.add(name)
        value = self._values.get(name, default)
        if value is _REQUIRED:
            raise CorruptFile(f"{self._place}: {name} is missing")
        return value

    def _wrong(self, name: str, wanted: str, value: object) -> CorruptFile:
        return CorruptFile(f"{self._place}: {name} must be {wanted}, not {_type_name(value)}")


def _type_name(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    if value is None:
        return "null"
    return names.get(type(value), "a number")
