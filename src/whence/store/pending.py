"""What waits for a store: offers in order, and what is left of those that were given up."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from whence.collect.delivering import Offer
from whence.collect.follower import Place
from whence.collect.sink import Drained
from whence.collect.sink_ledger import SinkLedger

__all__ = ["Pending", "Waiting"]


class Pending:
    """One offer on its way; without events, `drained` is None, it still moves positions."""

    __slots__ = ("drained", "ends", "events", "ledger", "nbytes")

    def __init__(self, offer: Offer) -> None:
        self.events = len(offer.drained)
        self.drained: Drained | None = offer.drained if self.events else None
        self.nbytes = offer.drained.batch.nbytes if self.events else 0
        self.ends: dict[Place, int] = dict(offer.ends)
        counts = SinkLedger(read=offer.read, lost=offer.lost, queued=self.events)
        self.ledger = counts.with_more("filtered", offer.read - self.events)

    def delivered(self) -> SinkLedger:
        """The counts once its events are stored."""
        return self.ledger.with_more("queued", -self.events).with_more("delivered", self.events)

    def spoils(self) -> set[str]:
        """The sessions of which something is not delivered."""
        counts = self.ledger
        if counts.filtered or counts.refused or counts.expired:
            return {uuid for uuid, _ in self.ends}
        return set()

    def give_up(self, what: str, reason: str) -> None:
        """Its events will not be stored: they are expired or refused."""
        self.ledger = self.ledger.with_more(what, self.events, reason)
        self.ledger = self.ledger.with_more("queued", -self.events)
        self.drained, self.events, self.nbytes = None, 0, 0

    def absorb(self, later: Pending) -> None:
        """Takes over what the next one says; neither has events."""
        self.ledger = self.ledger.plus(later.ledger)
        self.ends |= later.ends


class Waiting:
    """A queue in order of the offers that knows its size. Whoever uses it holds a lock."""

    def __init__(self) -> None:
        self.rows = 0
        self.nbytes = 0
        self._items: deque[Pending] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: Pending) -> None:
        """Puts an item at the end."""
        last = self._items[-1] if self._items else None
        if last is not None and last.drained is None and item.drained is None:
            last.absorb(item)
            return
        self._items.append(item)
        self.rows += item.events
        self.nbytes += item.nbytes

    def put_back(self, items: Iterable[Pending]) -> None:
        """Puts items that were taken in front again."""
        for item in reversed(list(items)):
            self._items.appendleft(item)
            self.rows += item.events
            self.nbytes += item.nbytes

    def take(self, most_rows: int, most_bytes: int) -> list[Pending]:
        """The oldest items, of so many rows or bytes, or a little more."""
        taken: list[Pending] = []
        rows = nbytes = 0
        while self._items and rows < most_rows and nbytes < most_bytes:
            item = self._items.popleft()
            taken.append(item)
            rows += item.events
            nbytes += item.nbytes
        self.rows -= rows
        self.nbytes -= nbytes
        return taken

    def oldest_but_one(self) -> Pending | None:
        """The oldest item that has events, unless it is the only one."""
        with_events = [item for item in self._items if item.events]
        return with_events[0] if len(with_events) > 1 else None

    def gave_up(self, item: Pending) -> None:
        """Before an item that may be in the queue is given up: it counts no more."""
        if any(item is each for each in self._items):
            self.rows -= item.events
            self.nbytes -= item.nbytes

    def merge(self) -> None:
        """Makes one of those in front that have no events, so that they do not pile up."""
        while (
            len(self._items) > 1
            and self._items[0].drained is None
            and self._items[1].drained is None
        ):
            first = self._items.popleft()
            first.absorb(self._items.popleft())
            self._items.appendleft(first)
