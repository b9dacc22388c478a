"""What a store's owner does between commits: merges files, deletes replaced ones, forgets."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from whence.model.errors import CorruptFile
from whence.store.aging import aging_steps, dropping_steps
from whence.store.compaction import (
    MOST_LIVE,
    Merge,
    live,
    merge_steps,
    next_merge,
)
from whence.store.hidden import asked_to_forget, overdue_number, with_tombstones
from whence.store.links import links_name
from whence.store.manifest import Segment
from whence.store.place import FORGET
from whence.store.replaced import GRACE_S, due
from whence.store.retention import Limits, Retention, limits_of, too_much, too_old
from whence.store.rewriting import DamagedInput
from whence.store.shipped import marked, told_shipped

if TYPE_CHECKING:
    from whence.store.folder import FolderStore

__all__ = ["Upkeep"]

LOOK_S = 1.0
AFTER_FAILURE_S = 30.0
MARKED_S = 10.0
LATE_S = 600.0  # how long a busy owner leaves replaced files, and requests to forget


class Upkeep:
    """Does the work in steps of some ten milliseconds, in the thread that appends.

    `trouble` says why the last piece of work failed; it is tried again after half a minute, and
    keeps nothing from being appended.
    """

    def __init__(
        self,
        store: FolderStore,
        clock: Callable[[], float] = time.monotonic,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.trouble = ""
        self.merges = 0
        self._store = store
        self._clock = clock
        self._clock_ns = clock_ns
        self._wall_ns = wall_ns
        self._taken_in_s = clock()
        self._retention = Retention(store.manifest, wall_ns, clock_ns)
        self._grace_s = GRACE_S
        self._marked_s = clock() - MARKED_S
        self._under_way: Iterator[None] | None = None
        self._merge: Merge | None = None
        self._left_alone: frozenset[str] = frozenset()
        self._aged: frozenset[str] = frozenset()
        self._planned_for = -1
        self._next_s = clock()

    def comes_first(self) -> bool:
        """Whether so many files wait to be merged that appending more has to wait."""
        if live(self._store.manifest) < MOST_LIVE or self._waits_s() > 0:
            return False
        return (
            self._under_way is not None
            or next_merge(self._store.manifest, self._left_alone) is not None
        )

    def is_urgent(self) -> bool:
        """Whether a step is due even while there is more to append: something is to be forgotten.

        What was forgotten an hour ago and is still in files goes before all else, so that its bytes
        are gone within a day, however busy the store is.
        """
        if self._waits_s() > 0:
            return False
        if self._is_overdue() or due(self._store.manifest, self._clock_ns, LATE_S):
            return True
        is_long_ago = self._clock() - self._taken_in_s > LATE_S
        return is_long_ago and bool(asked_to_forget(self._store.path))

    def step(self) -> float:
        """Does a piece of work, if there is any. Returns the seconds until the next. No OSError."""
        if (wait_s := self._waits_s()) > 0:
            return wait_s
        try:
            if self._goes_on():
                return 0.0
        except DamagedInput as error:
            self._without(error)
            return 0.0
        except (OSError, MemoryError) as error:
            self._failed(error)
            return AFTER_FAILURE_S
        except (pa.ArrowException, CorruptFile, ValueError, KeyError, TypeError) as error:
            if self._merge is not None:  # these files cannot be merged: appending goes on
                self._left_alone |= {each.name for each in self._merge.inputs}
            self._failed(error)
            return AFTER_FAILURE_S
        self.trouble = ""
        self._next_s = self._clock() + LOOK_S
        return LOOK_S

    def finish(self, *, all_days: bool = False) -> None:
        """Does all there is to do now, but waits for nothing. Raises OSError and the like."""
        going_on = True
        while going_on:
            try:
                going_on = self._goes_on(all_days=all_days)
            except DamagedInput as error:
                self.close()
                self._store.set_aside(error.segment, error.why)

    def purge(self) -> None:
        """Does all there is to do, and deletes replaced files without waiting. As finish()."""
        self.finish()
        self._grace_s = 0.0
        self.finish()

    def close(self) -> None:
        """Gives up what is under way: nothing of it is seen."""
        if isinstance(self._under_way, Generator):
            self._under_way.close()
        self._under_way = self._merge = None

    def _overdue(self) -> int:
        """Up to which tombstone files are to be rewritten before all else."""
        manifest = self._store.manifest
        newest = max((int(e.get("number", 0)) for e in manifest.tombstones[-1:]), default=0)
        if all(each.cleared >= newest for each in manifest.files):
            return 0
        return overdue_number(manifest.tombstones, self._wall_ns())

    def _is_overdue(self) -> bool:
        number = self._overdue()
        return any(each.cleared < number for each in self._store.manifest.files)

    def _waits_s(self) -> float:
        return 0.0 if self._under_way is not None else self._next_s - self._clock()

    def _goes_on(self, *, all_days: bool = False) -> bool:
        """Whether there was anything to do."""
        if self._under_way is not None:
            try:
                next(self._under_way)
            except StopIteration:
                self.merges += self._merge is not None
                self._under_way = self._merge = None
            return True
        if self._drop() or self._take_in() or self._delete_replaced():
            return True
        if self._mark():
            return True
        planned = self._planned_for == self._store.manifest.generation
        if planned and not all_days and not self._is_overdue():
            return False
        self._merge = next_merge(
            self._store.manifest, self._left_alone, all_days=all_days, overdue=self._overdue()
        )
        if self._merge is None:
            self._planned_for = self._store.manifest.generation
            return False
        self._under_way = merge_steps(self._store, self._merge)
        return True

    def _take_in(self) -> bool:
        """Takes into the manifest what others asked to forget."""
        self._taken_in_s = self._clock()
        asked = asked_to_forget(self._store.path)
        if not asked:
            return False
        manifest = self._store.manifest
        wanted = with_tombstones(manifest.tombstones, [e for each in asked.values() for e in each])
        if wanted != manifest.tombstones:
            self._store.commit(replace(manifest, tombstones=wanted))
        for name in asked:
            self._store.disk.unlink(self._store.path / FORGET / name)
        return True

    def _mark(self) -> bool:
        """Takes into the manifest which places have copies; not while files are being merged."""
        if self._clock() - self._marked_s < MARKED_S:
            return False
        self._marked_s = self._clock()
        manifest = marked(self._store.manifest, told_shipped(self._store.path))
        if manifest is self._store.manifest:
            return False
        self._store.commit(manifest)
        return True

    def _drop(self) -> bool:
        """Begins to give up what is too old, or one day of what is too much."""
        manifest = self._store.manifest
        if limits_of(manifest) == Limits():
            return False
        if not self._retention.is_kept(manifest):
            self._store.commit_freeing(self._retention.kept(manifest))
            return True
        old = too_old(manifest, self._retention.now_ns())
        if old and frozenset(each.name for each in old) != self._aged:
            self._under_way = self._aging(old)
        elif much := too_much(manifest):
            self._under_way = dropping_steps(self._store, much, "size", self._retention.kept)
        return self._under_way is not None

    def _aging(self, old: Sequence[Segment]) -> Iterator[None]:
        """What stays of old days is looked at again once these are others."""
        left = yield from aging_steps(self._store, old, self._retention.kept)
        if left is not None:
            self._aged = left

    def _delete_replaced(self) -> bool:
        """First out of the manifest, then off the disk: what a kill leaves is swept away."""
        manifest = self._store.manifest
        # on a full disk nothing waits for readers: they read the manifest again
        gone = due(manifest, self._clock_ns, 0.0 if self._store.is_full else self._grace_s)
        if not gone:
            return False
        names = {each.name for each in gone}
        kept = tuple(each for each in manifest.replaced if each.name not in names)
        self._store.commit_freeing(replace(manifest, replaced=kept))
        for name in sorted(names):
            self._store.disk.unlink(self._store.path / name)
            if (links := self._store.path / links_name(name)).exists():
                self._store.disk.unlink(links)
        self._store.reserve()
        return True

    def _without(self, error: DamagedInput) -> None:
        self.close()
        try:
            self._store.set_aside(error.segment, error.why)
        except OSError as failure:
            self._failed(failure)

    def _failed(self, error: BaseException) -> None:
        self.close()
        self.trouble = " ".join(str(error).split()) or type(error).__name__
        self._next_s = self._clock() + AFTER_FAILURE_S
