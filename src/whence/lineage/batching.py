"""Gathers sets and offers several in one message, to save calls and datagrams."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from whence.lineage.codec import tracelink_set_length
from whence.lineage.counted import Counted, refusal
from whence.lineage.publish import Publication
from whence.lineage.wire import BytesLike, view_of

__all__ = ["BatchedPublication"]

MOST_BYTES = 1_400  # what fits a packet of most networks


class BatchedPublication:
    """Sets one behind the other in one message, for a publication whose other side reads them so.

    TraceLinkPoller, DatagramSubscription and SessionPublication do. A message goes out before it
    would have more than `most_bytes`, with the first set offered `most_ns` after its oldest, and by
    flush(), which a program calls where it pauses: nothing else sends what was gathered. Other
    messages and larger sets go out at once and by themselves, in their turn.

    offer() takes a set into the message; what became of it later is in `counted`, in sets. The
    publication is not closed by this one. Any thread; none waits but for another's offer().
    """

    __slots__ = (
        "_at",
        "_buffer",
        "_clock",
        "_first_ns",
        "_lock",
        "_most_ns",
        "_publication",
        "_sets",
        "counted",
        "messages",
    )

    def __init__(
        self,
        publication: Publication,
        most_bytes: int = MOST_BYTES,
        most_ns: int = 10_000_000,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        if most_bytes < 1 or most_ns < 0:
            raise ValueError("a message has room for a byte at least, and a time is not negative")
        self._publication = publication
        self._most_ns = most_ns
        self._clock = clock
        self._lock = threading.Lock()
        self._buffer = bytearray(most_bytes)
        self._at = 0  # bytes gathered
        self._sets = 0
        self._first_ns = 0
        self.counted = Counted()
        self.messages = 0  # that were offered, each with one set or several

    def offer(self, buffer: BytesLike, /) -> Any:
        """Takes a set, and perhaps sends those gathered; of other messages, the publication's
        answer. What the publication raises is counted, and raised for other messages alone."""
        view = view_of(buffer)
        try:
            length = tracelink_set_length(view)
        except ValueError:
            length = None
        with self._lock:
            if length != len(view):  # its end could not be told
                self._send()
                return self._publication.offer(bytes(view))
            if self._at + length > len(self._buffer):
                self._send()
            if length > len(self._buffer):
                return self._send_message(bytes(view), 1)
            now_ns = self._clock()
            if not self._at:
                self._first_ns = now_ns
            self._buffer[self._at : self._at + length] = view
            self._at += length
            self._sets += 1
            if now_ns - self._first_ns >= self._most_ns and self._sets > 1:
                self._send()
        return True

    def flush(self) -> bool:
        """Sends what was gathered; False where the publication did not take it."""
        with self._lock:
            return self._send()

    @property
    def waiting(self) -> int:
        """How many sets are gathered and not sent."""
        return self._sets

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.flush()

    def _send(self) -> bool:
        if not self._sets:
            return True
        message, sets = bytes(memoryview(self._buffer)[: self._at]), self._sets
        self._at = self._sets = 0
        return self._send_message(message, sets)

    def _send_message(self, message: bytes, sets: int) -> bool:
        self.messages += 1
        try:
            reason = refusal(self._publication.offer(message))
        except Exception:
            reason = "raised"
        return self.counted.count(reason, sets)
