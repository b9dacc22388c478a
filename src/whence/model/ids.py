"""Identifiers: of a model, of requests as they are made, of events by their place in a ring."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from typing import NoReturn

__all__ = ["ModelID", "RequestIDGenerator", "event_id", "parse_event_id"]

SESSION_KEY_BITS = 48
RING_BITS = 18
TICKET_BITS = 56  # 48 + 18 + 56 are the 122 bits that a UUIDv8 leaves to its maker


@functools.total_ordering
class ModelID:
    """A model's name as a type of its own: made explicitly, never equal to a str.

    `value` is a non-empty str (TypeError, ValueError). Immutable, hashable, ordered by value.
    Written out, because `import whence` needs it and importing dataclasses takes 7 ms.
    """

    __slots__ = ("value",)
    value: str

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError(f"a ModelID holds a str, not {type(value).__name__}")
        if not value:
            raise ValueError("a ModelID names a model; it cannot be empty")
        object.__setattr__(self, "value", value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a ModelID cannot be changed: {name}")

    __delattr__ = __setattr__  # type: ignore[assignment]

    def to_string(self) -> str:
        """The name."""
        return self.value

    __str__ = to_string

    def __repr__(self) -> str:
        return f"ModelID({self.value!r})"

    def __eq__(self, other: object) -> bool:
        return self.value == other.value if isinstance(other, ModelID) else NotImplemented

    def __lt__(self, other: ModelID) -> bool:
        return self.value < other.value if isinstance(other, ModelID) else NotImplemented

    def __hash__(self) -> int:
        return hash((ModelID, self.value))

    def __reduce__(self) -> tuple[type[ModelID], tuple[str]]:
        return ModelID, (self.value,)


class RequestIDGenerator:
    """Makes request ids "req-<wall nanoseconds>-<sequence>" that only ever increase.

    The pair (timestamp, sequence) increases even when `clock` stands still or goes back, and the
    sequence alone is unique within the generator. Threads may share one generator.
    `clock` returns nanoseconds and is called once per id.
    """

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last_ns = 0
        self._sequence = 0

    def next(self) -> str:
        """A new id."""
        with self._lock:
            self._last_ns = max(self._last_ns, self._clock())
            self._sequence += 1
            return f"req-{self._last_ns}-{self._sequence:06d}"

    __call__ = next


def event_id(session_key: int, ring: int, ticket: int) -> str:
    """The id of the event that a ring holds under a ticket: a UUIDv8, and invertible.

    OverflowError if a part is negative or wider than its 48, 18 and 56 bits.
    """
    _check_width("session_key", session_key, SESSION_KEY_BITS)
    _check_width("ring", ring, RING_BITS)
    _check_width("ticket", ticket, TICKET_BITS)
    # [session key 48][version 4][ring, upper 12][variant 2][ring, lower 6][ticket 56]
    number = session_key << 80 | 8 << 76 | ring >> 6 << 64 | 2 << 62 | (ring & 63) << 56 | ticket
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def parse_event_id(text: str) -> tuple[int, int, int] | None:
    """(session_key, ring, ticket) of an id made by event_id, or None for any other text."""
    if len(text) != 36 or not text.isascii():
        return None
    digits = text.replace("-", "").lower()
    if len(digits) != 32 or any(digit not in "0123456789abcdef" for digit in digits):
        return None
    session_key, ring, ticket = _split(int(digits, 16))
    # Making the id again refuses other versions, variants and misplaced hyphens at once.
    if event_id(session_key, ring, ticket) != text.lower():
        return None
    return session_key, ring, ticket


def _split(number: int) -> tuple[int, int, int]:
    ring = (number >> 64 & 0xFFF) << 6 | number >> 56 & 63
    return number >> 80, ring, number & ((1 << TICKET_BITS) - 1)


def _check_width(name: str, value: int, bits: int) -> None:
    if not 0 <= value < 1 << bits:
        raise OverflowError(f"{name} {value} does not fit {bits} bits")
