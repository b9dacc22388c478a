"""Gathers sets and offers several in one message, to save calls and datagrams."""

from __future__ import annotations

import atexit
import contextlib
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from weakref import WeakSet

from whence.lineage.codec import tracelink_set_length
from whence.lineage.counted import Counted, refusal
from whence.lineage.forks import renew_in_children
from whence.lineage.publish import Publication
from whence.lineage.wire import BytesLike, view_of

__all__ = ["BatchedPublication"]

MOST_BYTES = 1_400  # what fits a packet of most networks
_all: WeakSet[BatchedPublication] = WeakSet()


class BatchedPublication:
    """Sets one behind the other in one message, for a publication whose other side reads them so.

    TraceLinkPoller, DatagramSubscription and SessionPublication do. A message goes out before it
    would have more than `most_bytes`, with the first set offered `most_ns` after its oldest, and by
    flush(), which a program calls where it pauses; what is gathered when the program ends is sent
    then. With `own_thread` a thread sends what is `most_ns` old, until close(). Other messages and
    larger sets go out at once and by themselves, in their turn. A forked child begins with none:
    its parent sends what was gathered.

    offer() takes a set into the message; what became of it later is in `counted`, in sets. The
    publication is not closed by this one. Any thread; none waits but for another's offer().
    """

    __slots__ = (
        "__weakref__",
        "_at",
        "_buffer",
        "_clock",
        "_closing",
        "_first_ns",
        "_lock",
        "_most_ns",
        "_own_thread",
        "_publication",
        "_sets",
        "_some",
        "_thread",
        "counted",
        "messages",
    )

    def __init__(
        self,
        publication: Publication,
        most_bytes: int = MOST_BYTES,
        most_ns: int = 10_000_000,
        clock: Callable[[], int] = time.monotonic_ns,
        *,
        own_thread: bool = False,
    ) -> None:
        if most_bytes < 1 or most_ns < 0:
            raise ValueError("a message has room for a byte at least, and a time is not negative")
        self._publication = publication
        self._most_ns = most_ns
        self._clock = clock
        self._own_thread = own_thread
        self._buffer = bytearray(most_bytes)
        self._first_ns = 0
        self.counted = Counted()
        self.messages = 0  # that were offered, each with one set or several
        self.renew()
        renew_in_children(self)
        _all.add(self)

    def renew(self) -> None:
        """In a forked child: nothing is gathered, and no thread holds a lock or sends."""
        self._lock = threading.Lock()
        self._at = 0  # bytes gathered
        self._sets = 0
        self._some, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

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
            elif self._own_thread and self._sets == 1:
                self._wake()
        return True

    def flush(self) -> bool:
        """Sends what was gathered; False where the publication did not take it."""
        with self._lock:
            return self._send()

    def close(self) -> None:
        """Sends what was gathered, and ends the thread. Sets may be offered all the same."""
        with self._lock:
            self._own_thread = False
            self._send()
            self._closing.set()
            self._some.set()
            thread = self._thread
        if thread is not None:
            thread.join()

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
        self.close()

    def _wake(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._send_old, name="whence-links", daemon=True)
            with contextlib.suppress(RuntimeError):  # no more threads: the next set sends it
                thread.start()
                self._thread = thread
        self._some.set()

    def _send_old(self) -> None:
        """The thread: sends what is old enough until it is told to end."""
        while self._some.wait() and not self._closing.is_set():
            with self._lock:
                left_ns = self._first_ns + self._most_ns - self._clock() if self._sets else 0
                if left_ns <= 0:
                    self._send()
                    self._some.clear()
            if left_ns > 0:
                self._closing.wait(left_ns / 1e9)

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


def _send_all() -> None:
    for each in list(_all):
        each.flush()


atexit.register(_send_all)
