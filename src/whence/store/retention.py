"""What is too old for a store, or too much, and the time by which that is said."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeGuard

from whence.store.manifest import Manifest, Segment
from whence.store.replaced import boot_id
from whence.store.segment import DAY_NS
from whence.store.shipped import places_of

__all__ = [
    "Cut",
    "Drop",
    "Limits",
    "Retention",
    "cut_of",
    "day_text",
    "dropped_before_ns",
    "limits_of",
    "oldest_day",
    "too_much",
    "too_old",
    "without",
]

HOUR_NS = 3_600_000_000_000
PACE = 24  # a wall clock that was set ahead is followed by a day an hour
MOST_DAYS_TOLD = 400
MOST_CUT = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much is kept; None for without end."""

    days: float | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """Files that are to go, and why: "age" or "size".

    By age what goes on later stays of them. With `cut`, the ids of requests and traces that other
    files have events of, all of it goes; None for ids that are not known.
    """

    files: tuple[Segment, ...]
    why: str
    cut: Collection[str] | None = ()


class Cut(NamedTuple):
    """Which requests and traces a store has only a part of, by its limits.

    Those of these ids, and maybe ones that began before `before_ns`.
    """

    ids: frozenset[str] = frozenset()
    before_ns: int | None = None


def limits_of(manifest: Manifest) -> Limits:
    """The limits that the store has."""
    days, size = (manifest.settings.get(name) for name in ("keep_days", "keep_bytes"))
    return Limits(
        float(days) if isinstance(days, int | float) and days > 0 else None,
        size if isinstance(size, int) and size > 0 else None,
    )


def too_old(manifest: Manifest, now_ns: int) -> tuple[Segment, ...]:
    """The files of days whose last event is older than the limit.

    Without those that some place has no copy of which others were shipped to.
    """
    limits = limits_of(manifest)
    if limits.days is None:
        return ()
    cutoff_ns = now_ns - int(limits.days * DAY_NS)
    if all(each.max_ts >= cutoff_ns for each in manifest.files):
        return ()
    places = set(places_of(manifest))
    old = [
        each
        for _, files in sorted(_days(manifest).items())
        if all(each.max_ts < cutoff_ns for each in files)
        for each in files
    ]
    return tuple(each for each in old if places <= set(each.shipped))


def too_much(manifest: Manifest) -> tuple[Segment, ...]:
    """The files of the oldest day, if all are larger than the limit.

    Of a single day that is too large the oldest files, but never the newest one.
    """
    limits = limits_of(manifest)
    over = sum(each.all_bytes for each in manifest.files) - limits.bytes if limits.bytes else 0
    if over <= 0 or len(manifest.files) < 2:
        return ()
    days = _days(manifest)
    if len(days) > 1:
        return oldest_day(manifest.files)
    oldest = sorted(manifest.files, key=lambda each: each.max_ts)[:-1]
    gone = []
    while oldest and over > 0:
        gone.append(oldest.pop(0))
        over -= gone[-1].all_bytes
    return tuple(gone)


def oldest_day(files: Collection[Segment]) -> tuple[Segment, ...]:
    """Those of the oldest day that any of them is of."""
    day = min(each.min_ts // DAY_NS for each in files)
    return tuple(each for each in files if each.min_ts // DAY_NS == day)


def without(manifest: Manifest, drop: Drop, left: Mapping[str, int] | None = None) -> Manifest:
    """The manifest that tells what was dropped; `left` are the rows that stay, by file.

    It still has the files: see FolderStore.exchange().
    """
    left = left or {}
    places = set(places_of(manifest))
    before = manifest.dropped
    rows = {each.name: each.rows - left.get(each.name, 0) for each in drop.files}
    unshipped = sum(rows[e.name] for e in drop.files if not places <= set(e.shipped))
    days = dict(before.get("days", {}))
    for each in drop.files:
        day = day_text(each.min_ts)
        days[day] = days.get(day, 0) + rows[each.name]
    count = sum(rows.values())
    whole = [each for each in drop.files if not left.get(each.name)]
    dropped: dict[str, Any] = {
        **before,
        "rows": before.get("rows", 0) + count,
        "bytes": before.get("bytes", 0) + sum(each.all_bytes for each in whole),
        "files": before.get("files", 0) + len(whole),
        "unshipped_rows": before.get("unshipped_rows", 0) + unshipped,
        f"rows_by_{drop.why}": before.get(f"rows_by_{drop.why}", 0) + count,
        "before_ns": max(before.get("before_ns", 0), *(each.max_ts + 1 for each in drop.files)),
        "days": dict(sorted(days.items())[-MOST_DAYS_TOLD:]),
        **_cut(manifest, drop),
    }
    return replace(manifest, dropped=dropped)


def cut_of(manifest: Manifest) -> Cut:
    """What the store knows of what its limits cut."""
    before_ns = manifest.dropped.get("cut_before_ns", dropped_before_ns(manifest))
    return Cut(frozenset(map(str, manifest.dropped.get("cut", ()))), before_ns or None)


def _cut(manifest: Manifest, drop: Drop) -> dict[str, Any]:
    """By size some day's last requests are cut as a rule: the newest thousand are known by name."""
    known = cut_of(manifest)
    before_ns, cut = known.before_ns or 0, list(manifest.dropped.get("cut", ()))
    cut += sorted(set(drop.cut or ()) - known.ids)
    if drop.cut is None or drop.why != "age" or len(cut) > MOST_CUT:
        before_ns = max(before_ns, *(each.max_ts + 1 for each in drop.files))
    return {"cut_before_ns": before_ns, "cut": cut[-MOST_CUT:]}


def dropped_before_ns(manifest: Manifest) -> int | None:
    """Up to when events were dropped; None if none ever was."""
    before = manifest.dropped.get("before_ns")
    return before if isinstance(before, int) and manifest.dropped.get("rows") else None


def day_text(wall_ns: int) -> str:
    """The UTC day of a moment."""
    day = _EPOCH + timedelta(days=wall_ns // DAY_NS)
    return day.strftime("%Y-%m-%d").rjust(10, "0")


class Retention:
    """The time by which a store's days grow old: it follows the wall clock, but does not jump.

    It goes on with the time since the machine started. When the wall clock is ahead of it by more
    than an hour, it catches up at a day an hour: a clock that was set to next year drops one day
    in an hour, for as long as nobody sets it right, and then none. When the wall clock is behind,
    it goes back at once. The manifest keeps how far it was, so that it goes on over restarts.
    """

    def __init__(
        self,
        manifest: Manifest,
        wall_ns: Callable[[], int] = time.time_ns,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_ns = wall_ns
        self._clock_ns = clock_ns
        self._at_ns = clock_ns()
        self._now_ns = wall_ns()
        kept = manifest.dropped.get("clock")
        if _is_clock(kept):
            now_ns, boot, at_ns = kept["now_ns"], kept["boot"], kept["monotonic_ns"]
            same = boot == boot_id() and at_ns <= self._at_ns
            self._now_ns, self._at_ns = now_ns, at_ns if same else self._at_ns

    @property
    def lag_ns(self) -> int:
        """How far the wall clock is ahead."""
        return self._wall_ns() - self.now_ns()

    def now_ns(self) -> int:
        """The time by which days grow old."""
        at_ns, wall_ns = self._clock_ns(), self._wall_ns()
        passed_ns = max(0, at_ns - self._at_ns)
        self._at_ns = at_ns
        self._now_ns += passed_ns
        ahead_ns = wall_ns - self._now_ns
        if ahead_ns <= HOUR_NS:
            self._now_ns = wall_ns
        else:
            self._now_ns += min(ahead_ns, (PACE - 1) * passed_ns)
        return self._now_ns

    def kept(self, manifest: Manifest) -> Manifest:
        """The manifest that says how far this time is."""
        clock = {"now_ns": self.now_ns(), "boot": boot_id(), "monotonic_ns": self._at_ns}
        return replace(manifest, dropped={**manifest.dropped, "clock": clock})

    def is_kept(self, manifest: Manifest) -> bool:
        """Whether the manifest says so well enough: of this start of the machine, of this day."""
        kept = manifest.dropped.get("clock")
        if not _is_clock(kept) or kept["boot"] != boot_id():
            return False
        return abs(self.now_ns() - int(kept["now_ns"])) < DAY_NS // 4


def _is_clock(value: Any) -> TypeGuard[dict[str, Any]]:
    if not isinstance(value, Mapping):
        return False
    return all(type(value.get(n)) is int for n in ("now_ns", "monotonic_ns")) and isinstance(
        value.get("boot"), str
    )


def _days(manifest: Manifest) -> dict[int, list[Segment]]:
    days: dict[int, list[Segment]] = {}
    for each in manifest.files:
        days.setdefault(each.min_ts // DAY_NS, []).append(each)
    return days
