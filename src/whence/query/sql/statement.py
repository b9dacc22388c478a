"""A statement in the making: its dialect, and the values that its parameters stand for."""

from __future__ import annotations

from collections.abc import Mapping

from whence.query.sql.dialect import Dialect, ValueType

__all__ = ["Statement", "Value", "constant", "is_storable", "unsigned"]

Value = str | int | float
_MAP_NAMES = ("attr_int", "attr_num", "attr_str", "attr_bool", "attr_uint")


class Statement:
    """Collects parameters while the parts of a statement are written.

    No value is ever part of the text: `text`, `integer` and the like give the parameter that
    stands for it. `values` has each with its type, by name. `own` is what to write for attributes
    that have columns of their own, by their kind and name; the others are looked up in the maps.
    """

    def __init__(self, dialect: Dialect, own: Mapping[tuple[str, str], str] | None = None) -> None:
        self.dialect = dialect
        self._own = own or {}
        self.values: dict[str, tuple[ValueType, Value]] = {}
        self._known: dict[tuple[ValueType, str], str] = {}

    def text(self, value: str) -> str:
        """A parameter for a text that is_storable()."""
        return self._parameter("text", value)

    def integer(self, value: int) -> str:
        """A parameter for an integer of 64 signed bits."""
        return self._parameter("int", value)

    def wide(self, value: int) -> str:
        """A parameter for an integer of 128 signed bits."""
        return self._parameter("wide", value)

    def real(self, value: float) -> str:
        """A parameter for a float that is finite."""
        return self._parameter("float", value)

    def attribute(self, kind: str, name: str) -> str:
        """An attribute's value in one of the maps: int, num, str, bool or uint; NULL if absent."""
        column = f"attr_{kind}"
        if column not in _MAP_NAMES:
            raise ValueError(f"{column} is no column")
        if own := self._own.get((kind, name)):
            return own
        return self.dialect.map_value(column, self.text(name))

    def values_in(self, text: str) -> dict[str, tuple[ValueType, Value]]:
        """The parameters that the finished text has: some that were asked for may not be needed."""
        return {
            name: value
            for name, value in self.values.items()
            if self.dialect.parameter(name, value[0]) in text
        }

    def _parameter(self, kind: ValueType, value: Value) -> str:
        known = self._known.get((kind, repr(value)))
        if known is None:
            known = f"p{len(self.values)}"
            self._known[kind, repr(value)] = known
            self.values[known] = kind, value
        return self.dialect.parameter(known, kind)


def constant(truth: bool) -> str:
    """TRUE or FALSE."""
    return "TRUE" if truth else "FALSE"


def is_storable(text: str) -> bool:
    """Whether rows may hold such a text: all but those with half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def unsigned(statement: Statement, column: str) -> str:
    """The unsigned value, as a wide integer, of a column that is its two's complement."""
    wide = statement.dialect.integer_to_wide(column)
    return f"(CASE WHEN {column} < 0 THEN {wide} + {statement.wide(2**64)} ELSE {wide} END)"
