"""Batches of numbered events, and a sink whose other side behaves as a test tells it to."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable

import whence
from whence import _native
from whence._native import Batch, Catalogue
from whence.collect.local import local_session
from whence.collect.sink import (
    Drained,
    Payload,
    Refused,
    Reply,
    Sink,
    TooLarge,
    Unavailable,
)

__all__ = ["MadeSink", "drained", "numbered"]

MOST = 4000


@functools.cache
def numbered() -> Batch:
    """4,000 events, the n-th of ticket n."""
    collector = whence.TraceCollector(MOST)
    for n in range(MOST):
        collector.record_now("numbered", "Made", str(n))
    session = local_session()
    reader = _native.shared_ring_reader(collector)
    assert session is not None
    assert reader is not None
    batch, catalogue = Batch(), Catalogue()
    batch.drain(reader, catalogue, session.name, session.key)
    catalogue.update_local()
    return batch


def drained(first: int, last: int) -> Drained:
    """The events from `first` to before `last`."""
    return Drained(numbered().select(first=first, last=last))


class MadeSink(Sink):
    """Sends even and odd numbers as two signals; numbers that `skips` divides it has no place for.

    `next` says what the following attempts meet, each with one word; after that all goes well.
    `room` is how many numbers the other side takes in one payload.
    """

    most_bytes = 0

    def __init__(self, name: str = "made", most_events: int = 50) -> None:
        self.name = name
        self.most_events = most_events
        self.next: list[str] = []
        self.room = 10**9
        self.skips = 11
        self.taken: list[int] = []
        self.refused: list[int] = []
        self.attempts = 0
        self.closed = 0

    def encode(self, drained: Drained) -> Iterable[Payload]:
        """Numbers as JSON."""
        numbers = [row[19] for row in drained.batch.rows()]
        numbers = [n for n in numbers if not self.skips or n % self.skips]
        for signal, odd in (("even", 0), ("odd", 1)):
            mine = [n for n in numbers if n % 2 == odd]
            if mine:
                yield Payload(json.dumps(mine).encode(), len(mine), signal)

    def deliver(self, payload: Payload, timeout_s: float) -> Reply:
        """What was told beforehand."""
        assert timeout_s > 0
        self.attempts += 1
        numbers = json.loads(payload.body)
        assert len(numbers) == payload.events
        what = self.next.pop(0) if self.next else "fine"
        if what == "down":
            raise Unavailable("nobody there")
        if what == "busy":
            raise Unavailable("slow down", retry_after_s=7.0)
        if what == "reset":
            raise ConnectionResetError("reset by peer")
        if what == "refused":
            self.refused += numbers
            raise Refused("bad request")
        if what == "broken":
            self.refused += numbers
            raise ZeroDivisionError("a fault of this sink")
        if len(numbers) > self.room:
            raise TooLarge("413")
        if what == "partial":
            self.taken += numbers[1:]
            self.refused += numbers[:1]
            return Reply(len(numbers) - 1, 1, "one is bad")
        self.taken += numbers
        return Reply(len(numbers))

    def close(self) -> None:
        """Counts."""
        self.closed += 1
