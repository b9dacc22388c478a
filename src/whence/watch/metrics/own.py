"""What our own service does: its store, its lag and losses, its listeners and its questions."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence

from whence.export.openmetrics import Family, Labels, Sample
from whence.export.own_metrics import OwnMetrics
from whence.store.folder import FolderStore
from whence.store.snapshot import Snapshot
from whence.watch.following import Following
from whence.watch.listeners import Listeners
from whence.watch.metrics.instruments import Reading
from whence.watch.metrics.registry import Registry

__all__ = ["ServerMetrics"]


class ServerMetrics:
    """The figures of a service over the store in a folder. One thread at a time.

    `registry` is where its parts put figures of theirs, such as timed() engines; its names may
    begin with whence_. `live` adds those of running processes and collectors. What cannot be read
    now is left out, and `trouble` says why.
    """

    def __init__(
        self,
        store: str | os.PathLike[str],
        *,
        following: Following | None = None,
        listeners: Listeners | None = None,
        live: OwnMetrics | None = None,
        window_s: float = 300.0,
        wall_clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.registry = Registry(window_s=window_s, reserved=())
        self.trouble = ""
        self._path = store
        self._store: FolderStore | None = None
        self._following = following
        self._listeners = listeners or (following.listeners if following else None)
        self._live = live
        self._wall_clock_ns = wall_clock_ns

    def families(self) -> list[Family]:
        """All of them, as of now."""
        found = [*self._store_families(), *self._watch_families(), *self.registry.families()]
        return found + (self._live.families() if self._live else [])

    def readings(self) -> list[Reading]:
        """The same but for those of live processes, as series to keep: one for each sample."""
        found = [
            Reading(family.name, family.type, family.unit, sample.labels, float(sample.value))
            for family in (*self._store_families(), *self._watch_families())
            for sample in family.samples
        ]
        return found + self.registry.read()

    def _store_families(self) -> Iterator[Family]:
        try:
            self._store = self._store or FolderStore(self._path)
            snapshot = self._store.snapshot()
            rings = [ring for each in snapshot.sessions.values() for ring in each.rings]
            self.trouble = snapshot.trouble
        except (OSError, ValueError) as error:
            self.trouble = f"{type(error).__name__}: {error}"
            return
        yield from self._of(snapshot)
        lost = sum(ring.lost for ring in rings)
        help = "Events that were recorded and are not in the store."
        yield _one("whence_store_events_lost", "counter", help, lost)
        help = "Events of which text was overwritten, or cut."
        yield _some(
            "whence_store_events_text_lost",
            "counter",
            help,
            [
                ((("how", "overwritten"),), sum(ring.text_lost for ring in rings)),
                ((("how", "cut"),), sum(ring.truncated for ring in rings)),
            ],
        )

    def _of(self, snapshot: Snapshot) -> Iterator[Family]:
        manifest = snapshot.manifest
        yield _one("whence_store_events", "gauge", "Events in the store.", manifest.rows, "events")
        size = sum(each.bytes for each in manifest.files)
        yield _one("whence_store_bytes", "gauge", "What its files take.", size, "bytes")
        levels = [sum(each.level == level for each in manifest.files) for level in range(3)]
        help = "Files of events, by how often they were merged."
        named = [((("level", str(level)),), count) for level, count in enumerate(levels)]
        yield _some("whence_store_files", "gauge", help, named, "files")
        help = "Commits, merges and what else made another generation."
        yield _one("whence_store_generations", "counter", help, manifest.generation)
        sessions = len(snapshot.sessions)
        yield _one("whence_store_sessions", "gauge", "Processes it knows.", sessions, "sessions")
        damaged = len(manifest.quarantined)
        help = "Files that were found damaged and set aside."
        yield _one("whence_store_quarantined", "gauge", help, damaged)
        dropped = int(manifest.dropped.get("rows", 0))
        help = "Events given up for their age, or for the store's size."
        yield _one("whence_store_events_dropped", "counter", help, dropped)
        ledger = manifest.ledger
        outcomes = ("delivered", "filtered", "refused", "expired")
        help = "Events read for the store, by what became of them."
        counts = [((("outcome", name),), getattr(ledger, name)) for name in outcomes]
        yield _some("whence_store_events_read", "counter", help, counts)
        newest_ns = max((each.max_ts for each in manifest.files), default=None)
        if newest_ns is not None:
            age_s = max(0, self._wall_clock_ns() - newest_ns) / 1e9
            help = "How long ago the newest event happened that is stored."
            yield _one("whence_store_newest_event_age_seconds", "gauge", help, age_s, "seconds")

    def _watch_families(self) -> Iterator[Family]:
        if (following := self._following) is not None:
            help = "Events that were told as they were stored."
            yield _one("whence_followed_events", "counter", help, following.told)
            if following.lag_s is not None:
                help = "How long before it was told the newest event happened."
                lag_s = following.lag_s
                yield _one("whence_follow_lag_seconds", "gauge", help, lag_s, "seconds")
        if (listeners := self._listeners) is not None:
            counts = listeners.counts
            outcomes = ("told", "failed", "dropped")
            help = "Events meant for listeners, by what became of them."
            yield _some(
                "whence_listener_events",
                "counter",
                help,
                [((("outcome", name),), getattr(counts, name)) for name in outcomes],
            )
            help = "Events that wait for listeners."
            yield _one("whence_listener_waiting", "gauge", help, counts.waiting)
            yield _one("whence_listeners", "gauge", "Listeners.", len(listeners.all))


def _one(name: str, kind: str, help: str, value: int | float, unit: str = "") -> Family:
    return Family(name, kind, help, (Sample((), value),), unit)


def _some(
    name: str, kind: str, help: str, values: Sequence[tuple[Labels, int | float]], unit: str = ""
) -> Family:
    return Family(name, kind, help, tuple(Sample(*each) for each in values), unit)
