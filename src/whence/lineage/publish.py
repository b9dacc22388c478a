"""Sends sets of parents to a publication: never waits, and counts what was not taken."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Protocol

from whence.lineage.codec import encode_tracelink_set

__all__ = ["Counted", "Publication", "emit_tracelink"]


class Publication(Protocol):
    """Where messages go, as Aeron's clients have it.

    offer() MUST NOT wait. A negative number or False says that the message was not taken, and so
    does an exception; anything else, that it was. The bytes may be kept: they do not change.
    """

    def offer(self, buffer: bytes, /) -> Any:
        """Takes a message, or not."""
        ...


class Counted:
    """How many sets were sent, and how many were not taken. Any thread may count."""

    __slots__ = ("_lock", "dropped", "sent")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sent = 0
        self.dropped = 0

    def count(self, taken: bool) -> bool:
        """Adds one to either."""
        with self._lock:
            if taken:
                self.sent += 1
            else:
                self.dropped += 1
        return taken


def emit_tracelink(
    publication: Publication,
    stream_id: int,
    epoch: int,
    seq: int,
    trace_id: int,
    parents: Sequence[int],
    counted: Counted | None = None,
) -> bool:
    """Offers a set once, without waiting; whether it was taken. What the publication raises is
    a drop like any other: tracing does not stop what is traced.

    Raises ValueError for a set that may not be sent, as encode_tracelink_set() does.
    """
    message = bytearray(40 + 8 * len(parents))
    encode_tracelink_set(message, stream_id, epoch, seq, trace_id, parents)
    try:
        answer = publication.offer(bytes(message))
        taken = answer is not False and not (isinstance(answer, int) and answer < 0)
    except Exception:
        taken = False
    return counted.count(taken) if counted is not None else taken
