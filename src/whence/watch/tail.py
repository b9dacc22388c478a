"""Tail: the events that a store gains, told once each, in the order in which they were stored."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from whence.model.event import TraceEvent
from whence.model.query import TraceQuery
from whence.query.engines.declared_order import in_declared_order
from whence.query.engines.known import Known
from whence.query.engines.shapes import PageKey
from whence.store.columns import SCHEMA, events_of
from whence.store.folder import FolderStore
from whence.store.hidden import Hidden
from whence.store.manifest import Segment
from whence.store.memory import MemoryStore
from whence.watch.growth import Stage, growth_of, hidden_in
from whence.watch.reached import Reached, short

__all__ = ["BEGINNING", "NOW", "Tail", "Told"]

NOW = ""
BEGINNING = "beginning"
PIECE_ROWS = 1_000
LOOK_S = 0.25
_MOST_EMPTY = 64  # pieces without a match that one poll() looks through
_MOST = 2**64 - 1
_REPLACED_TRIES = 4
_NO_ROWS = SCHEMA.empty_table()


class Told(NamedTuple):
    """Events in the order in which they came, with their wall times.

    `token` goes on behind them. `more`: there is more already.
    """

    events: tuple[TraceEvent, ...]
    wall_ns: tuple[int, ...]
    token: str
    more: bool = False


class Tail:
    """Follows a store, given as its folder or as a MemoryStore. One thread at a time uses it.

    `after` is where to begin: NOW, BEGINNING, the token of an earlier Told, or the key of a page
    of the oldest first: then with all events behind it. ValueError for anything else, and for the
    token of another store. Raises NotAStore, OSError.

    Every event that matches is told, and but for the cases below once. New is what was committed
    since, whatever its own time is: an event that happened long ago and is stored now is told now.
    Commits come in their order, and events of one commit in that of wall time, session, ring and
    ticket. After a token events may be told a second time (never left out): those of a file that
    was told in part, if it was merged into another one meanwhile. Their ids tell.

    wait() looks at the manifest every `look_s` and reads it only once it has changed; `sleep` may
    end the waiting by returning true.
    """

    def __init__(
        self,
        store: str | os.PathLike[str] | FolderStore | MemoryStore,
        query: TraceQuery | None = None,
        *,
        after: str | PageKey = NOW,
        piece_rows: int = PIECE_ROWS,
        look_s: float = LOOK_S,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.query = query or TraceQuery()
        self.damaged: dict[str, str] = {}
        self._growth = growth_of(store)
        self._piece_rows = piece_rows
        self._look_s = look_s
        self._sleep = sleep
        self._clock = clock
        self._mark: object = self._growth.mark()
        self._stage = self._growth.stage()
        self._known = Known(self._stage.sessions)
        self._hidden = Hidden()
        self._reached = self._begin(after)
        self._pending: list[Segment] = []
        self._fresh: set[str] = set()  # files of which every row is new
        self._rows: Iterator[pa.Table] | None = None
        self._take_stage(self._stage)

    @property
    def token(self) -> str:
        """Goes on behind what was told so far, in another process, too."""
        return self._reached.token

    @property
    def generation(self) -> int:
        """The generation of the store that is being told."""
        return self._stage.manifest.generation

    def poll(self) -> Told:
        """The next events, at most `piece_rows`; none if there is nothing new. Never waits."""
        if not self._pending:
            self._look()
        for _ in range(_MOST_EMPTY):
            table = self._next_rows()
            if table is None:
                break
            if events := self._told(table):
                at, happened = zip(*events, strict=True)
                return Told(happened, at, self.token, bool(self._pending) or self._is_changed())
        return Told((), (), self.token, bool(self._pending))

    def wait(self, timeout_s: float) -> bool:
        """Waits for another generation of the store; whether there is one."""
        end_s = self._clock() + timeout_s
        while not self._pending and not self._is_changed():
            left_s = end_s - self._clock()
            if left_s <= 0 or self._sleep(min(self._look_s, left_s)):
                return False
        return True

    # ---- where it is

    def _begin(self, after: str | PageKey) -> Reached:
        now = _end_of(self._stage)
        if after == NOW:
            return now
        if after == BEGINNING:
            return Reached(store=now.store)
        key = after if isinstance(after, PageKey) else None
        if key is None:
            with suppress(ValueError):
                key = PageKey.parse(str(after))
        if key is not None:
            if key.order != "oldest":
                raise ValueError(f"what follows a page of the {key.order} first is not what is new")
            files = self._stage.manifest.files
            seen = frozenset(short(each.segment) for each in files if each.max_ts < key.wall_ns)
            return replace(now, seen=seen, behind=key)
        reached = Reached.parse(str(after))
        if reached.store != now.store:
            raise ValueError("the token is of another store")
        return reached

    def _is_changed(self) -> bool:
        return self._growth.mark() != self._mark

    def _look(self) -> None:
        mark = self._growth.mark()
        if mark is not None and mark != self._mark:
            self._take_stage(self._growth.stage())
            self._mark = mark

    def _take_stage(self, stage: Stage) -> None:
        """Finds the files of a generation that have anything new."""
        self._stage = stage
        self._known = Known(stage.sessions)
        self._hidden = hidden_in(stage.manifest)
        self._rows = None
        manifest, reached = stage.manifest, self._reached
        made_of: dict[str, list[str]] = {}
        for gone in manifest.replaced:
            made_of.setdefault(gone.by, []).append(gone.segment)

        def is_seen(segment: str) -> bool:
            if short(segment) in reached.seen:
                return True
            return segment in made_of and all(map(is_seen, made_of[segment]))

        there = {short(each.segment) for each in manifest.files}
        there |= {short(gone.segment) for gone in manifest.replaced}
        knows_all = reached.whole and reached.behind is None and reached.seen <= there
        new = [each for each in manifest.files if not is_seen(each.segment)]
        self._pending = sorted((each for each in new if each.level), key=_first_ns)
        self._pending += [each for each in new if not each.level]  # in the order of commits
        self._pending.sort(key=lambda each: short(each.segment) != reached.segment)
        self._fresh = {
            each.segment
            for each in new
            if knows_all and not each.level and each.segment not in made_of
        }
        if not self._pending:
            self._finish()

    def _finish(self) -> None:
        """All that this generation has was told."""
        self._reached = _end_of(self._stage)

    # ---- its rows

    def _next_rows(self) -> pa.Table | None:
        """The next rows, with what is not new among them left out; None at the end."""
        for _ in range(_REPLACED_TRIES):
            if not self._pending:
                return None
            segment = self._pending[0]
            part = short(segment.segment)
            if self._rows is None:
                if self._reached.segment != part:
                    self._reached = replace(self._reached, segment=part, rows=0)
                self._rows = self._growth.rows(
                    self._stage, segment, self._reached.rows, self._piece_rows
                )
            try:
                table = next(self._rows, None)
            except FileNotFoundError:  # replaced by another one, long ago
                self._take_stage(self._growth.stage())
                continue
            except (OSError, pa.ArrowException) as error:
                self.damaged[segment.name] = f"{type(error).__name__}: {error}"
                table = None
            if table is None:
                self._pass(segment)
                return _NO_ROWS
            self._reached = replace(self._reached, rows=self._reached.rows + len(table))
            fresh = segment.segment in self._fresh
            table = table if fresh else self._new_of(table)
            if self._reached.rows >= segment.rows:
                self._pass(segment)
            return table
        return None

    def _pass(self, segment: Segment) -> None:
        self._rows = None
        self._pending.pop(0)
        seen = self._reached.seen | {short(segment.segment)}
        self._reached = replace(self._reached, seen=seen, segment=0, rows=0)
        if not self._pending:
            self._finish()

    def _new_of(self, table: pa.Table) -> pa.Table:
        """The rows whose tickets had not been reached, and those behind the place to begin at."""
        sessions, rings, tickets = (
            table.column(name).to_numpy() for name in ("session", "ring", "ticket")
        )
        ended = set(self._reached.ended)
        new = np.ones(len(table), bool)
        for pair in np.unique(np.stack([sessions, rings.astype(np.int64)]), axis=1).T:
            key, ring = int(pair[0]), int(pair[1])
            here = (sessions == pair[0]) & (rings == pair[1])
            unsigned = key & _MOST
            if unsigned in self._reached.tickets:
                least = self._reached.tickets[unsigned].get(ring & 0xFFFF_FFFF, 0)
                new[here] = tickets[here] >= least
            elif unsigned in ended:
                new[here] = False
        behind = self._reached.behind
        if behind is not None:
            times = table.column("ts_ns").to_numpy()
            later = np.zeros(len(table), bool)
            equal = np.ones(len(table), bool)
            columns = (times, sessions, rings, tickets)
            for column, place in zip(columns, behind[2:], strict=True):
                later |= equal & (column > place)
                equal &= column == place
            new |= later
        return table if new.all() else table.filter(pa.array(new))

    def _told(self, table: pa.Table) -> list[tuple[int, TraceEvent]]:
        table = self._hidden.left_of(_narrowed(table, self.query))
        if not len(table):
            return []
        events = events_of(table, self._known.names)
        walls = table.column("ts_ns").to_pylist()
        kinds = (
            kind for each in self._known.of({e.session for e in events}) for kind in each.kinds
        )
        ordered = in_declared_order(events, kinds)
        pairs = zip(walls, ordered, strict=True)
        return [(wall, event) for wall, event in pairs if self.query.matches(event, wall)]


def _first_ns(segment: Segment) -> int:
    return segment.min_ts


def _end_of(stage: Stage) -> Reached:
    """Where all that a generation has was told."""
    manifest, sessions = stage.manifest, stage.sessions
    keys = {each.info.uuid: key for key, each in sessions.items()}
    tickets = {
        keys[uuid] & _MOST: rings for uuid, rings in manifest.positions.items() if uuid in keys
    }
    ended = [
        each.info
        for key, each in sessions.items()
        if key & _MOST not in tickets and any(ring.recorded for ring in each.rings)
    ]
    ended.sort(key=lambda info: info.started_wall_ns)
    return Reached(
        store=manifest.store,
        generation=manifest.generation,
        seen=frozenset(short(each.segment) for each in manifest.files),
        tickets=tickets,
        ended=tuple(info.key for info in ended),
    )


def _narrowed(table: pa.Table, query: TraceQuery) -> pa.Table:
    """Fewer rows, where plain comparisons tell that the others do not match."""
    for name, wanted in (
        ("event_type", query.spelled_types),
        ("component", query.components),
        ("request_id", query.request_id),
    ):
        if wanted is not None and len(table):
            values = pa.array([wanted] if isinstance(wanted, str) else wanted, pa.string())
            column = table.column(name)
            if pa.types.is_dictionary(column.type):
                column = column.cast(pa.string())
            import pyarrow.compute as pc  # costs 50 ms, and many followers ask for everything

            table = table.filter(pc.is_in(column, value_set=values))
    if query.min_severity is not None and len(table):
        import pyarrow.compute as pc

        table = table.filter(pc.greater_equal(table.column("severity"), int(query.min_severity)))
    return table
