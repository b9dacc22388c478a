"""One sink's queue, its thread, its retries, and the exact account of what became of each event."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from whence.collect.delivering import Offer
from whence.collect.follower import Place
from whence.collect.positions import Acknowledged
from whence.collect.sink import Drained, Payload, Refused, Sink, TooLarge, Unavailable
from whence.collect.sink_ledger import SinkLedger

__all__ = ["Delivery", "Limits"]

MOST_REASONS = 20
LONGEST_REASON = 120


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a sink's queue holds and how long a payload is tried for.

    Beyond either size the oldest events waiting are given up (expired, "queue full"). Attempts
    follow each other after random times up to `first_wait_s` doubled each time, `longest_wait_s`
    at most, never sooner than the other side asks; after `deadline_s` the payload is given up. If
    the other side asks for longer than that, a last attempt comes `timeout_s` before it.
    """

    queue_events: int = 1_000_000
    queue_bytes: int = 128 << 20
    timeout_s: float = 10.0
    deadline_s: float = 300.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0


class Delivery:
    """Delivers to one sink. `offer`, `ledger` and `acknowledged` may be called by any thread.

    `step` does the work, in one thread: that of start() or, in tests, the caller's.
    """

    def __init__(
        self,
        sink: Sink,
        limits: Limits | None = None,
        start: Acknowledged | None = None,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.sink = sink
        self.limits = limits or Limits()
        self.trouble = ""  # why the last attempt failed; empty after one that did not
        self._clock = clock
        self._uniform = uniform
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._calm = threading.Condition(self._lock)
        self._settled = start or Acknowledged()
        self._positions = {uuid: dict(rings) for uuid, rings in self._settled.positions.items()}
        self._spoiled = set(self._settled.spoiled)
        self._ledger = self._settled.ledger
        self._waiting: deque[_Item] = deque()
        self._unsettled: deque[_Item] = deque()  # in the order of the offers
        self._queued_bytes = 0
        self._current: _Item | None = None
        self._pieces: deque[Drained] = deque()
        self._parcels: deque[_Parcel] = deque()
        self._attempts = 0
        self._retry_at_s: float | None = None
        self._give_up_at_s: float | None = None
        self._end_at_s: float | None = None
        self._thread: threading.Thread | None = None

    # ---- any thread

    @property
    def name(self) -> str:
        """The sink's name."""
        return self.sink.name

    @property
    def most_events(self) -> int:
        """How many events one payload of the sink holds."""
        return self.sink.most_events

    def offer(self, offer: Offer) -> None:
        """Takes the events of a step over. Never waits: a full queue gives up its oldest ones."""
        item = _Item(offer)
        with self._lock:
            counts = SinkLedger(read=offer.read, lost=offer.lost, delivered=offer.found)
            counts = counts.with_more("filtered", offer.read - offer.found - item.events)
            item.ledger = counts
            self._ledger = self._ledger.plus(replace(counts, queued=item.events))
            self._unsettled.append(item)
            if item.events:
                self._waiting.append(item)
                self._queued_bytes += item.nbytes
                self._make_room()
            else:
                item.done = True
                self._settle_in_order()
            self._wake.notify()

    def ledger(self) -> SinkLedger:
        """What became of all events so far, those of earlier runs included."""
        with self._lock:
            return self._ledger

    def acknowledged(self) -> Acknowledged:
        """How far everything is settled, in order."""
        with self._lock:
            positions = {uuid: dict(rings) for uuid, rings in self._positions.items()}
            spoiled = frozenset(self._spoiled)
            return replace(self._settled, positions=positions, spoiled=spoiled)

    def position(self, place: Place) -> int:
        """The first ticket of a ring that this sink has not settled."""
        with self._lock:
            return self._positions.get(place[0], {}).get(place[1], 0)

    def has_delivered(self, uuid: str, ends: Mapping[int, int]) -> bool:
        """Whether every event of a session that ends there was delivered."""
        with self._lock:
            reached = self._positions.get(uuid, {})
            return uuid not in self._spoiled and all(
                reached.get(ring, 0) >= end for ring, end in ends.items()
            )

    def is_behind(self) -> bool:
        """Whether half the queue is full although deliveries succeed."""
        limits = self.limits
        with self._lock:
            full = max(
                self._ledger.queued / limits.queue_events, self._queued_bytes / limits.queue_bytes
            )
            return full > 0.5 and not self.trouble

    def wait_settled(self, timeout_s: float) -> bool:
        """Waits until everything offered was settled; whether it was."""
        with self._lock:
            return self._calm.wait_for(lambda: not self._unsettled, max(0.0, timeout_s))

    def forget(self, uuid: str) -> None:
        """Drops the positions of a session that was removed."""
        with self._lock:
            self._positions.pop(uuid, None)
            self._spoiled.discard(uuid)

    def start(self) -> None:
        """Delivers in a thread of its own from now on."""
        self._thread = threading.Thread(
            target=self._run, name=f"whence-deliver {self.sink.name}", daemon=True
        )
        self._thread.start()

    def begin_finish(self, timeout_s: float) -> None:
        """From now on there are `timeout_s` left to deliver what is queued."""
        with self._lock:
            self._end_at_s = self._clock() + timeout_s
            self._wake.notify()

    def finish(self, timeout_s: float, *, give_up: bool = False) -> None:
        """Delivers what is queued, for at most `timeout_s`, and closes the sink.

        What is queued then stays queued: unacknowledged, it is read again by the next start.
        With `give_up` it is expired instead.
        """
        self.begin_finish(timeout_s)
        if self._thread is not None:
            self._thread.join(timeout_s + 0.5)
        with self._lock:
            if give_up:
                self._give_up_queued("not delivered before the end")
        with contextlib.suppress(Exception):
            self.sink.close()

    def held(self) -> Mapping[tuple[str, int], Sequence[int]]:
        """The tickets that the sink has beyond the positions, by session name and ring."""
        found: Mapping[tuple[str, int], Sequence[int]] = getattr(self.sink, "held", dict)()
        return found

    def leave_behind(self) -> None:
        """In a forked child: gives up the parent's files, whose locks the child would keep."""
        getattr(self.sink, "leave_behind", lambda: None)()

    # ---- the delivering thread

    def step(self) -> float | None:
        """Does one piece of work. Returns the seconds until there is more; None: until an offer."""
        if self._retry_at_s is not None:
            wait = self._retry_at_s - self._clock()
            if wait > 0:
                return wait
            self._retry_at_s = None
        with self._lock:
            if self._current is None and not self._take_next():
                return None
            current = self._current
        assert current is not None
        if self._parcels:
            self._attempt(self._parcels[0])
        elif self._pieces:
            self._encode(current, self._pieces.popleft())
        elif current.drained is not None:
            self._pieces.extend(_cut(current.drained, self.sink.most_events))
            current.drained = None
        else:
            self._finish_current(current)
        return 0.0

    def _run(self) -> None:
        while True:
            wait = self.step()
            with self._lock:
                if self._end_at_s is not None:
                    left = self._end_at_s - self._clock()
                    if left <= 0 or (wait is None and not self._waiting):
                        return
                    wait = left if wait is None else min(wait, left)
                if wait is None and not self._waiting:
                    self._wake.wait()
                elif wait:
                    self._wake.wait(wait)

    def _take_next(self) -> bool:
        if not self._waiting:
            return False
        self._current = self._waiting.popleft()
        return True

    def _encode(self, current: _Item, piece: Drained) -> None:
        owed = len(piece)
        try:
            for payload in self.sink.encode(piece):
                events = min(payload.events, owed)
                owed -= events
                if events:
                    self._parcels.append(_Parcel(payload, piece, events))
        except Exception as error:  # a sink's fault is that sink's alone
            owed += sum(parcel.events for parcel in self._parcels)
            self._parcels.clear()
            self._count(current, "refused", owed, f"encode failed: {_name(error)}")
            return
        self._count(current, "filtered", owed, "not of this sink's format" if owed else "")

    def _attempt(self, parcel: _Parcel) -> None:
        now = self._clock()
        if self._give_up_at_s is None:
            self._give_up_at_s = now + self.limits.deadline_s
        payload, most = parcel.payload, self.sink.most_bytes
        if most and len(payload.body) > most and parcel.events > 1:
            self._halve(parcel, "too large")
            return
        left = self._give_up_at_s if self._end_at_s is None else self._end_at_s
        try:
            timeout_s = max(0.05, min(self.limits.timeout_s, left - now))
            reply = self.sink.deliver(payload, timeout_s)
        except TooLarge as error:
            self._halve(parcel, str(error) or "too large")
        except Refused as error:
            self._disposed(parcel, "refused", str(error) or "refused")
        except (Unavailable, OSError) as error:
            self._try_later(parcel, error)
        except Exception as error:
            self._disposed(parcel, "refused", f"sink failed: {_name(error)}")
        else:
            refused = min(max(reply.refused, parcel.events - reply.delivered), parcel.events)
            current = self._current
            assert current is not None
            self._count(current, "refused", refused, reply.message or "refused")
            self._disposed(parcel, "delivered", "", parcel.events - refused)

    def _try_later(self, parcel: _Parcel, error: Exception) -> None:
        self.trouble = _reason(str(error) or _name(error))
        now = self._clock()
        limits = self.limits
        # 2**64 times anything is beyond the longest wait
        most = min(limits.longest_wait_s, limits.first_wait_s * 2.0 ** min(self._attempts, 64))
        wait = self._uniform(0.0, most)
        asked = getattr(error, "retry_after_s", None) or 0.0
        wait = max(wait, asked)
        self._attempts += 1
        assert self._give_up_at_s is not None
        left = self._give_up_at_s - now
        if asked >= left > limits.timeout_s:  # one answer must not empty the queue at once
            wait = left - limits.timeout_s
        if now + wait >= self._give_up_at_s:
            self._disposed(parcel, "expired", f"gave up: {self.trouble}")
        else:
            self._retry_at_s = now + wait

    def _halve(self, parcel: _Parcel, reason: str) -> None:
        """Puts two payloads of half the events in a payload's place."""
        batch = parcel.drained.batch
        current = self._current
        assert current is not None
        if parcel.events == 1 or len(batch) == 1:
            self._disposed(parcel, "refused", reason)
            return
        self._parcels.popleft()
        halves: list[_Parcel] = []
        owed, middle = parcel.events, len(batch) // 2
        try:
            for part in (batch.select(last=middle), batch.select(first=middle)):
                drained = replace(parcel.drained, batch=part)
                for payload in self.sink.encode(drained):
                    events = min(payload.events, owed)
                    if payload.signal == parcel.payload.signal and events:
                        owed -= events
                        halves.append(_Parcel(payload, drained, events))
        except Exception as error:
            self._count(current, "refused", parcel.events, f"encode failed: {_name(error)}")
            return
        self._parcels.extendleft(reversed(halves))
        self._count(current, "refused", owed, "lost in halving")

    def _disposed(
        self, parcel: _Parcel, what: str, reason: str = "", events: int | None = None
    ) -> None:
        current = self._current
        assert current is not None
        self._parcels.popleft()
        self._attempts = 0
        self._give_up_at_s = None
        if what == "delivered":
            self.trouble = ""
        self._count(current, what, parcel.events if events is None else events, reason)

    def _finish_current(self, current: _Item) -> None:
        token = ""
        with contextlib.suppress(Exception):
            token = getattr(self.sink, "token", str)()
        with self._lock:
            current.token = token
            current.done = True
            self._queued_bytes -= current.nbytes
            self._current = None
            self._settle_in_order()

    # ---- counting

    def _count(self, item: _Item, what: str, events: int, reason: str = "") -> None:
        with self._lock:
            self._count_locked(item, what, events, reason)

    def _count_locked(self, item: _Item, what: str, events: int, reason: str) -> None:
        events = min(events, item.events)  # less, if it was given up meanwhile
        if events <= 0:
            return
        reason = _reason(reason)
        if reason not in self._ledger.reasons and len(self._ledger.reasons) >= MOST_REASONS:
            reason = "other reasons"
        item.events -= events
        item.ledger = item.ledger.with_more(what, events, reason)
        self._ledger = self._ledger.with_more(what, events, reason).with_more("queued", -events)

    def _make_room(self) -> None:
        limits = self.limits
        while len(self._waiting) > 1 and (
            self._queued_bytes > limits.queue_bytes or self._ledger.queued > limits.queue_events
        ):
            self._drop(self._waiting.popleft(), "queue full")

    def _give_up_queued(self, reason: str) -> None:
        while self._waiting:
            self._drop(self._waiting.popleft(), reason)
        if self._current is not None and self._current.events:
            self._count_locked(self._current, "expired", self._current.events, reason)

    def _drop(self, item: _Item, reason: str) -> None:
        self._count_locked(item, "expired", item.events, reason)
        self._queued_bytes -= item.nbytes
        item.drained = None
        item.done = True
        self._settle_in_order()

    def _settle_in_order(self) -> None:
        """Moves the acknowledged positions over the items that are done, oldest first."""
        while self._unsettled and self._unsettled[0].done:
            item = self._unsettled.popleft()
            counts = item.ledger
            if counts.filtered or counts.refused or counts.expired:
                self._spoiled |= {uuid for uuid, _ in item.ends}
            for (uuid, ring), end in item.ends.items():
                self._positions.setdefault(uuid, {})[ring] = end
            self._settled = replace(
                self._settled,
                ledger=self._settled.ledger.plus(counts),
                token=item.token or self._settled.token,
            )
        if not self._unsettled:
            self._calm.notify_all()


class _Item:
    """One offer on its way through the queue."""

    __slots__ = ("done", "drained", "ends", "events", "ledger", "nbytes", "token")

    def __init__(self, offer: Offer) -> None:
        self.drained: Drained | None = offer.drained
        self.events = len(offer.drained)  # whose fate is open
        self.nbytes = offer.drained.batch.nbytes
        self.ends = offer.ends
        self.ledger = SinkLedger()
        self.done = False
        self.token = ""


class _Parcel(NamedTuple):
    """A payload, what it was encoded from, and how many events hang on it."""

    payload: Payload
    drained: Drained
    events: int


def _cut(drained: Drained, most: int) -> list[Drained]:
    if most <= 0 or len(drained) <= most:
        return [drained]
    return [replace(drained, batch=part) for part in drained.batch.parts(most)]


def _reason(text: str) -> str:
    return " ".join(text.split())[:LONGEST_REASON]


def _name(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
