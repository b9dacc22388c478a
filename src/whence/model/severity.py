"""How serious an event is, and how that order maps onto the level names of trace services."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Severity"]


class Severity(IntEnum):
    """Debug < Info < Warning < Error < Critical; exports write the member's name."""

    Debug = 0
    Info = 1
    Warning = 2
    Error = 3
    Critical = 4

    @classmethod
    def from_name(cls, name: str) -> Severity:
        """The severity of that name in any case, "warn" included; ValueError names the choices."""
        try:
            return _BY_NAME[name.strip().lower()]
        except KeyError:
            choices = ", ".join(member.name for member in cls)
            raise ValueError(f"unknown severity {name!r}; one of {choices}") from None

    @classmethod
    def from_level(cls, level: str) -> Severity:
        """The severity of a trace level: debug, info, warn, error or critical."""
        return cls.from_name(level)

    def level_name(self) -> str:
        """This severity as a trace level: debug, info, warn, error or critical."""
        return _LEVEL_NAMES[self]


_LEVEL_NAMES = ("debug", "info", "warn", "error", "critical")
_BY_NAME = {member.name.lower(): member for member in Severity} | {
    level: Severity(rank) for rank, level in enumerate(_LEVEL_NAMES)
}
