"""The cognitive event types: their codes, the enums of their fields, and types of your own."""

from __future__ import annotations

import re
import threading
from enum import IntEnum

__all__ = [
    "COGNITIVE_TYPES",
    "CognitiveEvent",
    "InterferenceType",
    "PrimingType",
    "code_name",
    "event_code",
    "event_name",
    "register_event_type",
]


class CognitiveEvent(IntEnum):
    """The four types of events that a memory core records, by their codes."""

    Priming = 0
    Interference = 1
    Reconsolidation = 2
    FalseMemory = 3


class PrimingType(IntEnum):
    """By what an item was activated in advance."""

    Semantic = 0
    Associative = 1
    Repetition = 2


class InterferenceType(IntEnum):
    """What got in the way of recalling: older items, newer ones, or too many of them."""

    Proactive = 0
    Retroactive = 1
    Fan = 2


COGNITIVE_TYPES = ("priming", "interference", "reconsolidation", "false_memory")

_ENUMS: dict[tuple[str, str], type[PrimingType] | type[InterferenceType]] = {
    ("priming", "priming_type"): PrimingType,
    ("interference", "interference_type"): InterferenceType,
}


def code_name(event_type: str, field: str, value: object) -> str | None:
    """What a code in that field of that type means, in small letters: semantic, fan.

    None where the field is no such code, or something else than ours wrote a number without a name.
    """
    enum = _ENUMS.get((event_type, field))
    if enum is None or type(value) is not int or value not in map(int, enum):
        return None
    return enum(value).name.lower()


_registering = threading.Lock()
_codes = {name: code for code, name in enumerate(COGNITIVE_TYPES)}


def event_name(event_type: str | CognitiveEvent) -> str:
    """The name that events of this type are recorded under: FalseMemory is false_memory.

    Only the four types have other spellings; any other name is taken as it is.
    """
    if isinstance(event_type, CognitiveEvent):
        return COGNITIVE_TYPES[event_type]
    if not isinstance(event_type, str):
        raise TypeError(f"an event type is a str or a CognitiveEvent, not {event_type!r}")
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", event_type).lower()
    return snake if snake in COGNITIVE_TYPES else event_type


def register_event_type(name: str) -> int:
    """Gives a type of your own a code, from 4 on; the same name has the same code again.

    Codes are of this process. Raises ValueError for an empty name. Any thread.
    """
    if not name:
        raise ValueError("an event type needs a name")
    with _registering:
        return _codes.setdefault(event_name(name), len(_codes))


def event_code(event_type: str | CognitiveEvent) -> int:
    """The code of a type; LookupError if it was never registered."""
    name = event_name(event_type)
    if name not in _codes:
        raise LookupError(f"{name!r} has no code: see register_event_type()")
    return _codes[name]
