"""StoreDelivery: a store's queue and thread; rows, positions and ledger in one commit a second."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa

from whence.collect.delivering import Offer
from whence.collect.delivery import Limits
from whence.collect.positions import Acknowledged
from whence.collect.sink_ledger import SinkLedger
from whence.store.batches import Converted, convert
from whence.store.columns import SCHEMA
from whence.store.folder import FolderStore
from whence.store.intake import FULL_S, Intake, IntakeLimits
from whence.store.manifest import RingTally
from whence.store.owned_folder import is_full
from whence.store.pending import Pending, Waiting
from whence.store.telling import Teller
from whence.store.upkeep import Upkeep

__all__ = ["StoreDelivery"]

COMMIT_S = 1.0
COMMIT_ROWS = 262_144
COMMIT_BYTES = 32 << 20  # native; as much again as a table, less as a file
STEP_EVENTS = 20_000  # a pipeline drains ten times that at once
LONGEST_REASON = 120


class StoreDelivery:
    """Delivers to a folder store that this process owns, and that finish() closes.

    Commits once a second at most, earlier for 256k rows, for 32 MiB, or when somebody waits. Each
    commit moves the positions with the rows, so that a restart reads nothing twice and skips
    nothing. While the disk refuses, events wait in the queue: beyond its size the oldest are given
    up (expired).
    `offer`, `ledger`, `acknowledged` and what else asks may be called by any thread; `step` does
    the work, in one thread: that of start() or, in tests, the caller's. What comes from elsewhere
    than rings goes through `intake`, in the same thread but commits of its own.
    """

    def __init__(
        self,
        store: FolderStore,
        limits: Limits | None = None,
        *,
        filtered: bool = False,
        clock: Callable[[], float] = time.monotonic,
        intake: IntakeLimits | None = None,
    ) -> None:
        self.store = store
        self.name = store.name
        self.most_events = STEP_EVENTS
        self.trouble = ""
        self.is_full = False  # the last commit found no room on the disk
        self._limits = limits or Limits()
        self._filtered = filtered
        self._clock = clock
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._calm = threading.Condition(self._lock)
        self.intake = Intake(store, self._lock, self._wake.notify, clock, intake)
        self._waiting = Waiting()
        self._settled = store.manifest.acknowledged
        self._ledger = self._settled.ledger
        self._teller = Teller(store, filtered, clock)
        self._upkeep = Upkeep(store, clock)
        self._in_flight: list[Pending] = []
        self._seen: list[Pending] = []  # readers see them; whether they are durable is not known
        self._ended: set[str] = set()
        self._forgotten: set[str] = set()
        self._urgent = False
        self._one_by_one = False
        self._next_s = clock()
        self._attempts = 0
        self._end_at_s: float | None = None
        self._closing = False
        self._thread: threading.Thread | None = None

    # ---- any thread

    def offer(self, offer: Offer) -> None:
        """Takes the events of a step over. Never waits: a full queue gives up its oldest ones."""
        item = Pending(offer)
        with self._lock:
            self._ledger = self._ledger.plus(item.ledger)
            self._waiting.add(item)
            self._make_room()
            self._wake.notify()

    def ledger(self) -> SinkLedger:
        """What became of all events so far, those of earlier runs included."""
        with self._lock:
            return self._ledger

    def acknowledged(self) -> Acknowledged:
        """How far everything is on the disk: what the manifest says."""
        with self._lock:
            return self._settled

    def has_delivered(self, uuid: str, ends: Mapping[int, int]) -> bool:
        """Whether every event of a session that ends there is stored, and all else about it."""
        with self._lock:
            reached = self._settled.positions.get(uuid, {})
            whole = uuid not in self._settled.spoiled and all(
                reached.get(ring, 0) >= end for ring, end in ends.items()
            )
            if whole and not self._teller.has_told_the_end(uuid):
                self._ended.add(uuid)
                self._wake.notify()
                return False
            return whole

    def is_behind(self) -> bool:
        """Whether half the queue is full although commits succeed."""
        with self._lock:
            events = self._ledger.queued / self._limits.queue_events
            return max(events, self._nbytes() / self._limits.queue_bytes) > 0.5 and not self.trouble

    def wait_settled(self, timeout_s: float) -> bool:
        """Waits until everything offered was committed; whether it was. Commits at once.

        Waits for no room: on a full disk the answer is no.
        """
        with self._lock:
            self._urgent = True
            self._wake.notify()
            self._calm.wait_for(lambda: self.is_full or not self._is_busy(), max(0.0, timeout_s))
            return not self._is_busy()

    def forget(self, uuid: str) -> None:
        """Drops the positions of a session that was removed, with the next commit."""
        with self._lock:
            if uuid in self._settled.positions:
                self._forgotten.add(uuid)
                self._wake.notify()

    def start(self) -> None:
        """Commits in a thread of its own from now on."""
        self._thread = threading.Thread(target=self._run, name="whence-store", daemon=True)
        self._thread.start()

    def begin_finish(self, timeout_s: float) -> None:
        """From now on there are `timeout_s` left to commit what is queued."""
        with self._lock:
            self._end_at_s = self._clock() + timeout_s
            self._urgent = True
            self._wake.notify()

    def finish(self, timeout_s: float, *, give_up: bool = False) -> None:
        """Commits what is queued, for at most `timeout_s`, tells of the sessions, and closes.

        What is queued then stays so: the next owner reads it again, as long as it is there.
        """
        self.begin_finish(timeout_s)
        with self._lock:
            self._closing = True
            self.intake.refuse_more(f"{self.name} is being closed")
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(timeout_s + 0.5)
            if self._thread.is_alive():  # in a write that hangs: the store stays its own
                return
        self.intake.close(f"{self.name} is closed")
        with contextlib.suppress(Exception):
            self._teller.tell_all()
        self._upkeep.close()
        self.store.close()

    def held(self) -> Mapping[tuple[str, int], Sequence[int]]:
        """None: rows and positions are committed together."""
        return {}

    def leave_behind(self) -> None:
        """In a forked child: the lock stays the parent's."""
        self.store.leave_behind()

    # ---- the committing thread

    def step(self) -> float | None:
        """Does one piece of work. Returns the seconds until there is more; None: until an offer."""
        with self._lock:
            wait = self._next_s - self._clock()
            taken_in = self.intake.wait_s()
            is_early = wait > 0 and not self._hurries()
        if is_early and taken_in != 0:
            return wait if taken_in is None else min(wait, taken_in)
        if self._upkeep.comes_first():
            return self._upkeep.step()
        if taken_in == 0:
            self.intake.step()
            if self.store.is_durable:
                with self._lock:
                    self._settled = self.store.manifest.acknowledged
            if is_early:
                return 0.0
        with self._lock:
            if not self._seen:
                most = 1 if self._one_by_one else COMMIT_ROWS
                self._in_flight = self._waiting.take(most, COMMIT_BYTES)
            forgotten, ended = frozenset(self._forgotten), frozenset(self._ended)
        try:
            self._work(ended, forgotten)
        except (OSError, MemoryError) as error:
            self._try_later(error)
        except Exception as error:  # what cannot be stored must not keep out all else
            self._refuse(error)
        else:
            self._attempts = 0
            self.trouble = ""
            self.is_full = False
            with self._lock:
                self._ended -= ended
        with self._lock:
            if not self._is_busy():
                self._urgent = self._one_by_one = False
                self._calm.notify_all()
                waits = [COMMIT_S] if self._teller.live else []
                if (taken_in := self.intake.wait_s()) is not None:
                    waits.append(taken_in)
                return min(waits, default=None)
        return 0.0

    def _run(self) -> None:
        while True:
            wait = self.step()
            if wait is None or wait > 0 or self._upkeep.is_urgent():
                pause = self._upkeep.step()
                wait = pause if wait is None else min(wait, pause)
            with self._lock:
                if self._end_at_s is not None:
                    left = self._end_at_s - self._clock()
                    done = not self._is_busy() and self.intake.wait_s() is None
                    if left <= 0 or (self._closing and done):
                        return
                    wait = min(wait, left)
                if (taken_in := self.intake.wait_s()) is not None:
                    wait = min(wait, taken_in)
                if wait > 0 and not self._hurries():
                    self._wake.wait(wait)

    def _work(self, ended: frozenset[str], forgotten: frozenset[str]) -> None:
        self.store.sync()
        if self._seen:
            self._settle(self._seen, frozenset())
            self._seen = []
        if self._in_flight:
            self._commit(self._in_flight)
            self._in_flight = []
        self._teller.tell_the_end(ended | forgotten)  # after the commit: it counts what is stored
        if forgotten:
            self.store.append(SCHEMA.empty_table(), forget=forgotten)
            self._settle([], forgotten)
        self._teller.refresh()

    def _commit(self, items: list[Pending]) -> None:
        before = self.store.manifest.generation
        converted = [convert(item.drained) for item in items if item.drained is not None]
        self._teller.tell(converted)
        tables = [each.table for each in converted]
        counts = SinkLedger()
        spoiled = set(self._settled.spoiled)
        positions: dict[str, dict[int, int]] = {}
        for item in items:
            counts = counts.plus(item.delivered())
            for (uuid, ring), end in item.ends.items():
                positions.setdefault(uuid, {})[ring] = end
            spoiled |= item.spoils()
        try:
            self.store.append(
                pa.concat_tables(tables).unify_dictionaries() if tables else SCHEMA.empty_table(),
                positions,
                self._settled.ledger.plus(counts),
                rings=self._tallies(converted),
                undelivered_in=spoiled,
                filtered=self._filtered,
            )
        except BaseException:
            if self.store.manifest.generation != before:
                self._seen, self._in_flight = items, []
            raise
        self._settle(items, frozenset())
        self._next_s = self._clock() + COMMIT_S

    def _tallies(self, converted: list[Converted]) -> dict[str, dict[int, RingTally]]:
        """What will be stored of each ring that has rows in this commit."""
        known = self.store.manifest.rings
        found: dict[str, dict[int, RingTally]] = {}
        for each in converted:
            for (uuid, ring), tally in each.tallies.items():
                rings = found.setdefault(uuid, {})
                held = rings.get(ring) or known.get(uuid, {}).get(ring)
                rings[ring] = held.plus(tally) if held else tally
        return found

    def _settle(self, items: list[Pending], forgotten: frozenset[str]) -> None:
        with self._lock:
            self._settled = self.store.manifest.acknowledged
            for item in items:
                self._ledger = self._ledger.with_more("delivered", item.events)
                self._ledger = self._ledger.with_more("queued", -item.events)
                item.drained = None
            self._forgotten -= forgotten

    def _try_later(self, error: BaseException) -> None:
        text = str(error) or type(error).__name__
        self.trouble = " ".join(text.split())[:LONGEST_REASON]
        pause = min(
            self._limits.longest_wait_s, self._limits.first_wait_s * 2.0 ** min(self._attempts, 64)
        )
        self._attempts += 1
        self.is_full = is_full(error)
        self._next_s = self._clock() + (min(pause, FULL_S) if self.is_full else pause)
        with self._lock:
            self._waiting.put_back(self._in_flight)
            self._in_flight = []
            self._make_room()
            if self.is_full:
                self._calm.notify_all()

    def _refuse(self, error: Exception) -> None:
        """Of several items the one that cannot be stored is found by trying each alone."""
        reason = f"cannot be stored: {type(error).__name__}: {error}"
        reason = " ".join(reason.split())[:LONGEST_REASON]
        with self._lock:
            items, self._in_flight = self._in_flight, []
            with_events = [item for item in items if item.events]
            if len(with_events) == 1:
                self._given_up(with_events[0], "refused", reason)
            elif with_events:
                self._one_by_one = True
            else:  # it is not for the sake of any event
                self.trouble = reason
                self._attempts += 1
                self._next_s = self._clock() + self._limits.longest_wait_s
            self._waiting.put_back(items)

    # ---- with the lock held

    def _hurries(self) -> bool:
        """Whether a commit is not to wait for its second."""
        much = self._waiting.rows >= COMMIT_ROWS or self._waiting.nbytes >= COMMIT_BYTES
        return not self._attempts and (self._urgent or much)

    def _is_busy(self) -> bool:
        left = self._in_flight or self._seen or self._forgotten or self._ended
        return bool(len(self._waiting) or left)

    def _nbytes(self) -> int:
        return self._waiting.nbytes + sum(item.nbytes for item in self._in_flight)

    def _make_room(self) -> None:
        limits = self._limits
        while self._nbytes() > limits.queue_bytes or self._ledger.queued > limits.queue_events:
            item = self._waiting.oldest_but_one()
            if item is None:
                return
            self._given_up(item, "expired", f"queue full: {self.trouble}".rstrip(": "))
            self._waiting.merge()

    def _given_up(self, item: Pending, what: str, reason: str) -> None:
        events = item.events
        self._waiting.gave_up(item)
        item.give_up(what, reason)
        self._ledger = self._ledger.with_more(what, events, reason).with_more("queued", -events)
