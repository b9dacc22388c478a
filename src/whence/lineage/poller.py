"""Takes TraceLinkSets out of a stream of messages: others are passed over, and all are counted."""

from __future__ import annotations

from collections.abc import Callable

from whence.lineage.codec import TraceLinkSet, decode_tracelink_set
from whence.lineage.wire import BytesLike

__all__ = ["TraceLinkPoller"]


class TraceLinkPoller:
    """Hands each set to `handler`; for one thread at a time.

    `sets` were handed over, `others` are messages of another schema or template, `bad` are sets
    that may not be and bytes that are no message. What the handler raises comes through.
    """

    __slots__ = ("_handler", "bad", "others", "sets")

    def __init__(self, handler: Callable[[TraceLinkSet], object]) -> None:
        self._handler = handler
        self.sets = 0
        self.others = 0
        self.bad = 0

    def take(self, message: BytesLike) -> bool:
        """Looks at one message; whether it was a set. The message is not kept."""
        try:
            found = decode_tracelink_set(message)
        except ValueError:
            self.bad += 1
            return False
        if found is None:
            self.others += 1
            return False
        self.sets += 1
        self._handler(found)
        return True
