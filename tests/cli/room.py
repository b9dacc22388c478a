"""A stand-in for the module that reads sessions, over recordings made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from whence.model.errors import AmbiguousId, SessionNotFound
from whence.model.event import TraceEvent
from whence.model.recording import Damage, KindInfo, Recording, RingLedger, SessionInfo

__all__ = ["FakeStream", "Room"]


class FakeStream:
    """Gives one batch of events per poll; the process lives until the last is given."""

    def __init__(
        self,
        info: SessionInfo,
        batches: Sequence[Sequence[TraceEvent]],
        kinds: Sequence[KindInfo] = (),
    ) -> None:
        self.info = info
        self.kinds = kinds
        self.lost = 0
        self._batches = list(batches)

    def poll(self) -> list[TraceEvent]:
        """The next batch; nothing once they are used up."""
        return list(self._batches.pop(0)) if self._batches else []

    def ledger(self) -> Sequence[RingLedger]:
        """No ledger: the commands under test do not ask for it."""
        return ()


class Room:
    """Sessions by name, newest first; what is asked of it is kept in `read`."""

    def __init__(self, *recordings: Recording) -> None:
        self.recordings = {found.sessions[0].name: found for found in recordings}
        self.read: list[list[str]] = []

    def list_sessions(self, base: Path | None = None) -> list[SessionInfo]:
        """The sessions as given."""
        return [found.sessions[0] for found in self.recordings.values()]

    def unreadable_sessions(self, base: Path | None = None) -> Sequence[Damage]:
        """None: every session made by hand can be read."""
        return ()

    def all_folders(self, base: Path | None = None) -> list[Path]:
        """The sessions as given."""
        return [Path(info.path) for info in self.list_sessions()]

    def holds_something(self, session: SessionInfo) -> bool:
        """Whether the session made by hand has events."""
        return bool(self.recordings[session.name].events)

    def damage_of(self, session: SessionInfo) -> Sequence[Damage]:
        """The damage as given."""
        return self.recordings[session.name].damage

    def find_sessions(self, spec: str | None = None) -> list[Path]:
        """Sessions by pid, by the beginning of a name, or all of the first one's run."""
        infos = self.list_sessions()
        if spec is None:
            wanted = [info for info in infos if info.run == infos[0].run] if infos else []
        else:
            wanted = [i for i in infos if str(i.pid) == spec or i.name.startswith(spec)]
            if len(wanted) > 1:
                names = tuple(info.name for info in wanted)
                raise AmbiguousId(f"{spec!r} names {len(names)} sessions", names, len(names))
        if not wanted:
            raise SessionNotFound(f"no session with pid or name {spec!r}")
        return [Path(info.path) for info in wanted]

    def read_recording(self, paths: Sequence[Path]) -> Recording:
        """The recordings of the sessions at those paths, put together."""
        self.read.append([path.name for path in paths])
        found = [self.recordings[path.name] for path in paths]
        return Recording(
            events=tuple(event for one in found for event in one.events),
            kinds=tuple(kind for one in found for kind in one.kinds),
            sessions=tuple(info for one in found for info in one.sessions),
            rings=tuple(ring for one in found for ring in one.rings),
            damage=tuple(damage for one in found for damage in one.damage),
            gate_changes=tuple(change for one in found for change in one.gate_changes),
        )

    def SessionStream(self, path: Path) -> FakeStream:
        """A stream over everything the session holds."""
        found = self.recordings[path.name]
        return FakeStream(found.sessions[0], [found.events], found.kinds)
