"""Readings of many sessions' counters, taken one after the other; sessions come and go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from whence._native import Batch
from whence.collect.collectors import collectors_in
from whence.collect.counters import CounterReader, SessionCounters
from whence.collect.gates import KindGate, read_gates
from whence.collect.positions import read_sinks
from whence.model.errors import WhenceError

__all__ = ["Collected", "LiveSessions", "Reading", "collected_in"]


class Collected(NamedTuple):
    """How far the sink that is furthest behind has come, and how many events sinks have missed.

    `tickets` are the next ones to deliver, by session (uuid) and ring. `lost` is None where no
    collector runs at present.
    """

    tickets: Mapping[str, Mapping[int, int]]
    lost: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What all sessions said at one moment of the wall clock.

    `gates` are those of live sessions, by name. `collected` is None where nobody collects.
    """

    wall_ns: int
    sessions: tuple[SessionCounters, ...] = ()
    gates: Mapping[str, tuple[KindGate, ...]] = field(default_factory=dict)
    collected: Collected | None = None


class LiveSessions:
    """Follows the sessions that `find` names, asked anew for each reading. One thread at a time.

    A session that cannot be read is left out until it can be.
    """

    def __init__(
        self,
        find: Callable[[], Iterable[Path]],
        clock: Callable[[], int] = time.time_ns,
        collected: Callable[[Iterable[Path]], Collected | None] | None = None,
    ) -> None:
        """`collected` is asked how far collectors are, with the folders that hold the sessions;
        by default their state files there are read."""
        self._find = find
        self._collected = collected or collected_in
        self._clock = clock
        self._readers: dict[Path, CounterReader] = {}

    def read(self) -> Reading:
        """The counters of every session there is now."""
        self._open_and_close()
        sessions = []
        gates = {}
        for path, reader in list(self._readers.items()):
            try:
                sessions.append(reader.read())
            except (WhenceError, OSError):
                del self._readers[path]
                continue
            if reader.info.live:
                gates[reader.info.name] = _gates(path)
        return Reading(
            wall_ns=self._clock(),
            sessions=tuple(sessions),
            gates=gates,
            collected=self._collected({path.parent for path in self._readers}),
        )

    def tails(self, most: int) -> tuple[list[Batch], bool]:
        """The events of every session since the last call, at most `most` of each ring.

        True: some were left out.
        """
        found = [reader.tail(most) for reader in self._readers.values()]
        return [batch for batch, _ in found if len(batch)], any(more for _, more in found)

    def _open_and_close(self) -> None:
        paths = list(self._find())
        for gone in self._readers.keys() - set(paths):
            del self._readers[gone]
        for path in paths:
            if path not in self._readers:
                try:
                    self._readers[path] = CounterReader(path)
                except (WhenceError, OSError):
                    continue


def collected_in(folders: Iterable[Path]) -> Collected | None:
    """What the collectors say that keep their state files in these folders."""
    collectors = collectors_in(folders, (), ())
    if not collectors:
        return None
    tickets: dict[str, dict[int, int]] = {}
    for collector in collectors:
        for state in read_sinks(Path(collector.path)).values():
            _take_least(tickets, state.positions)
    missed = [
        sink.ledger.lost
        for collector in collectors
        if collector.running
        for sink in collector.sinks
    ]
    return Collected(tickets, max(missed, default=None))


def _take_least(
    least: dict[str, dict[int, int]], positions: Mapping[str, Mapping[int, int]]
) -> None:
    for uuid, rings in positions.items():
        known = least.setdefault(uuid, {})
        for ring, ticket in rings.items():
            known[ring] = min(known.get(ring, ticket), ticket)


def _gates(path: Path) -> tuple[KindGate, ...]:
    try:
        return read_gates(path).kinds
    except (WhenceError, OSError):
        return ()
