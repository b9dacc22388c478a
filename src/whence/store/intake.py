"""Intake: what comes from outside becomes rows of a store, each once, and is told when it is."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whence.model.errors import StoreBusy, StoreFull, StoreOwned
from whence.store.columns import SCHEMA
from whence.store.folder import FolderStore
from whence.store.known_ids import KnownIds
from whence.store.manifest import RingTally
from whence.store.outside import overflow_session
from whence.store.owned_folder import is_full
from whence.store.sessions import StoredSession, with_tallies

__all__ = ["Intake", "IntakeCounts", "IntakeLimits", "Receipt"]

RING = 0
COMMIT_ROWS = 262_144
TRY_AGAIN_S = 1.0
FULL_S = 10.0
_CRITICAL = 4
_FILLED = ("session", "ring", "ticket", "offset_ns")
_GIVEN = pa.schema(each for each in SCHEMA if each.name not in _FILLED)


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """How much waits to be committed, for how long, how often, and of how many resources."""

    queue_bytes: int = 64 << 20
    wait_s: float = 10.0
    pause_s: float = 0.1
    """Commits follow each other no closer: what comes meanwhile goes into the next one."""
    most_sessions: int = 1_000
    """Beyond it rows of a new resource go into the overflow session of their kind of source."""


class Receipt(NamedTuple):
    """What became of some rows: durable, all of them, when this is given out."""

    stored: int
    duplicates: int
    generation: int
    overflowed: int = 0


class IntakeCounts(NamedTuple):
    """What became of all rows since the store was opened; `refused` were never taken."""

    stored: int = 0
    duplicates: int = 0
    overflowed: int = 0
    refused: int = 0
    commits: int = 0


@dataclass
class _Item:
    parts: Sequence[tuple[pa.Table, StoredSession]]
    nbytes: int
    rows: int
    future: Future[Receipt] = field(default_factory=Future)


class _Told(NamedTuple):
    """What a commit that is done, or in doubt, will answer."""

    item: _Item
    receipt: Receipt


class Intake:
    """Takes tables of events from any thread; the thread that owns the store commits them.

    Several wait for one commit. A row whose `event_id` is in the store already is a duplicate: it
    is counted, and stored no second time (whence.store.known_ids says how far that looks). What was
    acknowledged is on the disk; what was not may be sent again.
    """

    def __init__(
        self,
        store: FolderStore,
        lock: threading.Lock,
        wake: Callable[[], None],
        clock: Callable[[], float],
        limits: IntakeLimits | None = None,
    ) -> None:
        self.limits = limits or IntakeLimits()
        self._store = store
        self._lock = lock
        self._wake = wake  # called with the lock held
        self._clock = clock
        self._known = KnownIds(store.path)
        self._waiting: deque[_Item] = deque()
        self._nbytes = 0  # of those that wait and those in flight
        self._pending: list[_Told] = []  # of the commit under way
        self._seen: list[_Told] = []  # readers see them; whether they are durable is not known
        self._sessions: dict[str, StoredSession] = {}
        self._next_s = clock()
        self._closed = ""
        self._counts = IntakeCounts()

    # ---- any thread

    def put(self, rows: pa.Table, session: StoredSession) -> Receipt:
        """Stores rows of one session, and returns once they are durable. Raises as put_all()."""
        return self.put_all([(rows, session)])

    def put_all(self, parts: Sequence[tuple[pa.Table, StoredSession]]) -> Receipt:
        """Stores rows of several sessions in one commit, and returns once they are durable.

        Raises as offer(), and StoreBusy after `limits.wait_s` without an answer.
        """
        future = self.offer(parts)
        try:
            return future.result(self.limits.wait_s)
        except TimeoutError:
            if future.done() and not future.cancelled():
                return future.result()
            future.cancel()
            raise StoreBusy("the store has not answered in time", TRY_AGAIN_S) from None

    def offer(self, parts: Sequence[tuple[pa.Table, StoredSession]]) -> Future[Receipt]:
        """Queues rows for the next commit; the future has the receipt once they are durable.

        The tables have the columns of whence.store.columns, in any order of rows, but for
        session, ring, ticket and offset_ns, which are filled in here: `ts_ns` is wall time and the
        event's own. Sessions are best made by whence.store.outside. Raises StoreBusy while the
        queue is full, StoreOwned once the store is given up, ValueError or KeyError for other
        tables. The future raises these, and StoreFull.
        """
        checked = [(_checked(rows), session) for rows, session in parts]
        item = _Item(
            checked,
            sum(rows.nbytes for rows, _ in checked),
            sum(len(rows) for rows, _ in checked),
        )
        with self._lock:
            if self._closed:
                raise StoreOwned(self._closed)
            if self._nbytes and self._nbytes + item.nbytes > self.limits.queue_bytes:
                self._count(refused=item.rows)
                raise StoreBusy("too much waits to be stored", TRY_AGAIN_S)
            if not item.rows:
                item.future.set_result(Receipt(0, 0, self._store.manifest.generation))
                return item.future
            self._waiting.append(item)
            self._nbytes += item.nbytes
            self._wake()
        return item.future

    @property
    def counts(self) -> IntakeCounts:
        """What became of everything so far."""
        with self._lock:
            return self._counts

    @property
    def queued_bytes(self) -> int:
        """What waits to be committed."""
        with self._lock:
            return self._nbytes

    # ---- the committing thread, with the lock held

    def wait_s(self) -> float | None:
        """Seconds until there is something to commit; None while nothing waits."""
        if not self._waiting and not self._seen:
            return None
        return max(0.0, self._next_s - self._clock())

    # ---- the committing thread

    def step(self) -> None:
        """Commits what waits, and answers. Raises nothing: whoever put it in is told."""
        with self._lock:
            items: list[_Item] = []
            rows = 0
            while not self._seen and self._waiting and rows < COMMIT_ROWS:
                item = self._waiting.popleft()
                if item.future.set_running_or_notify_cancel():
                    items.append(item)
                    rows += item.rows
                else:
                    self._nbytes -= item.nbytes
        self._next_s = self._clock() + self.limits.pause_s
        try:
            self._store.sync()
        except OSError as error:
            self._next_s = self._clock() + TRY_AGAIN_S
            self._fail(items, self._named(error))
            return
        self._answer(self._seen)
        self._seen = []
        if items:
            self._take(items)

    def close(self, why: str) -> None:
        """Takes nothing more, and tells all that still wait."""
        with self._lock:
            self._closed = why
            items = list(self._waiting)
            self._waiting.clear()
        self._fail([each for each in items if each.future.set_running_or_notify_cancel()], None)
        seen, self._seen = self._seen, []
        self._fail([told.item for told in seen], None)

    def refuse_more(self, why: str) -> None:
        """Takes nothing more; what waits may still be committed. With the lock held."""
        self._closed = self._closed or why

    def _take(self, items: list[_Item]) -> None:
        before = self._store.manifest.generation
        told: list[_Told] = []
        try:
            told = self._commit(items)
        except (OSError, MemoryError) as error:
            if self._store.manifest.generation != before:
                self._seen, self._next_s = self._pending, self._clock() + TRY_AGAIN_S
                return
            self._fail(items, self._named(error))
        except Exception as error:  # one that cannot be stored must not keep out the others
            if len(items) == 1:
                self._fail(items, error)
            else:
                for item in items:
                    self._take([item])
        else:
            self._answer(told)

    def _commit(self, items: list[_Item]) -> list[_Told]:
        parts = [
            (number, rows, self._session(session))
            for number, item in enumerate(items)
            for rows, session in item.parts
            if len(rows)
        ]
        table = pa.concat_tables([rows for _, rows, _ in parts]).unify_dictionaries()
        lengths = [len(rows) for _, rows, _ in parts]
        times_ns = table.column("ts_ns").to_numpy()
        ids = _one_array(table.column("event_id"))
        new = _first_ones(ids)
        new[new] = ~self._known.among(
            self._store.manifest, ids.filter(pa.array(new)), times_ns[new]
        )
        kept = int(np.count_nonzero(new))
        counted = np.zeros(len(items), np.int64)
        over = np.zeros(len(items), np.int64)
        ends = np.cumsum(lengths)
        for (number, rows, (_, overflows)), end in zip(parts, ends, strict=True):
            stored = int(np.count_nonzero(new[end - len(rows) : end]))
            counted[number] += stored
            over[number] += stored if overflows else 0
        generation = self._store.manifest.generation + (1 if kept else 0)
        told = self._pending = [
            _Told(item, Receipt(int(stored), item.rows - int(stored), generation, int(more)))
            for item, stored, more in zip(items, counted, over, strict=True)
        ]
        files = len(self._store.manifest.files)
        if kept:
            sessions = [session for _, _, (session, _) in parts]
            self._append(table, new, np.repeat(np.arange(len(parts)), lengths), sessions)
            made = self._store.manifest.files[files:]
            self._known.add(ids.filter(pa.array(new)), {each.segment for each in made})
        return told

    def _append(
        self,
        table: pa.Table,
        new: NDArray[np.bool_],
        part_of: NDArray[np.intp],
        sessions: Sequence[StoredSession],
    ) -> None:
        """Gives the new rows their places, tells of their sessions, and commits."""
        manifest = self._store.manifest
        if not new.all():
            table, part_of = table.filter(pa.array(new)), part_of[new]
        times_ns = table.column("ts_ns").to_numpy()
        tickets = np.zeros(len(table), np.int64)
        keys = np.zeros(len(table), np.int64)
        positions: dict[str, dict[int, int]] = {}
        tallies: dict[str, dict[int, RingTally]] = {}
        uuids = np.array([session.info.uuid for session in sessions])[part_of]
        for session in {each.info.uuid: each for each in sessions}.values():
            rows = np.flatnonzero(uuids == session.info.uuid)
            if not len(rows):
                continue
            uuid = session.info.uuid
            first = manifest.positions.get(uuid, {}).get(RING, 0)
            tickets[rows] = np.arange(first, first + len(rows))
            keys[rows] = _signed(session.info.key)
            tally = RingTally(len(rows), int(times_ns[rows].min()), int(times_ns[rows].max()))
            held = manifest.rings.get(uuid, {}).get(RING)
            positions[uuid] = {RING: first + len(rows)}
            tallies[uuid] = {RING: held.plus(tally) if held else tally}
            self._tell(session, positions[uuid], tallies[uuid])
        filled = {
            "offset_ns": pa.array(np.zeros(len(table), np.int64)),
            "session": pa.array(keys),
            "ring": pa.array(np.full(len(table), RING, np.int32)),
            "ticket": pa.array(tickets),
        }
        columns = [filled.get(name) or table.column(name) for name in SCHEMA.names]
        self._store.append(pa.Table.from_arrays(columns, schema=SCHEMA), positions, rings=tallies)

    def _session(self, session: StoredSession) -> tuple[StoredSession, bool]:
        """The session that rows go to, and whether that is not their own."""
        known = self._store.manifest.positions
        many = len(known) + len(self._sessions.keys() - known.keys()) >= self.limits.most_sessions
        if many and session.info.uuid not in known and session.info.uuid not in self._sessions:
            return overflow_session(session.info.run), True
        return session, False

    def _tell(
        self, session: StoredSession, position: dict[int, int], tally: dict[int, RingTally]
    ) -> None:
        """Writes what is known of a session, before its first rows or where there is more."""
        if self._sessions.get(session.info.uuid) != session:
            self._store.put_session(with_tallies(session, position, tally))
            self._sessions[session.info.uuid] = session

    def _answer(self, told: Sequence[_Told]) -> None:
        with self._lock:
            self._nbytes -= sum(each.item.nbytes for each in told)
            for _, receipt in told:
                self._count(receipt.stored, receipt.duplicates, receipt.overflowed)
            self._count(commits=1 if told else 0)
        for item, receipt in told:
            item.future.set_result(receipt)

    def _fail(self, items: Sequence[_Item], error: Exception | None) -> None:
        with self._lock:
            self._nbytes -= sum(item.nbytes for item in items)
            self._count(refused=sum(item.rows for item in items))
        for item in items:
            item.future.set_exception(error or StoreOwned(self._closed))

    def _named(self, error: BaseException) -> Exception:
        reason = " ".join((str(error) or type(error).__name__).split())
        if self._store.is_lost:
            return StoreOwned(f"{self._store.name} is not this process's any more")
        if is_full(error):
            return StoreFull(f"there is no room: {reason}", FULL_S)
        return StoreBusy(f"cannot be stored now: {reason}", TRY_AGAIN_S)

    def _count(
        self,
        stored: int = 0,
        duplicates: int = 0,
        overflowed: int = 0,
        refused: int = 0,
        commits: int = 0,
    ) -> None:
        more = (stored, duplicates, overflowed, refused, commits)
        self._counts = IntakeCounts(*map(sum, zip(self._counts, more, strict=True)))


def _checked(rows: pa.Table) -> pa.Table:
    """The rows with exactly the columns that are given. Raises ValueError, KeyError."""
    rows = rows.select(_GIVEN.names)
    if not rows.schema.equals(_GIVEN):
        try:
            rows = rows.cast(_GIVEN)
        except pa.ArrowException as error:
            raise ValueError(f"no rows of a store: {error}") from None
    for column in _GIVEN:
        if not column.nullable and rows.column(column.name).null_count:
            raise ValueError(f"{column.name} must be told of every row")
    import pyarrow.compute as pc  # costs 50 ms, and not every owner takes anything in

    levels = pc.min_max(rows.column("severity"))
    if len(rows) and not 0 <= levels["min"].as_py() <= levels["max"].as_py() <= _CRITICAL:
        raise ValueError("severity must be from 0 to 4")
    return rows


def _one_array(column: pa.ChunkedArray) -> pa.StringArray:
    found = column.combine_chunks()
    return pa.concat_arrays(found.chunks) if isinstance(found, pa.ChunkedArray) else found


def _first_ones(ids: pa.StringArray) -> NDArray[np.bool_]:
    """Which rows are the first of their id; all that have none."""
    first = np.ones(len(ids), dtype=bool)
    if ids.null_count == len(ids):
        return first
    codes = ids.dictionary_encode().indices
    import pyarrow.compute as pc

    if len(pc.unique(codes)) - (1 if ids.null_count else 0) == len(ids) - ids.null_count:
        return first
    numbers = codes.fill_null(-1).to_numpy()
    _, firsts = np.unique(numbers, return_index=True)
    first[:] = numbers == -1
    first[firsts] = True
    return first


def _signed(number: int) -> int:
    return number - 2**64 if number >= 1 << 63 else number
