"""Follows the sessions of some folders: one bounded step after another drains what is new."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from whence._native import Batch
from whence.collect.session_reader import SessionReader
from whence.collect.sink import Drained
from whence.model.errors import WhenceError
from whence.model.recording import Damage, SessionInfo
from whence.ring.session_file import is_recording

__all__ = ["Ended", "Follower", "Place", "Positions", "Source", "Span", "Step"]

Place = tuple[str, int]  # a session's uuid and a ring
Positions = Mapping[str, Mapping[int, int]]  # by uuid and ring: the next ticket
Span = tuple[int, int]  # of a ring: the tickets before and after a step

UNSEEN = -1  # stands for the rings that were removed before they could be read
REFRESH_S = 10.0  # how old a session's anchors may become
DISCOVER_S = 0.05  # steps that follow each other at once look for new sessions no more often


class Step(NamedTuple):
    """What one step drained; `more` says that the next step need not wait."""

    drained: Drained
    spans: Mapping[Place, Span]
    more: bool = False


class Ended(NamedTuple):
    """A session that will give no more: its process is dead and its rings are drained."""

    info: SessionInfo
    ends: Mapping[int, int]
    whole: bool  # every ring could be read, and its folder is still there


class Source(Protocol):
    """What a pipeline drains: the sessions of a machine, or this process's own rings."""

    def step(self, most_events: int, *, spare_dead: bool = False) -> Step:
        """What is new, at most that many events; with `spare_dead` of living processes alone."""
        ...

    def pressure(self) -> float:
        """The largest share of a ring that is unread."""
        ...

    def take_ended(self) -> list[Ended]:
        """The sessions that have ended since the last call."""
        ...

    def take_removed(self) -> list[str]:
        """The uuids of the ended sessions whose folders have gone since the last call."""
        ...


class Follower:
    """Follows the sessions that `find` names, those that appear later included. One thread.

    Producers are never touched: their rings are mapped for reading only. A session whose process
    dies is drained to its end. `start` is where to go on in rings that were read before.
    """

    def __init__(
        self,
        find: Callable[[], Iterable[Path]],
        start: Positions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.text_lost = 0  # events read whose text newer text had overwritten
        self._find = find
        self._start = start or {}
        self._clock = clock
        self._followed: dict[str, _Followed] = {}
        self._over: dict[str, str] = {}  # folders that need no more reading, and their uuids
        self._removed: list[str] = []
        self._ended: list[Ended] = []
        self._damage: dict[tuple[str, str], str] = {}
        self._discovered_s = -DISCOVER_S
        self._turn = 0
        self._ids = Batch()  # empty: those to come share what it knows of long request ids

    @property
    def sessions(self) -> list[SessionInfo]:
        """The sessions that are being followed."""
        return [followed.reader.info for followed in self._followed.values()]

    @property
    def damage(self) -> list[Damage]:
        """The files that could not be read, wholly or in part."""
        return [Damage(session, file, why) for (session, file), why in self._damage.items()]

    def step(self, most_events: int, *, spare_dead: bool = False) -> Step:
        """What the sessions have gained, at most `most_events`, as one batch in order of time.

        With `spare_dead` dead sessions are left for later steps: they can wait, as nothing in them
        is overwritten. Copies without the GIL. Sessions that cannot be read are told of in
        `damage`.
        """
        self._discover()
        batch = Batch(self._ids)
        spans: dict[Place, Span] = {}
        part: list[_Followed] = []
        paths = list(self._followed)
        more = False
        for turn, path in enumerate(paths[self._turn :] + paths[: self._turn]):
            room = most_events - len(batch)
            if room <= 0:
                self._turn = (self._turn + turn) % len(paths)
                more = True
                break
            followed = self._followed[path]
            if spare_dead and not followed.lives():
                more = True
                continue
            before = followed.reader.text_lost
            moved, to_the_end, over = followed.drain_into(batch, room, self._clock())
            self.text_lost += followed.reader.text_lost - before
            more = more or not to_the_end
            if over and (unseen := followed.count_unseen()):
                moved[UNSEEN] = unseen
            if moved:
                uuid = followed.reader.info.uuid
                spans |= {(uuid, ring): span for ring, span in moved.items()}
                part.append(followed)
            if over:
                self._end(path, followed)
        return Step(_drained(batch, part), spans, more)

    def pressure(self) -> float:
        """The largest share of a ring that is unread, in the sessions there are by now."""
        self._discover()
        return max((each.reader.pressure() for each in self._followed.values()), default=0.0)

    def take_ended(self) -> list[Ended]:
        """The sessions that have ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def take_removed(self) -> list[str]:
        """The uuids of the ended sessions whose folders have gone since the last call."""
        removed, self._removed = self._removed, []
        return removed

    def _discover(self) -> None:
        now = self._clock()
        if now - self._discovered_s < DISCOVER_S:
            return
        self._discovered_s = now
        found = [os.fspath(path) for path in self._find()]
        for path in self._over.keys() - set(found):
            self._removed.append(self._over.pop(path))
        for path in found:
            if path in self._followed or path in self._over:
                continue
            try:
                self._followed[path] = _Followed(Path(path), self._start)
            except FileNotFoundError:
                continue  # it was removed meanwhile
            except (WhenceError, OSError) as error:
                self._over[path] = ""
                self._damage[os.path.basename(path), "session"] = str(error)

    def _end(self, path: str, followed: _Followed) -> None:
        del self._followed[path]
        reader = followed.reader
        reader.check_ends()
        self._over[path] = reader.info.uuid
        for file, why in reader.damaged.items():
            self._damage[reader.info.name, file] = why
        whole = not reader.damaged and not followed.gone
        self._ended.append(Ended(reader.info, dict(followed.ends), whole))


class _Followed:
    """One session and how far it was read."""

    def __init__(self, path: Path, start: Positions) -> None:
        self.path = path
        self.reader = SessionReader(path)
        self.ends = dict(start.get(self.reader.info.uuid, {}))
        self.reader.start_at(self.ends)
        self.gone = False
        self._refreshed_s: float | None = None

    def drain_into(
        self, batch: Batch, most: int, now_s: float
    ) -> tuple[dict[int, Span], bool, bool]:
        """Drains; returns how its rings moved, whether to their ends, and whether it has ended."""
        live = self.lives()  # before the rings are read: what a dead process left is all there is
        moved, to_the_end = self.reader.drain_into(batch, most)
        for ring, (_, after) in moved.items():
            self.ends[ring] = after
        if self._refreshed_s is None:
            self._refreshed_s = now_s
        elif moved and now_s - self._refreshed_s >= REFRESH_S:
            self._refresh(now_s)
        return moved, to_the_end, to_the_end and not live

    def count_unseen(self) -> Span | None:
        """Once, at the end: the events of rings that came and went unread, as if of one ring."""
        unseen = 0 if UNSEEN in self.ends else self.reader.unseen_events(self.ends)
        if unseen == 0:
            return None
        self.ends[UNSEEN] = unseen
        return 0, unseen

    def lives(self) -> bool:
        try:
            return is_recording(self.path)
        except (WhenceError, OSError):
            self.gone = True
            return os.path.exists(f"/proc/{self.reader.info.pid}")

    def _refresh(self, now_s: float) -> None:
        self._refreshed_s = now_s
        try:
            self.reader.refresh()
        except (WhenceError, OSError):
            self.gone = True


def _drained(batch: Batch, part: list[_Followed]) -> Drained:
    readers = [followed.reader for followed in part]
    return Drained(
        batch,
        {reader.info.name: reader.info for reader in readers},
        lambda: {reader.info.name: reader.kinds for reader in readers},
    )
