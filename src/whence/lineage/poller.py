"""Takes TraceLinkSets out of a stream of messages: others are passed over, and all are counted."""

from __future__ import annotations

from collections.abc import Callable

from whence.lineage.codec import TraceLinkSet, decode_tracelink_set, tracelink_set_length
from whence.lineage.wire import HEADER, TRACE_LINK_SET, BytesLike, view_of

__all__ = ["TraceLinkPoller"]


class TraceLinkPoller:
    """Hands each set to `handler`, and other messages to `on_other`; for one thread at a time.

    What on_other gets is its own only while it is called. `sets` were handed over, `others` are
    messages of another schema or template, `bad` are sets that may not be and bytes that are no
    message. What the handlers raise comes through.
    """

    __slots__ = ("_handler", "_on_other", "bad", "others", "sets")

    def __init__(
        self,
        handler: Callable[[TraceLinkSet], object],
        on_other: Callable[[memoryview], object] | None = None,
    ) -> None:
        self._handler = handler
        self._on_other = on_other
        self.sets = 0
        self.others = 0
        self.bad = 0

    def take(self, message: BytesLike) -> bool:
        """Looks at one message; whether it was a set, or several one behind the other.

        Of several, one that may not be is counted and passed over; what lies behind the last set
        and is none is not looked at. The message is not kept.
        """
        rest = view_of(message)
        before = self.sets
        first = True
        while first or rest:
            try:
                length = tracelink_set_length(rest)
            except ValueError:
                self.bad += first or _begins_a_set(rest)
                break
            if length is None:
                if first:
                    self.others += 1
                    if self._on_other is not None:
                        self._on_other(rest)
                break
            self._hand_over(rest)
            rest = rest[length:]
            first = False
        return self.sets > before

    def _hand_over(self, message: memoryview) -> None:
        try:
            found = decode_tracelink_set(message)
        except ValueError:
            self.bad += 1
            return
        if found is not None:
            self.sets += 1
            self._handler(found)


def _begins_a_set(rest: memoryview) -> bool:
    """Whether these bytes, of which not all are there, are meant to be a set."""
    if len(rest) < HEADER.size:
        return False
    _, template, schema, _ = HEADER.unpack_from(rest)
    return (schema, template) == (TRACE_LINK_SET.schema, TRACE_LINK_SET.template)
